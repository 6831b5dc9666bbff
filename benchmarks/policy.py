"""Thresholds per exit beside one shared threshold (arXiv 2512.04705) and the rule of NACHOS (arXiv 2401.13330).

    python -m benchmarks.policy --json policy.json
    python -m benchmarks.policy --predictions runs/cifar10-small/predictions --json policy.json

Thresholds are chosen on a calibration split and measured on a validation split that the choice never saw: on drawn
predictions, on small networks trained on scikit-learn's digits, and, where `--predictions` names them, on the trained
networks of a finished study. All products are relative to the same network without early exits.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.harness import Timing, bad_input_in_one_line, interleaved, provenance, write_json
from benchmarks.policy_cases import Case, drawn, stored, trained, without_temperature
from benchmarks.policy_nachos import repaired_thresholds
from models.exit_policy import ExitPolicy
from models.scores import SCORES, ScoreName
from study.policy import OperatingPoint, apply_policy
from study.shared_threshold import PAPER_GRID, bounded_shared_many
from study.threshold_goals import CheapestAboveFloor, Goal, MostAccurateBelowCeiling, choose
from study.threshold_table import SampleTable
from study.thresholds import tune_accuracy, tune_many

DROPS = (0.0, 0.005, 0.01, 0.02)
CEILINGS = (0.3, 0.4, 0.5, 0.6, 0.7)
NACHOS_DROP = 0.02
SWEEP = tuple(np.linspace(-0.01, 0.06, 15).tolist())
SEARCHED_DROPS = (0.0, 0.005, 0.01, 0.02, 0.04)

Rows = list[dict[str, Any]]


def shared(case: Case, goal: Goal, limit: float, grid: Iterable[float] | None = None) -> np.ndarray:
    """The best shared threshold: of all values there are, or of a grid; never early where none is feasible."""
    table = SampleTable.of(case.calibration)
    n_exits = table.n_exits
    if grid is None:
        values, counts, right = table.shared_front()
    else:
        values = np.array(sorted(grid))
        outcomes = [table.outcome(ExitPolicy.shared(value, n_exits).thresholds) for value in values]
        counts, right = np.array([c for c, _ in outcomes]), np.array([r for _, r in outcomes])
    best = int(choose(counts, right, case.edp[None], goal, np.array([[limit]]))[0, 0])
    policy = ExitPolicy.shared(float(values[best]), n_exits) if best >= 0 else ExitPolicy.never_early(n_exits)
    return policy.thresholds


def above_floor(case: Case, drop: float) -> dict[str, np.ndarray]:
    """Thresholds of each method that keep accuracy within a drop on the calibration split."""
    floor = SampleTable.of(case.calibration).floor(drop)
    goal = CheapestAboveFloor()
    tuned = (case.calibration, case.latency_cycles, case.energy_pj)
    return {
        "per exit": tune_many(*tuned, [drop]).thresholds[0, 0],
        "per exit, every value": tune_many(*tuned, [drop], levels=case.n_calibration).thresholds[0, 0],
        "shared, any value": shared(case, goal, floor),
        "shared, grid of the paper": shared(case, goal, floor, PAPER_GRID),
    }


def below_ceiling(case: Case, share: float) -> dict[str, np.ndarray]:
    """Thresholds of each method for a ceiling on the product, relative to never leaving early."""
    ceiling = share * float(case.edp[-1])
    costs = (case.latency_cycles, case.energy_pj)
    n_samples = case.n_calibration
    least = float(case.calibration.accuracies[-1]) - NACHOS_DROP
    return {
        "per exit": tune_accuracy(case.calibration, case.edp, [ceiling]).thresholds[0, 0],
        "shared, any value": shared(case, MostAccurateBelowCeiling(), ceiling * n_samples),
        "shared, grid of the paper": bounded_shared_many(case.calibration, *costs, case.edp[-1], [share])[
            0, 0
        ],
        "NACHOS": repaired_thresholds(case.calibration, case.edp, ceiling, least),
    }


def compare(
    kind: str,
    cases: list[Case],
    limits: Iterable[float],
    methods: Callable[[Case, float], dict[str, np.ndarray]],
) -> Rows:
    """One row a limit and method: medians over cases of what the thresholds give on both splits."""
    rows: Rows = []
    for limit in limits:
        found: dict[str, list[tuple[OperatingPoint, OperatingPoint, Case]]] = {}
        for case in cases:
            for method, thresholds in methods(case, limit).items():
                points = [measure(case, split, thresholds) for split in (case.calibration, case.validation)]
                found.setdefault(method, []).append((points[0], points[1], case))
        for method, results in found.items():
            static = [(c.calibration.accuracies[-1], c.validation.accuracies[-1]) for *_, c in results]
            rows.append(
                {
                    "case": kind,
                    "limit": limit,
                    "method": method,
                    "n": len(results),
                    "edp_calibration": summary(a.mean_edp_pj_cycles / c.edp[-1] for a, _, c in results),
                    "edp_validation": summary(b.mean_edp_pj_cycles / c.edp[-1] for _, b, c in results),
                    "accuracy_change_calibration": summary(
                        a.accuracy - s[0] for (a, *_), s in zip(results, static, strict=True)
                    ),
                    "accuracy_change_validation": summary(
                        b.accuracy - s[1] for (_, b, _), s in zip(results, static, strict=True)
                    ),
                }
            )
    return rows


def equal_accuracy(kind: str, cases: list[Case]) -> Rows:
    """How much dearer the other methods are than thresholds per exit that are at least as accurate."""
    rows: Rows = []
    for name in ("shared, any value", "shared, grid of the paper", "NACHOS"):
        ratios, met = [], []
        for case in cases:
            for share in CEILINGS:
                theirs = measure(case, case.calibration, below_ceiling(case, share)[name])
                drop = float(case.calibration.accuracies[-1]) - theirs.accuracy
                tuned = (case.calibration, case.latency_cycles, case.energy_pj, [drop])
                ours = tune_many(*tuned, levels=case.n_calibration)  # the calibration split alone is compared
                ratios.append(theirs.mean_edp_pj_cycles / float(ours.mean_cost[0, 0]))
                met.append(theirs.mean_edp_pj_cycles <= share * case.edp[-1] * (1 + 1e-9))
        rows.append(
            {
                "case": kind,
                "method": name,
                "n": len(ratios),
                "edp_over_per_exit_at_equal_accuracy": summary(ratios),
                "ceiling_met": float(np.mean(met)),
            }
        )
    return rows


def fronts(case: Case) -> dict[str, np.ndarray]:
    """Many thresholds (n_points, n_exits) of each method, from cautious to bold."""
    tuned = (case.calibration, case.latency_cycles, case.energy_pj, SWEEP)
    table, goal = SampleTable.of(case.calibration), CheapestAboveFloor()
    n_exits = table.n_exits
    least = float(case.calibration.accuracies[-1]) - max(SWEEP)
    ceilings = np.linspace(0.1, 1.0, len(SWEEP)) * case.edp[-1]
    return {
        "per exit": tune_many(*tuned).thresholds[0],
        "per exit, every value": tune_many(*tuned, levels=case.n_calibration).thresholds[0],
        "shared, any value": np.array([shared(case, goal, table.floor(drop)) for drop in SWEEP]),
        "shared, grid of the paper": np.array([ExitPolicy.shared(v, n_exits).thresholds for v in PAPER_GRID]),
        "NACHOS": np.array(
            [repaired_thresholds(case.calibration, case.edp, ceiling, least) for ceiling in ceilings]
        ),
    }


def held_out(kind: str, cases: list[Case]) -> Rows:
    """Least product of each method's front at an accuracy that both are read from on VALIDATION.

    A floor that is kept on the calibration split is missed by a little on other samples, the more the freer the
    choice was. Here every method offers a front, and the product at equal held-out accuracy is compared.
    """
    least: dict[tuple[str, float], list[float]] = {}
    for case in cases:
        static = float(case.validation.accuracies[-1])
        for method, thresholds in fronts(case).items():
            points = [measure(case, case.validation, row) for row in thresholds]
            for drop in (0.005, 0.01, 0.02):
                enough = [p.mean_edp_pj_cycles for p in points if p.accuracy >= static - drop - 1e-9]
                least.setdefault((method, drop), []).append(min(enough, default=case.edp[-1]) / case.edp[-1])
    return [
        {
            "case": kind,
            "limit": drop,
            "method": method,
            "n": len(values),
            "edp_validation": summary(values),
            "edp_over_per_exit": summary(np.array(values) / least["per exit", drop]),
        }
        for (method, drop), values in sorted(least.items(), key=lambda item: item[0][1])
    ]


def by_score(kind: str, cases: list[Case], drop: float = 0.01) -> Rows:
    """Thresholds per exit and shared ones for every score, with temperatures and, given logits, without."""
    rows: Rows = []
    for scaled in (True, False):
        some = cases if scaled else [without_temperature(case) for case in cases if case.raw]
        for score in SCORES:
            results = [_of_score(case, score, drop) for case in some]
            if not some or not all(results):
                continue
            for search in ("per exit", "shared"):
                points = [(found[search], case) for found, case in zip(results, some, strict=True)]
                rows.append(
                    {
                        "case": kind,
                        "score": score,
                        "temperatures": scaled,
                        "thresholds": search,
                        "n": len(points),
                        "edp_validation": summary(p.mean_edp_pj_cycles / c.edp[-1] for p, c in points),
                        "accuracy_change_validation": summary(
                            p.accuracy - c.validation.accuracies[-1] for p, c in points
                        ),
                    }
                )
    return rows


def _of_score(case: Case, score: ScoreName, drop: float) -> dict[str, OperatingPoint]:
    """Validation results of one score; nothing where it was not measured."""
    if score == "patience" and case.calibration.predicted is None:
        return {}
    costs = (case.latency_cycles, case.energy_pj)
    table = SampleTable.of(case.calibration, score)
    values, counts, right = table.shared_front()
    limit = np.array([[table.floor(drop)]])
    best = int(choose(counts, right, case.edp[None], CheapestAboveFloor(), limit)[0, 0])
    thresholds = {
        "per exit": tune_many(case.calibration, *costs, [drop], score).thresholds[0, 0],
        "shared": ExitPolicy.shared(float(values[best]), table.n_exits).thresholds,
    }
    return {name: apply_policy(case.validation, row, *costs, score) for name, row in thresholds.items()}


def calibration(kind: str, cases: list[Case]) -> Rows:
    """Expected calibration error on validation, before and after, median over cases and exits."""
    known = [case.validation for case in cases if case.validation.raw_calibration_errors is not None]
    if not known:
        return []
    return [
        {
            "case": kind,
            "n": len(known),
            "before": summary(e for v in known for e in v.raw_calibration_errors),  # type: ignore[union-attr]
            "after": summary(e for v in known for e in v.calibration_errors),
        }
    ]


def search_time(options: argparse.Namespace) -> Rows:
    """Seconds to choose thresholds for many designs and five targets of one network of 5,000 samples."""
    rows: Rows = []
    for n_designs in options.designs:
        rows += [
            {"goal": goal, "designs": n_designs, "targets": len(CEILINGS), "time": Timing.of(values)}
            for goal, values in interleaved(searches(n_designs), options.rounds, warmups=0).items()
        ]
    return rows


def searches(n_designs: int) -> dict[str, Callable[[], object]]:
    """Both searches of a drawn network on designs whose segments differ by a fifth."""
    case = drawn(0)
    spread = np.random.default_rng(n_designs).uniform(0.8, 1.2, (2, n_designs, case.calibration.n_exits))
    latency = np.cumsum(np.diff(case.latency_cycles, prepend=0) * spread[0], axis=1)
    energy = np.cumsum(np.diff(case.energy_pj, prepend=0) * spread[1], axis=1)
    ceilings = np.array(CEILINGS) * case.edp[-1]
    return {
        "accuracy floor": lambda: tune_many(case.calibration, latency, energy, SEARCHED_DROPS),
        "cost ceiling": lambda: tune_accuracy(case.calibration, latency * energy, ceilings),
    }


def measure(case: Case, split: Any, thresholds: np.ndarray) -> OperatingPoint:
    return apply_policy(split, thresholds, case.latency_cycles, case.energy_pj)


def summary(values: Iterable[float]) -> dict[str, float]:
    """Median and quartiles."""
    low, middle, high = np.quantile([float(v) for v in values], [0.25, 0.5, 0.75])
    return {"median": middle, "lower_quartile": low, "upper_quartile": high}


def show(title: str, rows: Rows, columns: dict[str, Callable[[dict[str, Any]], str]]) -> None:
    """Prints a table."""
    if rows:
        print(f"\n{title}")
        print("".join(f"{name:>27s}" if i else f"{name:<10s}" for i, name in enumerate(columns)))
        for row in rows:
            cells = [text(row) for text in columns.values()]
            print("".join(f"{cell:>27s}" if i else f"{cell:<10s}" for i, cell in enumerate(cells)))


def percent(key: str, digits: int = 1) -> Callable[[dict[str, Any]], str]:
    return lambda row: f"{100 * row[key]['median']:.{digits}f} %"


def report(result: dict[str, Rows]) -> None:
    """Prints medians."""
    points = {
        "product, calibration": percent("edp_calibration"),
        "product, validation": percent("edp_validation"),
        "accuracy, validation": percent("accuracy_change_validation", 2),
    }
    start = {"case": lambda row: row["case"]}
    limit = {"limit": lambda row: f"{100 * row['limit']:.1f} %", "method": lambda row: row["method"]}
    show("Cheapest within an accuracy drop", result["floor"], start | limit | points)
    show("Most accurate below a product", result["ceiling"], start | limit | points)
    show(
        "Product of other methods over thresholds per exit (every value) as accurate on the calibration split",
        result["equal_accuracy"],
        {
            **start,
            "method": lambda row: row["method"],
            "product": lambda row: f"{row['edp_over_per_exit_at_equal_accuracy']['median']:.3f} x",
            "ceiling met": lambda row: f"{100 * row['ceiling_met']:.0f} %",
        },
    )
    show(
        "At equal accuracy on validation",
        result["held_out"],
        {
            **start,
            **limit,
            "product, validation": percent("edp_validation"),
            "over per exit": lambda row: f"{row['edp_over_per_exit']['median']:.3f} x",
        },
    )
    show(
        "Scores, accuracy drop of 1 point",
        result["scores"],
        {
            **start,
            "score": lambda row: row["score"],
            "thresholds": lambda row: row["thresholds"],
            "temperatures": lambda row: "fitted" if row["temperatures"] else "1",
            "product, validation": percent("edp_validation"),
            "accuracy, validation": percent("accuracy_change_validation", 2),
        },
    )
    show(
        "Expected calibration error on validation, median over exits",
        result["calibration_error"],
        {**start, "before": percent("before"), "after": percent("after")},
    )
    show(
        "Time of the search",
        result["time"],
        {
            "designs": lambda row: str(row["designs"]),
            "targets": lambda row: str(row["targets"]),
            "goal": lambda row: row["goal"],
            "median": lambda row: f"{row['time'].median_seconds:.2f} s",
        },
    )


def main() -> None:
    """Runs the command."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.policy", description=__doc__)
    parser.add_argument("--seeds", type=int, default=10, help="drawn networks")
    parser.add_argument("--trained", type=int, default=5, help="networks trained on digits, 10 s each")
    parser.add_argument("--predictions", type=Path, metavar="FOLDER", help="of a run on the paper's backbone")
    parser.add_argument("--width", type=float, default=0.25, help="of that backbone")
    parser.add_argument("--designs", type=int, nargs="*", default=[1, 100, 3000])
    parser.add_argument("--rounds", type=int, default=3, help="of the timing")
    parser.add_argument("--json", type=Path, metavar="FILE")
    options = parser.parse_args()
    with bad_input_in_one_line():  # before minutes are spent on the others
        of_run = stored(options.predictions, options.width, 32, 10) if options.predictions else []
    started = time.perf_counter()
    kinds = {
        "drawn": [drawn(seed) for seed in range(options.seeds)],
        "digits": [trained(seed) for seed in range(options.trained)],
        "stored": of_run,
    }
    kinds = {kind: cases for kind, cases in kinds.items() if cases}
    result = {
        "floor": [row for k, c in kinds.items() for row in compare(k, c, DROPS, above_floor)],
        "ceiling": [row for k, c in kinds.items() for row in compare(k, c, CEILINGS, below_ceiling)],
        "equal_accuracy": [row for k, c in kinds.items() for row in equal_accuracy(k, c)],
        "held_out": [row for k, c in kinds.items() for row in held_out(k, c)],
        "scores": [row for k, c in kinds.items() for row in by_score(k, c)],
        "calibration_error": [row for k, c in kinds.items() for row in calibration(k, c)],
        "time": search_time(options),
    }
    report(result)
    print(f"\n{time.perf_counter() - started:.0f} s")
    settings = {key: value for key, value in vars(options).items() if key not in ("json", "predictions")}
    run = options.predictions.resolve().parent.name if options.predictions else None
    write_json(options.json, {**result, **provenance(("numpy", "torch", "brevitas"), run=run, **settings)})


if __name__ == "__main__":
    main()
