"""`python -m study.run`: a study from real data to a front.

Imports are inside functions on purpose: `--help` and refusals answer without loading torch.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hwcost.errors import OfframpError

if TYPE_CHECKING:
    from study.config import StudyConfig

EXIT_BAD_INPUT = 2
EXIT_INTERRUPTED = 130


class _Parser(argparse.ArgumentParser):
    """Prints one line on a bad option instead of the whole usage."""

    def error(self, message: str) -> Any:
        self.exit(EXIT_BAD_INPUT, f"error: {message}; see python -m study.run --help\n")


def build_parser() -> argparse.ArgumentParser:
    """The options of the command."""
    parser = _Parser(
        prog="python -m study.run",
        description="Search exits, heads, bits and PE allocations of an early-exit network; without options: "
        "the quickstart study, a few minutes on two cores.",
        epilog="The same command resumes a study that exists. Exit codes: 0 done, 2 bad input or nothing more can be "
        "done, 130 stopped.",
        allow_abbrev=False,
    )
    add = parser.add_argument
    add(
        "--preset", default=None, metavar="NAME",
        help="quickstart (default), cifar10-small, cifar10-cpu, cifar10 or paper",
    )  # fmt: skip
    add("--config", type=Path, metavar="FILE.toml", help="values laid over the preset's")
    add("--set", action="append", default=[], metavar="SECTION.KEY=VALUE", help="one value; repeatable")
    add(
        "--data",
        metavar="digits|cifar10|PATH",
        help="a folder or archive with train/<class>/ and test/<class>/",
    )
    add(
        "--backbone",
        metavar="NAME|PACKAGE.MODULE:FACTORY",
        help="paper, resnet18, mobilenet_v2, efficientnet_b0 or your own",
    )
    add(
        "--weights", metavar="FILE.safetensors", help="float weights of your own the pre-training starts from"
    )
    add("--accelerator", metavar="NAME|FILE.toml", help="a preset of hwcost or a file")
    add("--trials", type=int, metavar="N", help="finished proposals in total, over all resumes")
    add("--sampler", metavar="NAME", help="nsga2 (default, ours), nsga2-optuna, nsga3, tpe, random or gp")
    add("--workers", type=int, metavar="W", help="processes on this machine")
    add("--storage", metavar="URL", help="an Optuna storage (default: sqlite in the run's folder)")
    add("--study-name", metavar="NAME", help="default: the preset's or configuration file's name")
    add("--out", metavar="DIR", help="default: runs/<study name>")
    add("--seed", type=int, metavar="S", help="of the search and of training")
    add("--device", choices=("auto", "cpu", "cuda"), help="default: auto")
    add("--dry-run", action="store_true", help="print configuration, size of the space, time; train nothing")
    add("--json", type=Path, metavar="FILE", help="write the printed figures as JSON too")
    return parser


def configure(arguments: argparse.Namespace) -> tuple[StudyConfig, str]:
    """The checked configuration and the study's name.

    Raises:
        OfframpError: An option, a key or a value cannot be used.
    """
    from study.config_io import load_file, load_preset, merge, parse_assignment, resolve

    preset = "quickstart" if arguments.preset is None else arguments.preset
    layers: list[dict[str, Any]] = [load_preset(preset)]
    if arguments.config is not None:
        layers.append(load_file(arguments.config))
    assigned: dict[str, Any] = {}
    for text in arguments.set:
        (section, key), value = parse_assignment(text)
        assigned = merge(assigned, {section: {key: value}})
    layers.append(assigned)
    options: dict[str, dict[str, Any]] = {
        "data": {"source": arguments.data},
        "backbone": {"name": arguments.backbone, "weights": arguments.weights},
        "hardware": {"accelerator": arguments.accelerator},
        "search": {
            "trials": arguments.trials, "workers": arguments.workers, "seed": arguments.seed,
            "sampler": arguments.sampler,
        },
        "run": {
            "storage": arguments.storage, "name": arguments.study_name, "out": arguments.out,
            "device": arguments.device,
        },
    }  # fmt: skip
    layers.append({s: {k: v for k, v in keys.items() if v is not None} for s, keys in options.items()})
    config = resolve(layers)
    default_name = (
        arguments.config.stem if arguments.config is not None and arguments.preset is None else preset
    )
    name = config.run.name or default_name
    return config.model_copy(update={"run": config.run.model_copy(update={"name": name})}), name


def recorded_command(argv: Sequence[str], module: str = "study.run") -> str:
    """The command line for the record: every path cut to its file name, passwords in URLs hidden."""
    return " ".join([f"python -m {module}", *(shlex.quote(_without_place(word)) for word in argv)])


def _without_place(word: str) -> str:
    # `--out=DIR`, `data.source=PATH`, `--set=data.source=PATH`, or a bare value.
    named = re.match(r"(?:--[\w-]+=)?(?:\w+\.\w+=)?", word)
    name = named.group() if named else ""
    value = word[len(name) :]
    if "://" in value:
        return f"{name}{value.partition('://')[0]}:///..."
    return name + (Path(value).name if "/" in value else value)


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command.

    Args:
        argv: Options; None takes those of the process.

    Returns:
        The exit code.
    """
    argv = sys.argv[1:] if argv is None else argv
    # Idle OpenMP threads spin by default. With other processes on the cores a training step then takes 20 times as
    # long; sleeping threads cost a fifth of a step on an idle machine. Read once, when torch is imported.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    arguments = build_parser().parse_args(argv)
    try:
        return _run(arguments, argv)
    except OfframpError as error:
        print(f"error: {' '.join(str(error).split())}", file=sys.stderr)
        return EXIT_BAD_INPUT
    except KeyboardInterrupt:
        print("stopped; the same command goes on from here", file=sys.stderr)
        return EXIT_INTERRUPTED
    except OSError as error:
        print(
            f"error: expected to read and write files, got: {error}; what was finished is kept",
            file=sys.stderr,
        )
        return EXIT_BAD_INPUT


