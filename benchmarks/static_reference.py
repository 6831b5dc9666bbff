"""The static reference trained in every way there is: whether joint training makes it weaker than it could be.

    python -m benchmarks.static_reference --preset cifar10-small --data cifar10 --json static_reference.json

The 8-bit static network of a preset (no early exits, `fc` head) with the budget of a trial: alone from a float
network that never had early exits, alone from the float network of the study, which has all of them, and jointly with
all exits. Validation accuracy, and that of the float networks' final exits. Float networks are kept in `--cache`.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.harness import bad_input_in_one_line, provenance, write_json
from benchmarks.study_options import study_values
from study.config_io import merge, resolve
from study.setup import Paths, load_data, open_context, train_static

WAYS = ("alone, never with exits", "alone, float network with exits", "jointly")


def measured(values: dict[str, Any], seed: int, cache: Path) -> dict[str, float]:
    """Validation accuracies, as fractions of 1, of one seed."""
    found: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as folder:
        for separate in (True, False):
            config = resolve([merge(values, {"search": {"seed": seed, "pretrain_alone": separate}})])
            data = load_data(config, cache)
            context = open_context(config, Paths(Path(folder) / str(separate), cache), "cpu", data)
            name = f"fc_{context.spec.n_blocks - 1}"
            float_network = context.pretrained_alone()
            way = WAYS[0] if separate else WAYS[1]
            found[f"float: {way}"] = float_network.accuracies[name]
            alone = train_static(context, "alone")["fc"]
            found[way] = float(alone.validation.accuracies[-1])
        jointly = train_static(context, "jointly")["fc"]
        found[WAYS[2]] = float(jointly.validation.accuracies[-1])
    return found


def run(options: argparse.Namespace) -> None:
    """Trains, prints, writes."""
    values = study_values(options)
    seeds = range(options.first_seed, options.first_seed + options.seeds)
    by_seed = []
    for seed in seeds:
        by_seed.append(measured(values, seed, options.cache))
        for way, accuracy in by_seed[-1].items():
            print(f"seed {seed}, {way}: {100 * accuracy:.2f} %", flush=True)
    medians = {way: statistics.median(found[way] for found in by_seed) for way in by_seed[0]}
    write_json(options.json, {
        "median": medians, "by_seed": by_seed,
        **provenance(("torch", "brevitas"), preset=options.preset, set=options.set, seeds=list(seeds)),
    })  # fmt: skip


def main() -> None:
    """Runs the command."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.static_reference",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--preset", default="quickstart")
    parser.add_argument("--data", help="instead of the preset's")
    parser.add_argument(
        "--set", action="append", default=[], metavar="SECTION.KEY=VALUE", help="as in a study"
    )
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--cache", type=Path, default=Path.home() / ".cache" / "offramp")
    parser.add_argument("--json", type=Path, metavar="FILE")
    options = parser.parse_args()
    with bad_input_in_one_line():
        run(options)


if __name__ == "__main__":
    main()
