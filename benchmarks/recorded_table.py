"""Searches compared on networks that are trained once and kept: `record` trains them, `run` plays searches on them.

    python -m benchmarks.recorded_table record --preset cifar10-small --data images.tar.xz --out recorded --workers 2
    python -m benchmarks.recorded_table run recorded/table.npz --seeds 10 --json recorded.json

`benchmarks.recorded.space` says which networks these are and why. `record` goes on where it was stopped and writes
the table of what it has at the end of every call. Networks of two versions of the training code are never mixed: it
starts anew where that changed.
"""

from __future__ import annotations

import argparse
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import optuna

from benchmarks.harness import provenance, write_json
from benchmarks.recorded.baselines import baselines, best_of
from benchmarks.recorded.curves import Curves, against_random
from benchmarks.recorded.parts import LOSSES, search_part, subsets
from benchmarks.recorded.recorder import (
    RecordTask,
    candidates,
    collect,
    known,
    open_recording,
    table_path,
    train_missing,
)
from benchmarks.recorded.rung_searches import WAYS, Budgets, spend
from benchmarks.recorded.searches import ABLATION, PLAYERS, play
from benchmarks.recorded.table_study import TableStudy
from benchmarks.study_options import study_values
from hwcost.errors import OfframpError
from study.config import StudyConfig
from study.config_io import resolve
from study.setup import Paths


