"""Runs compared: everything that `python -m study.compare` prints and a figure of it needs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd

from hwcost.errors import OfframpError
from study.compare_indicators import Scale, attainment_surface, non_dominated
from study.compare_tests import RankTest, holm, rank_test, superiority
from study.metrics import metric_named
from study.results import RunResults

Points = tuple[tuple[float, ...], ...]

PERCENTS = (25.0, 50.0, 75.0)
_CHECKPOINTS = 60
_DEFAULT_OBJECTIVES = ("error", "mean_latency", "mean_energy")


@dataclass(frozen=True)
class Trajectory:
    """How far a run was after some of its trials; empty where none is finished.

    Attributes:
        trials: Finished proposals.
        seconds: Since its first trial began; NaN where it was not recorded.
        hypervolume: Of everything evaluated until then.
    """

    trials: tuple[int, ...]
    seconds: tuple[float, ...]
    hypervolume: tuple[float, ...]


@dataclass(frozen=True)
class RunScore:
    """One run.

    Attributes:
        name: Of the study.
        seed: Of the study.
        sampler: Of the study.
        trials: Finished proposals.
        front: Members of its front.
        hypervolume: Share of the box between the ideal and the common reference point, 0 to 1.
        igd_plus: Distance of the joint front from the run's, in ranges of the joint front; 0 is best.
        trajectory: On the way there.
    """

    name: str
    seed: int
    sampler: str
    trials: int
    front: int
    hypervolume: float
    igd_plus: float
    trajectory: Trajectory


@dataclass(frozen=True)
class Surface:
    """An empirical attainment surface.

    Attributes:
        percent: Of the label's runs that attain it.
        points: (n, n_objectives); none with another number of objectives than 2 or 3.
    """

    percent: float
    points: Points


@dataclass(frozen=True)
class LabelScore:
    """All runs of one label.

    Attributes:
        label: As given.
        runs: In the order given.
        surfaces: Attained by a quarter, half and three quarters of the runs.
        attained: For each member of the joint front the share of runs with something as good.
    """

    label: str
    runs: tuple[RunScore, ...]
    surfaces: tuple[Surface, ...]
    attained: tuple[float, ...]

    def values(self, indicator: str) -> list[float]:
        """`hypervolume` or `igd_plus` of each run."""
        return [getattr(run, indicator) for run in self.runs]

    def median(self, indicator: str) -> float:
        """Median over the runs."""
        return float(np.median(self.values(indicator)))


@dataclass(frozen=True)
class Comparison:
    """The comparison of several runs.

    Attributes:
        objectives: Columns with units, all minimised.
        reference: The common reference point, in these units.
        joint_front: The best of all runs together.
        joint_labels: For each member of the joint front the labels that have it.
        labels: One entry a label.
        tests: Every pair of labels with at least two runs each.
        differences: Values of the configuration in which runs differ, with the value of each run.
    """

    objectives: tuple[str, ...]
    reference: tuple[float, ...]
    joint_front: Points
    joint_labels: tuple[tuple[str, ...], ...]
    labels: tuple[LabelScore, ...]
    tests: tuple[RankTest, ...]
    differences: Mapping[str, tuple[Any, ...]]


def compare_runs(groups: Mapping[str, Sequence[RunResults]]) -> Comparison:
    """Compares groups of runs by their fronts.

    Args:
        groups: Runs by label; the runs of a label differ in their seeds.

    Raises:
        OfframpError: Runs differ in objectives or data, or none of them has a feasible design.
    """
    runs = [run for group in groups.values() for run in group]
    if len(runs) < 2:
        raise OfframpError(f"expected at least two runs to compare, got {len(runs)}; name another folder")
    _check_comparable(runs)
    columns = _columns(runs)
    fronts = {label: [_front(run, columns) for run in group] for label, group in groups.items()}
    everything = [front for group in fronts.values() for front in group]
    if not sum(map(len, everything)):
        raise OfframpError("expected a feasible trained design in some run, got none; run more trials")
    scale = Scale.of(everything)
    labels = tuple(
        LabelScore(
            label=label,
            runs=tuple(
                _score(run, front, columns, scale) for run, front in zip(group, fronts[label], strict=True)
            ),
            surfaces=tuple(Surface(p, _points(attainment_surface(fronts[label], p))) for p in PERCENTS),
            attained=tuple(scale.attained(fronts[label]).tolist()),
        )
        for label, group in groups.items()
    )
    owners = [
        tuple(label for label, group in fronts.items() if any((f == member).all(axis=1).any() for f in group))
        for member in scale.joint
    ]
    return Comparison(
        objectives=columns,
        reference=tuple(scale.reference.tolist()),
        joint_front=_points(scale.joint),
        joint_labels=tuple(owners),
        labels=labels,
        tests=_tests(labels),
        differences=_differences(runs),
    )


def _check_comparable(runs: Sequence[RunResults]) -> None:
    first = runs[0]
    for run in runs[1:]:
        for what, mine, theirs in (
            ("objectives", _names(first), _names(run)),
            ("data", _data(first), _data(run)),
        ):
            if mine != theirs:
                raise OfframpError(
                    f"expected runs with equal {what}, got {_said(mine)} in {first.name} and {_said(theirs)} in "
                    f"{run.name}; compare runs that answer one question"
                )


def _said(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, tuple) else str(value)


def _names(run: RunResults) -> tuple[str, ...]:
    return tuple(run.config.get("search", {}).get("objectives", _DEFAULT_OBJECTIVES))


def _data(run: RunResults) -> str:
    data = run.environment.get("data", {})
    return f"{data.get('name')} (fingerprint {str(data.get('fingerprint'))[:12]})"


def _columns(runs: Sequence[RunResults]) -> tuple[str, ...]:
    """In seconds and joules, which compare whatever the clocks are; in cycles where a run has nothing else."""
    names = _names(runs[0])
    in_seconds = tuple(metric_named(name).column(seconds=True) for name in names)
    there = [set(run.designs.columns) | {"error"} for run in runs]
    if all(set(in_seconds) <= columns for columns in there):
        return in_seconds
    return tuple(metric_named(name).column(seconds=False) for name in names)


def _values(frame: pd.DataFrame, columns: Sequence[str]) -> np.ndarray:
    if not len(frame):
        return np.zeros((0, len(columns)))
    parts = [1.0 - frame["accuracy"] if name == "error" else frame[name] for name in columns]
    return np.stack([part.to_numpy(dtype=float) for part in parts], axis=1)


def _front(run: RunResults, columns: Sequence[str]) -> np.ndarray:
    return non_dominated(_values(run.pareto, columns))


def _score(run: RunResults, front: np.ndarray, columns: Sequence[str], scale: Scale) -> RunScore:
    search = run.config.get("search", {})
    return RunScore(
        name=run.name,
        seed=int(run.environment.get("seeds", {}).get("study", search.get("seed", 0))),
        sampler=search.get("sampler", "nsga2"),
        trials=int((run.trials["state"] == "COMPLETE").sum()) if len(run.trials) else 0,
        front=len(front),
        hypervolume=scale.hypervolume(front),
        igd_plus=scale.igd_plus(front),
        trajectory=_trajectory(run, columns, scale),
    )


def _trajectory(run: RunResults, columns: Sequence[str], scale: Scale) -> Trajectory:
    done = run.trials[run.trials["state"] == "COMPLETE"] if len(run.trials) else run.trials
    if not len(done):
        return Trajectory((), (), ())
    done = done.sort_values("finished_seconds", kind="stable")
    order = {trial: rank for rank, trial in enumerate(done["trial"])}
    # Only what may be on a front: fronts are made of the longest training.
    eligible = run.designs[run.designs["feasible"].astype(bool)]
    if "rung" in eligible:
        longest = len(run.config.get("search", {}).get("rungs", [1.0])) - 1
        eligible = eligible[pd.to_numeric(eligible["rung"]) >= longest]
    rank = eligible["trial"].map(order).to_numpy(dtype=float)
    values = _values(eligible, columns)
    counts = np.unique(np.linspace(1, len(done), min(_CHECKPOINTS, len(done))).astype(int))
    seconds = done["finished_seconds"].to_numpy(dtype=float)
    return Trajectory(
        trials=tuple(counts.tolist()),
        seconds=tuple(seconds[counts - 1].tolist()),
        hypervolume=tuple(scale.hypervolume(values[rank < count]) for count in counts),
    )


def _tests(labels: Sequence[LabelScore]) -> tuple[RankTest, ...]:
    found: list[RankTest] = []
    for indicator, more_is_better in (("hypervolume", True), ("igd_plus", False)):
        made = []
        for one, two in combinations(labels, 2):
            if min(len(one.runs), len(two.runs)) < 2:
                continue
            paired, first, second = _by_seed(one, two, indicator)
            name, statistic, p = rank_test(first, second, paired)
            better = superiority(first, second, more_is_better)
            middle = one.median(indicator) - two.median(indicator)
            made.append(RankTest(indicator, one.label, two.label, name, statistic, p, p, better, middle))
        corrected = holm([test.p for test in made])
        found += [replace(test, p_holm=p) for test, p in zip(made, corrected, strict=True)]
    return tuple(found)


def _by_seed(one: LabelScore, two: LabelScore, indicator: str) -> tuple[bool, list[float], list[float]]:
    """Whether seeds pair the runs, and the values of both groups, in order of seeds where they do."""
    seeds = [[run.seed for run in label.runs] for label in (one, two)]
    first, second = one.values(indicator), two.values(indicator)
    if sorted(seeds[0]) != sorted(seeds[1]) or len(set(seeds[0])) != len(seeds[0]):
        return False, first, second
    order = [np.argsort(s) for s in seeds]
    return True, [first[i] for i in order[0]], [second[i] for i in order[1]]


def _differences(runs: Sequence[RunResults]) -> dict[str, tuple[Any, ...]]:
    """Settings of the configurations that are not the same in all runs; folders and names left out."""
    flat = [
        {f"{section}.{key}": value for section, keys in run.config.items() if section != "run"
         for key, value in keys.items()}
        for run in runs
    ]  # fmt: skip
    keys = sorted({key for values in flat for key in values} - {"search.workers", "data.source"})
    columns = {key: tuple(values.get(key) for values in flat) for key in keys}
    return {key: values for key, values in columns.items() if any(v != values[0] for v in values)}


def _points(values: np.ndarray) -> Points:
    return tuple(tuple(row) for row in values.tolist())
