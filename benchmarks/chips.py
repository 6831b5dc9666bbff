"""The trained networks of a run on every accelerator: do fronts differ, what carries over, does heterogeneity pay.

    python -m benchmarks.chips runs/cifar10-small --json chips.json --csv chips.csv

Nothing is trained: accuracies and confidences of the run's networks are kept, thresholds are chosen again for each
chip on the calibration split and measured on validation, over all PE allocations of that chip under the bounds of the
study. Everything is relative to the static reference ON THAT CHIP; fronts are in accuracy and mean energy-latency
product. What carries over is asked of whole designs: a network with the policy targets that were on the home chip's
front, on the other chip's default allocation and on its best ones.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.harness import provenance, write_json
from hwcost import accelerator_names
from hwcost.errors import OfframpError
from models.architecture import Architecture
from models.predictions import ExitPredictions
from study.bounds import Bounds
from study.config import StudyConfig
from study.config_io import load_file, merge, resolve
from study.evaluate import Evaluator
from study.front import dominated_share, headline_front
from study.hardware import HardwareCosts
from study.memo import PredictionMemo, TrainedNetwork
from study.record import DesignRecord
from study.results import load_run
from study.setup import build_accelerator, build_backbone, build_objectives, build_space

DROPS = (0.002, 0.01, 0.02)


@dataclass(frozen=True)
class Chip:
    """The run's networks on one accelerator.

    Attributes:
        name: Of the accelerator.
        evaluator: Of the run, with this chip.
        designs: Feasible designs of all networks.
        front: Those that no other one beats in accuracy and mean product, by falling accuracy.
        best_static: Least relative product of the static networks within 0.2 points.
    """

    name: str
    evaluator: Evaluator
    designs: tuple[DesignRecord, ...]
    front: tuple[DesignRecord, ...]
    best_static: float | None

    def relative(self, record: DesignRecord) -> float:
        """Mean product over that of the static reference on this chip."""
        return record.mean_edp_pj_cycles / self.evaluator.hardware.static.edp_pj_cycles

    def arrays(self, record: DesignRecord) -> tuple[str, ...]:
        """PE array of each compute core."""
        catalogues = self.evaluator.hardware.accelerator.catalogues
        return tuple(c[i].label for c, i in zip(catalogues, record.genome.allocation, strict=True))


def networks(run: Path, trained: str) -> dict[Architecture, TrainedNetwork]:
    """Predictions of the longest training of every network of a run.

    Args:
        run: Its folder.
        trained: How the static reference was trained: `alone` or `jointly`; the static networks of that way count.

    Raises:
        OfframpError: There is none.
    """
    found: dict[Architecture, TrainedNetwork] = {}
    for path in sorted((run / "predictions").glob("*.validation.npz")):
        meta = ExitPredictions.read_meta(path)
        architecture = Architecture.from_dict(meta["architecture"])
        way = "jointly" if meta["context"].get("training") == "jointly" else "alone"
        if way == "jointly" and trained != "jointly":
            continue
        if way == "alone" and trained == "jointly" and architecture.is_static and architecture in found:
            continue
        rung = int(meta["context"].get("rung", 0))
        known = found.get(architecture)
        if known is not None and way == "alone" and known.rung >= rung:
            continue
        calibration = path.with_name(path.name.replace(".validation.", ".calibration."))
        found[architecture] = TrainedNetwork(
            ExitPredictions.load(calibration), ExitPredictions.load(path), int(meta["training_samples"]),
            float(meta["seconds"]), rung,
        )  # fmt: skip
    if not found:
        raise OfframpError(
            f"expected trained networks in {run.name}/predictions, got none; name a run's folder"
        )
    return found


def evaluator_on(config: StudyConfig, chip: str, channels: int, classes: int) -> Evaluator:
    """The evaluation of a study on another chip; it cannot train."""
    there = replace_chip(config, chip)
    accelerator = build_accelerator(there)
    spec = build_backbone(there, channels)
    hardware = HardwareCosts.from_config(there, spec, classes, accelerator)

    def no_training(architecture: Architecture) -> TrainedNetwork:
        raise OfframpError(f"expected a trained network, got {architecture.key()[:12]}, which is not")

    return Evaluator(
        build_space(there, spec, accelerator), hardware, build_objectives(there, accelerator),
        Bounds.of(there.constraints.given(), hardware.static), PredictionMemo(Path(), {}), no_training, classes,
    )  # fmt: skip


def replace_chip(config: StudyConfig, chip: str) -> StudyConfig:
    """The configuration with another accelerator, its own PE budget and its nominal level."""
    values = config.model_dump(mode="json")
    changed = {"hardware": {"accelerator": chip, "pe_budget": None}, "space": {"levels": "nominal"}}
    return resolve([merge(values, changed)])


def on_chip(
    name: str, evaluator: Evaluator, trained: Mapping[Architecture, TrainedNetwork], accuracy: float
) -> Chip:
    """Every network on every allocation.

    Args:
        name: Of the chip.
        evaluator: With this chip.
        trained: The networks.
        accuracy: Of the static reference.
    """
    designs = [
        replace(record, longest=True)
        for architecture, network in trained.items()
        for record in evaluator.derive(architecture, network)
        if record.feasible
    ]
    front = tuple(designs[i] for i in headline_front(designs))
    static = evaluator.hardware.static.edp_pj_cycles
    equal = [
        record.mean_edp_pj_cycles / static
        for record in designs
        if record.genome.architecture.is_static and record.accuracy >= accuracy - 0.002
    ]
    return Chip(name, evaluator, tuple(designs), front, min(equal, default=None))


def volume(points: Sequence[tuple[float, float]], classes: int) -> float:
    """Share of the box in error over that of chance and relative product that points dominate."""
    scale = np.array([1.0 - 1.0 / classes, 1.0])
    return dominated_share(np.array(points).reshape(-1, 2) / scale) if len(points) else 0.0


def carried(home: Chip, there: Chip, trained: Mapping[Architecture, TrainedNetwork], tuned: bool) -> float:
    """Hypervolume of the home chip's front on another chip over that of the other chip's own front.

    Args:
        home: Where the designs were chosen.
        there: Where they run.
        trained: The networks.
        tuned: On all allocations of that chip; False: on its default one.
    """
    chosen = {(r.genome.architecture, r.genome.policy_target) for r in home.front}
    if tuned:
        records = [r for r in there.designs if (r.genome.architecture, r.genome.policy_target) in chosen]
    else:
        default = there.evaluator.hardware.accelerator.default_allocation
        nominal = there.evaluator.space.levels.nominal
        records = [
            there.evaluator.measured(
                replace(r.genome, allocation=default, level=nominal), trained[r.genome.architecture]
            )
            for r in home.front
        ]
    classes = there.evaluator.classes
    own = volume([(r.error, there.relative(r)) for r in there.front], classes)
    return volume([(r.error, there.relative(r)) for r in records], classes) / own if own else float("nan")


def equal_cores(chip: Chip, accuracy: float, drop: float) -> tuple[float | None, float | None]:
    """Least relative product within a drop of accuracy: of all allocations, and with one array on all cores."""
    near = [r for r in chip.designs if r.accuracy >= accuracy - drop]
    alike = [r for r in near if len(set(chip.arrays(r))) == 1]
    return (
        min(map(chip.relative, near), default=None),
        min(map(chip.relative, alike), default=None),
    )


def measure(run: Path, names: Sequence[str]) -> tuple[dict[str, Any], pd.DataFrame]:
    """Figures of all chips, and a table with one row a chip."""
    results = load_run(run)
    config = run_config(run)
    classes = len(results.environment["data"]["classes"])
    channels = int(results.environment["data"]["channels"])
    reference = results.static_reference
    accuracy = float(reference["accuracy"])
    trained = networks(run, str(reference["trained"]))
    home_name = str(results.config["hardware"]["accelerator"])
    chips = {
        name: on_chip(name, evaluator_on(config, name, channels, classes), trained, accuracy)
        for name in dict.fromkeys([home_name, *names])
    }
    home = chips[home_name]
    return (
        {"home": home_name, "networks": len(trained), "static_accuracy": accuracy},
        pd.DataFrame([row(chip, home, trained, accuracy) for chip in chips.values()]),
    )


def run_config(run: Path) -> StudyConfig:
    """The configuration of a run; its images need not be there."""
    return resolve([load_file(run / "config.toml")])


def row(
    chip: Chip, home: Chip, trained: Mapping[Architecture, TrainedNetwork], accuracy: float
) -> dict[str, Any]:
    """What is said of one chip."""
    static = chip.evaluator.hardware.static
    own = {r.genome.architecture for r in chip.front}
    found: dict[str, Any] = {
        "accelerator": chip.name,
        "static_latency_cycles": static.latency_cycles,
        "static_energy_pj": static.energy_pj,
        "feasible_designs": len(chip.designs),
        "front": len(chip.front),
        "networks_on_front": len(own),
        "also_on_home_front": len(own & {r.genome.architecture for r in home.front}),
        "best_static": chip.best_static,
    }
    for drop in DROPS:
        best, alike = equal_cores(chip, accuracy, drop)
        found[f"edp_relative_at_{100 * drop:g}_points"] = best
        found[f"edp_relative_at_{100 * drop:g}_points_equal_cores"] = alike
    found["home_front_default_arrays"] = carried(home, chip, trained, tuned=False)
    found["home_front_best_arrays"] = carried(home, chip, trained, tuned=True)
    return found


def main() -> int:
    """The command line; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.chips", description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    parser.add_argument("run", type=Path, metavar="RUN")
    parser.add_argument(
        "--accelerators", nargs="+", default=None, metavar="NAME", help="default: every preset"
    )
    parser.add_argument("--csv", type=Path, metavar="FILE")
    parser.add_argument("--json", type=Path, metavar="FILE")
    options = parser.parse_args()
    try:
        facts, table = measure(options.run, options.accelerators or accelerator_names())
    except OfframpError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    show(facts, table)
    if options.csv:
        table.to_csv(options.csv, index=False, lineterminator="\n")
    rows = table.astype(object).where(table.notna(), None).to_dict("records")
    write_json(options.json, {**facts, "chips": rows, **provenance(("numpy",), run=options.run.name)})
    return 0


def show(facts: Mapping[str, Any], table: pd.DataFrame) -> None:
    """For people."""
    print(f"{facts['networks']} networks; products relative to the static reference on each chip, in %")
    print(f"{'':22s}{'static':>9s}{'at most so many points less':>29s}{'home front there, % of own':>29s}")
    print(
        f"{'accelerator':22s}{'best':>9s}{'0.2':>9s}{'1':>10s}{'2':>10s}{'default arrays':>17s}{'best':>12s}"
    )
    for found in table.to_dict("records"):
        values = [found["best_static"], *(found[f"edp_relative_at_{100 * drop:g}_points"] for drop in DROPS)]
        kept = [found["home_front_default_arrays"], found["home_front_best_arrays"]]
        print(
            f"{found['accelerator']:22s}{_percent(values[0]):>9s}{_percent(values[1]):>9s}{_percent(values[2]):>10s}"
            f"{_percent(values[3]):>10s}{_percent(kept[0]):>17s}{_percent(kept[1]):>12s}"
        )


def _percent(value: float | None) -> str:
    return "-" if value is None or not np.isfinite(value) else f"{100 * value:.1f}"


if __name__ == "__main__":
    sys.exit(main())
