"""How well objectives are predicted from genes, on networks that were trained once and kept.

    python -m benchmarks.predictor recorded/table.npz --seeds 20 --json predictor.json

Two ways are compared. `objectives` is a Gaussian process of each objective. `exits` models for
every exit the share of inputs that leave there and the share that leave there with the right class; the error
follows from the latter, and latency and energy from the former with the simulator's cost of each exit. Designs are
of different networks on random PE arrays under random policy targets; those to be predicted are of networks that
were not among the measured ones. Beside the objectives, the accuracy of each exit on all inputs is predicted.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import NormalDist
from typing import Any

import numpy as np

from benchmarks.harness import provenance, write_json
from benchmarks.recorded.space import EXITS
from benchmarks.recorded.table_study import TableStudy
from hwcost.errors import OfframpError
from study.leaving import LeavingModels
from study.record import DesignRecord
from study.surrogate import GeneEncoding, ValueModel, rank_correlation

OBJECTIVES = ("error", "mean latency", "mean energy")
_Z95 = NormalDist().inv_cdf(0.975)


@dataclass(frozen=True, eq=False)
class Designs:
    """Measured designs, each of another network.

    Attributes:
        features: Of their genes, (n, n_features).
        values: Error, mean latency in cycles, mean energy in pJ: (n, 3).
        leaving: Share of inputs that leave at each exit of the space, the final one last: (n, n_exits); NaN where a
            design has none.
        right: Share that leave there with the right class: (n, n_exits).
        accuracy: Of each exit on all inputs: (n, n_exits).
        latency: Cycles up to each exit: (n, n_exits).
        energy: pJ up to each exit: (n, n_exits).
    """

    features: np.ndarray
    values: np.ndarray
    leaving: np.ndarray
    right: np.ndarray
    accuracy: np.ndarray
    latency: np.ndarray
    energy: np.ndarray

    def take(self, rows: np.ndarray) -> Designs:
        """Some of them."""
        return Designs(*(getattr(self, name)[rows] for name in self.__dataclass_fields__))


def drawn(study: TableStudy, encoding: GeneEncoding, rng: np.random.Generator) -> Designs:
    """One feasible random design of each network of the table."""
    found: dict[str, tuple[dict[str, int], DesignRecord]] = {}
    costing = study.costing()
    for _ in range(200 * len(study.architectures)):
        genes = study.space.random(rng)
        key = study.space.decode(genes).architecture.key()
        if key in found or not costing.meet([genes])[0]:
            continue
        found[key] = genes, study.evaluate(study.space.decode(genes))
        if len(found) == len(study.architectures):
            break
    records = [record for _, record in found.values()]
    rows = [_by_exit(study, record) for record in records]
    return Designs(
        encoding.features(encoding.matrix(genes for genes, _ in found.values())),
        np.array([(r.error, r.mean_latency_cycles, r.mean_energy_pj) for r in records]),
        *(np.array(column) for column in zip(*rows, strict=True)),
    )


def _by_exit(study: TableStudy, record: DesignRecord) -> list[np.ndarray]:
    costs = study.evaluator.hardware.cost_of(record.genome)
    leaving = np.array(record.exit_ratios)
    right = leaving * [0.0 if accuracy is None else accuracy for accuracy in record.leaving_accuracies]
    slots = [*(EXITS.index(block) for block in record.genome.architecture.exits), len(EXITS)]
    rows = []
    for values in (
        leaving,
        right,
        np.array(record.exit_accuracies),
        costs.latency_cycles[0],
        costs.energy_pj[0],
    ):
        row = np.full(len(EXITS) + 1, np.nan)
        row[slots] = values
        rows.append(row)
    return rows


def predict_columns(
    known: np.ndarray, values: np.ndarray, wanted: np.ndarray, n_genes: int
) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation of a measurement of each column, both (m, n_columns).

    Args:
        known: Features of measured designs, (n, n_features).
        values: Measured, (n, n_columns); NaN where there is nothing to measure.
        wanted: Features of the others, (m, n_features).
        n_genes: Genes with more than one choice.
    """
    means, deviations = [], []
    for column in values.T:
        there = ~np.isnan(column)
        features, target = known[there], column[there]
        model = ValueModel.of(features, target, n_genes, ValueModel.kernel(features, target, n_genes))
        mean, deviation = model.predict(wanted)
        means.append(mean)
        deviations.append(deviation)
    return np.stack(means, axis=1), np.stack(deviations, axis=1)


