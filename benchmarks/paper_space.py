"""What the larger space brings: a refined run beside all networks of the space of arXiv 2512.04705, same chip.

    python -m benchmarks.paper_space runs/cifar10-small --data images.tar.xz --csv paper_space.csv

That space is exits and heads alone: 8 bit, one threshold of the grid for all exits, default PE arrays. A network with
all exits is trained as the run's refined networks were (float network, recipe, images, seeds); leaving some of its
exits out gives every placement of them without another training. Its heads are all `fc`, the cheaper of that paper's
two. Of each placement every threshold of the grid counts, the front in accuracy and mean energy-latency product is
chosen on the validation split from means over seeds, and beside each of its points stands the cheapest refined design
of the run that is at least as accurate there. The test split is not read.

The paper compares thresholds with the softmax as it is. What the same grid gives after temperature scaling, as the
run's own thresholds have it, is a second front (`temperature_scaling` in the table).
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, combinations
from pathlib import Path
from statistics import mean
from typing import Any

import moocore
import numpy as np
import pandas as pd

from benchmarks.harness import provenance, write_json
from benchmarks.paper_networks import cheapest
from benchmarks.refined_run import RefinedRun, run_options
from hwcost.errors import OfframpError
from models.architecture import Architecture
from models.exit_policy import ExitPolicy
from models.predictions import ExitPredictions
from study.exit_sets import columns_of, keeping
from study.hardware import HardwareCosts
from study.policy import apply_policies
from study.shared_threshold import PAPER_GRID


@dataclass(frozen=True)
class Point:
    """A placement of exits under one threshold.

    Attributes:
        exits: Blocks.
        threshold: On the highest softmax probability, of every exit.
        accuracy: On the validation split, mean over seeds, as a fraction.
        edp_pj_cycles: Mean energy-latency product there, mean over seeds.
    """

    exits: tuple[int, ...]
    threshold: float
    accuracy: float
    edp_pj_cycles: float


def placements(exits: Sequence[int]) -> list[tuple[int, ...]]:
    """All choices of at least one exit, in ascending order of their number."""
    sizes = range(1, len(exits) + 1)
    return list(chain.from_iterable(combinations(exits, size) for size in sizes))


def points(
    whole: Architecture,
    seeds: Sequence[ExitPredictions],
    hardware: HardwareCosts,
    grid: Sequence[float] = PAPER_GRID,
) -> list[Point]:
    """Every placement under every threshold.

    Args:
        whole: The network with all exits.
        seeds: What it said about a split, one entry a training.
        hardware: Where it runs, on the default arrays.
        grid: Thresholds.
    """
    default = np.array([hardware.accelerator.default_allocation])
    found = []
    for exits in placements(whole.exits):
        columns = columns_of(whole, exits)
        costs = hardware.stage_costs(keeping(whole, exits), default)
        policies = [ExitPolicy.shared(threshold, len(columns)).thresholds for threshold in grid]
        outcomes = [
            apply_policies(p.select(columns), policies, costs.latency_cycles[0], costs.energy_pj[0])
            for p in seeds
        ]
        for threshold, each in zip(grid, zip(*outcomes, strict=True), strict=True):
            accuracy, product = mean(o.accuracy for o in each), mean(o.mean_edp_pj_cycles for o in each)
            found.append(Point(exits, threshold, accuracy, product))
    return found


def front(candidates: Sequence[Point]) -> list[Point]:
    """Those that no other one beats in accuracy and product, by falling accuracy."""
    values = np.array([(-p.accuracy, p.edp_pj_cycles) for p in candidates])
    chosen = [candidates[int(i)] for i in np.flatnonzero(moocore.is_nondominated(values))]
    return sorted(chosen, key=lambda p: -p.accuracy)


def beside(published: Sequence[Point], reference: Mapping[str, Any], designs: pd.DataFrame) -> pd.DataFrame:
    """The front with the cheapest design of the run that is at least as accurate at each of its points.

    Args:
        published: The front.
        reference: Row of the static reference on the validation split.
        designs: The run's refined designs on it.

    Returns:
        One row a point; `run_*` and `ratio` are NaN where no design is as accurate.
    """
    rows = []
    static = float(reference["mean_edp_pj_cycles"])
    for point in published:
        best = cheapest(designs, point.accuracy)
        own = float("nan") if best is None else float(best["edp_relative"])
        rows.append({
            "exits": "-".join(map(str, point.exits)), "threshold": point.threshold, "accuracy": point.accuracy,
            "accuracy_drop": float(reference["accuracy"]) - point.accuracy,
            "edp_relative": point.edp_pj_cycles / static,
            "run_design": "" if best is None else str(best["design"]),
            "run_accuracy": float("nan") if best is None else float(best["accuracy"]),
            "run_edp_relative": own, "ratio": own * static / point.edp_pj_cycles,
        })  # fmt: skip
    return pd.DataFrame(rows)


def with_all_exits(run: RefinedRun) -> Architecture:
    """The network of that space that has every exit."""
    n, exits = run.context.spec.n_blocks, run.context.space.mounting_points
    return Architecture(exits, ("fc",) * (len(exits) + 1), (8,) * n, (8,) * n).canonical()


def measure(run: RefinedRun) -> tuple[dict[str, Any], pd.DataFrame]:
    """Trains what is missing and compares.

    Returns:
        What was compared with what; the rows of `beside` with `temperature_scaling` before them, first those of the
        softmax as it is.

    Raises:
        OfframpError: A training diverged.
    """
    whole, hardware = with_all_exits(run), run.context.hardware
    trained = run.train([whole])[whole]
    ours = run.table[(run.table["role"] != "static_reference") & run.table["feasible"].astype(bool)]
    tables = []
    for scaled, seeds in ((False, run.unscaled(whole)), (True, [network.validation for network in trained])):
        compared = beside(front(points(whole, seeds, hardware)), run.reference, ours)
        compared.insert(0, "temperature_scaling", scaled)
        tables.append(compared)
    n_placements = len(placements(whole.exits))
    facts = {
        "accelerator": hardware.accelerator.name, "seeds": run.seeds, "epochs": run.networks.recipe.epochs,
        "placements": n_placements, "candidates": n_placements * len(PAPER_GRID),
        "static_accuracy": float(run.reference["accuracy"]),
        "accuracy_of_each_exit": np.mean([t.validation.accuracies for t in trained], axis=0).tolist(),
    }  # fmt: skip
    return facts, pd.concat(tables, ignore_index=True)


def in_words(compared: pd.DataFrame) -> str:
    """How a front compares, in a line.

    Args:
        compared: Rows of `beside`.
    """
    ratios = compared["ratio"].dropna()
    between = f"{ratios.min():.2f} to {ratios.max():.2f}" if len(ratios) else "none"
    return (
        f"{len(compared)} points; ratio {between}, above a half at {int((ratios > 0.5).sum())}; no design as "
        f"accurate at {int(compared['ratio'].isna().sum())}"
    )


def main() -> int:
    """The command line; returns the exit status."""
    parser = run_options("benchmarks.paper_space", __doc__)
    parser.add_argument("--csv", type=Path, metavar="FILE")
    options = parser.parse_args()
    try:
        facts, table = measure(RefinedRun.open(options.run, options.data, options.workers, options.weights))
    except OfframpError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(
        f"{facts['placements']} placements, {facts['candidates']} with thresholds; static reference "
        f"{facts['static_accuracy']:.2%}; validation, means of {facts['seeds']} seeds"
    )
    for scaled, rows in table.groupby("temperature_scaling", sort=False):
        print(f"\n{'after temperature scaling' if scaled else 'the softmax as it is'}: {in_words(rows)}")
        columns = rows.drop(columns="temperature_scaling")
        print(columns.to_string(index=False, float_format=lambda value: f"{value:.4f}"))
    if options.csv is not None:
        table.to_csv(options.csv, index=False, lineterminator="\n")
    kept = table.astype(object).where(table.notna(), None).to_dict("records")
    write_json(options.json, {**facts, "front": kept, **provenance(("numpy", "torch"), run=options.run.name)})
    return 0


if __name__ == "__main__":
    sys.exit(main())