def _run(arguments: argparse.Namespace, argv: Sequence[str]) -> int:
    from rich.console import Console

    from models.device import resolve_device
    from study.setup import (
        Paths,
        build_accelerator,
        build_backbone,
        build_objectives,
        build_space,
    )
    from study.sources import check_sources
    from study.storage import default_url, without_password

    config, name = configure(arguments)
    check_sources(config)
    # Built only to be refused where it cannot be: reading data takes long.
    accelerator = build_accelerator(config)
    objectives = build_objectives(config, accelerator)
    build_space(config, build_backbone(config, channels=3), accelerator)
    paths = Paths.of(config, name)
    if arguments.json is not None and arguments.json.is_dir():
        raise OfframpError(f"expected a file for --json, got the folder {arguments.json}; name a file in it")
    device = resolve_device(config.run.device)
    storage_url = config.run.storage or default_url(paths.out)
    console = Console()
    if arguments.dry_run:
        from study.dry_run import dry_run

        dry_run(config, name, paths, device, console, arguments.json)
        return 0

    from study.atomic import write_text
    from study.improvement import MOST_OBJECTIVES
    from study.json_rows import json_rows
    from study.runner import raise_on_sigterm, run_study
    from study.summary import front_table, print_next_steps

    raise_on_sigterm()
    console.print(f"study {name}: {config.search.trials} trials, {config.search.workers} worker(s), "
                  f"backbone {config.backbone.name} x{config.backbone.width:g}, {config.hardware.accelerator}, "
                  f"{device}; results in {paths.out}", highlight=False, markup=False)  # fmt: skip
    if config.search.predictor and len(objectives.metrics) > MOST_OBJECTIVES:
        console.print(f"no predictions with {len(objectives.metrics)} objectives (at most {MOST_OBJECTIVES}): the "
                      "genetic algorithm proposes alone", highlight=False, markup=False)  # fmt: skip
    outcome = run_study(config, name, paths, storage_url, device, console, recorded_command(argv))
    reference = json.loads((paths.out / "static_reference.json").read_text(encoding="utf-8"))
    console.print(front_table(outcome.exported.pareto, reference, objectives, console.width))
    _write_report(paths.out, console)
    if arguments.json is not None:
        front = outcome.exported.pareto
        figures = {
            "study": name,
            "finished_trials": outcome.finished,
            "architectures_trained": _architectures_trained(outcome.exported.trials),
            "skipped_children": outcome.exported.skipped.to_json(),
            "static_reference": reference,
            "front": json_rows(front),
        }
        write_text(arguments.json, json.dumps(figures, indent=2) + "\n")
    print_next_steps(console, str(paths.out), without_password(storage_url))
    if outcome.interrupted:
        console.print("Stopped before the end; the same command goes on from here.", highlight=False)
        return EXIT_INTERRUPTED
    return 0


def _architectures_trained(trials: Any) -> int:
    trained = trials[(trials["training_samples"] > 0) & (trials["state"] == "COMPLETE")]
    return int(trained["architecture"].nunique())


def _write_report(out: Path, console: Any) -> None:
    from dashboards.report import write_report
    from study.results import load_run

    write_report(load_run(out), out / "report.html")


if __name__ == "__main__":
    sys.exit(main())