def from_exits(measured: Designs, others: Designs, n_genes: int) -> np.ndarray:
    """Objectives of other designs, (m, 3), by way of what leaves at each exit."""
    costs = np.stack([others.latency, others.energy], axis=2)
    models = LeavingModels(measured.features, measured.leaving, n_genes, {})
    leaving, _ = models.shares(others.features, ~np.isnan(others.latency))
    right, _ = predict_columns(measured.features, measured.right, others.features, n_genes)
    right = np.minimum(np.clip(right, 0.0, 1.0), leaving)
    return np.column_stack([1 - right.sum(axis=1), models.means(others.features, costs)[0]])


def compared(designs: Designs, n: int, n_genes: int, rng: np.random.Generator) -> dict[str, float]:
    """Figures of one random split into `n` measured designs and the rest."""
    order = rng.permutation(len(designs.values))
    measured, others = designs.take(order[:n]), designs.take(order[n:])
    mean, deviation = predict_columns(measured.features, measured.values, others.features, n_genes)
    ways = {"objectives": mean, "exits": from_exits(measured, others, n_genes)}
    figures: dict[str, float] = {}
    for way, values in ways.items():
        for column, name in enumerate(OBJECTIVES):
            truth = others.values[:, column]
            figures[f"{way}: {name}, rank correlation"] = rank_correlation(values[:, column], truth)
            relative = np.abs(values[:, column] - truth) / truth
            figures[f"{way}: {name}, median relative deviation"] = float(np.median(relative))
    for column, name in enumerate(OBJECTIVES):
        inside = np.abs(mean[:, column] - others.values[:, column]) <= _Z95 * deviation[:, column]
        figures[f"objectives: {name}, inside of the 95 % interval"] = float(inside.mean())
    accuracy, spread = predict_columns(measured.features, measured.accuracy, others.features, n_genes)
    there = ~np.isnan(others.accuracy)
    off = np.abs(accuracy - others.accuracy)[there]
    figures["accuracy of an exit, mean deviation in points"] = 100 * float(off.mean())
    figures["accuracy of an exit, rank correlation"] = rank_correlation(
        accuracy[there], others.accuracy[there]
    )
    figures["accuracy of an exit, inside of the 95 % interval"] = float((off <= _Z95 * spread[there]).mean())
    return figures


def means(figures: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Over seeds."""
    return {name: float(np.mean([f[name] for f in figures])) for name in figures[0]}


def parser() -> argparse.ArgumentParser:
    options = argparse.ArgumentParser(
        prog="python -m benchmarks.predictor",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    options.add_argument("table", type=Path, help="of `benchmarks.recorded_table record`")
    options.add_argument("--seeds", type=int, default=20)
    options.add_argument(
        "--measured", type=int, nargs="+", default=[20, 40, 80], metavar="N", help="designs known"
    )
    options.add_argument("--json", type=Path, metavar="FILE")
    return options


def main() -> int:
    options = parser().parse_args()
    try:
        study = TableStudy.load(options.table)
    except OfframpError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    encoding = GeneEncoding(study.space.genes(), study.space.ordered_genes())
    n_genes = sum(count > 1 for count in encoding.counts.values())
    found: dict[int, list[dict[str, float]]] = {n: [] for n in options.measured}
    started = time.perf_counter()
    for seed in range(options.seeds):
        rng = np.random.default_rng(seed)
        designs = drawn(study, encoding, rng)
        for n in options.measured:
            found[n].append(compared(designs, n, n_genes, rng))
        print(
            f"{seed + 1}/{options.seeds} {time.perf_counter() - started:.0f} s", file=sys.stderr, flush=True
        )
    result = {n: means(figures) for n, figures in found.items()}
    print(f"{'measured designs':64s}" + "".join(f"{n:>9d}" for n in result))
    for name in next(iter(result.values())):
        print(f"{name:64s}" + "".join(f"{figures[name]:9.3f}" for figures in result.values()))
    settings: dict[str, Any] = {"seeds": options.seeds, "networks": len(study.architectures)}
    write_json(
        options.json,
        {**{str(n): figures for n, figures in result.items()}, **provenance(("numpy",), **settings)},
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