def parser() -> argparse.ArgumentParser:
    options = argparse.ArgumentParser(
        prog="python -m benchmarks.recorded_table",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = options.add_subparsers(dest="command", required=True)
    add = commands.add_parser("record", help="train the networks, or what is left of them").add_argument
    add("--preset", default="cifar10-small")
    add("--data", metavar="digits|cifar10|PATH", help="default: the preset's")
    add(
        "--qat-epochs",
        type=float,
        default=0.04,
        metavar="E",
        help="of each network; of CIFAR-10 1,600 images",
    )
    add(
        "--evaluated",
        type=int,
        default=2000,
        metavar="N",
        help="images of each split a network is evaluated on",
    )
    add("--set", action="append", default=[], metavar="SECTION.KEY=VALUE", help="another value; repeatable")
    add("--out", type=Path, default=Path("recorded"), metavar="DIR")
    add("--workers", type=int, default=2, metavar="W")
    add("--limit", type=int, metavar="N", help="train at most so many in this call")
    add("--device", choices=("cpu", "cuda"), default="cpu")
    add = commands.add_parser("run", help="play searches on a table").add_argument
    add("table", type=Path)
    add("--seeds", type=int, default=10)
    add("--first-seed", type=int, default=100)
    add("--evaluations", type=int, default=160)
    add(
        "--samplers",
        nargs="+",
        metavar="NAME",
        help="only these; random, which the others are measured by, always",
    )
    kind = commands.choices["run"].add_mutually_exclusive_group().add_argument
    kind("--ablation", action="store_true", help="ours with one step of the ladder left out at a time")
    kind(
        "--parts",
        action="store_true",
        help="ours on exits, bits and PE arrays alone, in pairs and together, with as many evaluations each",
    )
    kind("--baselines", action="store_true", help="what is reached without a search; takes no seeds")
    kind(
        "--short",
        type=Path,
        metavar="TABLE",
        help="the same networks with a shorter training: what longer rungs are worth; counts images",
    )
    add("--json", type=Path, metavar="FILE")
    return options


def configuration(options: argparse.Namespace) -> StudyConfig:
    changes = {"qat": {"epochs": options.qat_epochs, "norm_batches": 8}, "search": {"rungs": [1.0]}}
    values = study_values(options, changes)
    return resolve([values, {"run": {"out": str(options.out), "name": "recorded"}}])


def record(options: argparse.Namespace) -> None:
    config = configuration(options)
    task = RecordTask(config, Paths.of(config, "recorded"), options.device, options.evaluated)
    context = open_recording(task, lambda stage, done, total, _: print(f"{stage} {done}/{total}", flush=True))
    everything = candidates(context)
    done = known(context, everything)
    missing = [a for a in everything if a.key() not in done][: options.limit]
    print(
        f"{len(everything)} networks, {len(done)} recorded, {len(missing)} to train in this call", flush=True
    )
    started = time.monotonic()
    try:
        for count, (architecture, failure) in enumerate(
            train_missing(task, missing, options.workers), start=1
        ):
            spent = time.monotonic() - started
            left = spent / count * (len(missing) - count)
            says = failure or f"{spent / count:.1f} s a network, {left / 60:.0f} min left"
            print(f"{count}/{len(missing)} {architecture.key()[:12]}: {says}", flush=True)
    except KeyboardInterrupt:
        print("stopped; the same command goes on from here", flush=True)
    table = collect(context, everything)
    table.save(table_path(options.out))
    size = table_path(options.out).stat().st_size
    print(f"{table_path(options.out)}: {len(table.rows)} networks, {size / 2**20:.1f} MiB")


def run(options: argparse.Namespace) -> None:
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    if options.short is not None:
        run_rungs(Budgets.load(options.short, options.table), options)
        return
    study = TableStudy.load(options.table)
    if options.parts:
        run_parts(study, options)
        return
    if options.baselines:
        run_baselines(study, options)
        return
    print(
        f"{len(study.architectures)} networks, {len(study.scale.joint)} designs on the best front; means over "
        f"{options.seeds} seeds",
        flush=True,
    )
    players = {**(ABLATION if options.ablation else PLAYERS), "random": PLAYERS["random"]}
    wanted = [name for name in players if not options.samplers or name in {*options.samplers, "random"}]
    seeds = range(options.first_seed, options.first_seed + options.seeds)
    at = [n for n in (20, 40, 80, 160, 320, 640) if n <= options.evaluations]
    print(f"{'hypervolume / best':22s}" + "".join(f"{n:>9d}" for n in at) + "   trained   (as proposed)")
    curves: dict[str, Curves] = {}
    for name in wanted:
        plays = [play(study, players[name], options.evaluations, seed) for seed in seeds]
        curves[name] = Curves.of(plays)
        cells = "".join(f"{curves[name].derived[n - 1]:9.4f}" for n in at)
        plain = " ".join(f"{curves[name].proposals[n - 1]:.4f}" for n in at)
        print(f"{name:22s}{cells}{curves[name].trained[-1]:10.1f}   ({plain})", flush=True)
        if curves[name].skips:
            print(f"   {curves[name].skips}")
    reached = {str(n): against_random(curves, n) for n in at}
    for n, sides in reached.items():
        for side, needed in sides.items():
            said = ", ".join(f"{name} {_or_never(count)}" for name, count in needed.items())
            print(f"random after {n} ({side}): {said}")
    write_json(options.json, {
        **{name: curve.to_json(at) for name, curve in curves.items()},
        "evaluations_to_reach_random": reached,
        **_about(study, options),
    })  # fmt: skip


def run_parts(study: TableStudy, options: argparse.Namespace) -> None:
    seeds = range(options.first_seed, options.first_seed + options.seeds)
    print(
        f"{len(study.architectures)} networks; means over {options.seeds} seeds after {options.evaluations} "
        f"evaluations\n{'searched':22s}{'networks':>9s}{'trained':>9s}{'hypervolume / best':>20s}"
        + "".join(f"{f'product at -{100 * loss:g} points':>24s}" for loss in LOSSES),
        flush=True,
    )
    results = {}
    for searched in subsets():
        result = results[" + ".join(searched)] = search_part(study, searched, options.evaluations, seeds)
        products = "".join(f"{100 * value:22.1f} %" for value in result.least_products.values())
        print(
            f"{' + '.join(searched):22s}{result.networks:9d}{result.trained:9.1f}"
            f"{result.volume:13.4f} ±{result.volume_std:.4f}{products}",
            flush=True,
        )
    parts = {name: asdict(result) for name, result in results.items()}
    write_json(options.json, {"parts": parts, **_about(study, options)})


def run_baselines(study: TableStudy, options: argparse.Namespace) -> None:
    print(
        f"{'baseline':66s}{'networks':>9s}"
        + "".join(f"{f'product at -{100 * loss:g} points':>24s}" for loss in LOSSES)
    )
    results = {}
    for baseline in baselines():
        result = results[baseline.name] = best_of(study, baseline)
        products = "".join(f"{100 * value:22.1f} %" for value in result.least_products.values())
        print(f"{baseline.name:66s}{result.networks:9d}{products}", flush=True)
    rows = {name: asdict(result) for name, result in results.items()}
    write_json(options.json, {"baselines": rows, **_about(study, options)})


def run_rungs(budgets: Budgets, options: argparse.Namespace) -> None:
    long = budgets.images("long")
    at = [n for n in (5, 10, 20, 40, 80, 160) if n <= options.evaluations]
    if not at:
        raise OfframpError(
            f"expected --evaluations of at least 5 with --short, got {options.evaluations}; give more"
        )
    print(
        f"{len(budgets.long.architectures)} networks of {budgets.images('short'):,d} and {long:,d} images; "
        f"hypervolume / best after the images of so many long trainings, means over {options.seeds} seeds\n{'':34s}"
        + "".join(f"{n:>9d}" for n in at)
        + "  networks  of them long",
        flush=True,
    )
    seeds = range(options.first_seed, options.first_seed + options.seeds)
    results: dict[str, Any] = {}
    for way in WAYS:
        plays = [spend(budgets, way, at[-1] * long, seed) for seed in seeds]
        volumes = np.array([[play.after(n * long) for n in at] for play in plays])
        networks, risen = (
            float(np.mean([getattr(p, name) for p in plays])) for name in ("networks", "risen")
        )
        print(
            f"{way:34s}"
            + "".join(f"{v:9.4f}" for v in volumes.mean(axis=0))
            + f"{networks:10.1f}{risen:14.1f}",
            flush=True,
        )
        results[way] = {
            "hypervolume": dict(zip(map(str, at), volumes.mean(axis=0).tolist(), strict=True)),
            "hypervolume_std": dict(zip(map(str, at), volumes.std(axis=0).tolist(), strict=True)),
            "networks": networks,
            "trained_for_long": risen,
        }
    images = {"short": budgets.images("short"), "long": long}
    write_json(options.json, {"rungs": results, "images": images, **_about(budgets.long, options)})


def _about(study: TableStudy, options: argparse.Namespace) -> dict[str, Any]:
    left_out = ("json", "table", "short", "command", "samplers")
    settings = {k: v for k, v in vars(options).items() if k not in left_out}
    table = {k: v for k, v in study.about.items() if k != "config"} | {"networks": len(study.architectures)}
    return {"table": table, **provenance(("numpy", "optuna", "moocore"), **settings)}


def _or_never(count: int | None) -> str:
    return "never" if count is None else str(count)


def main() -> int:
    options = parser().parse_args()
    try:
        {"record": record, "run": run}[options.command](options)
    except OfframpError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
