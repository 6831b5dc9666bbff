"""Whether one group of runs is better than another: rank tests over seeds, with the size of the effect."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

TestName = Literal["wilcoxon", "mann-whitney"]


@dataclass(frozen=True)
class RankTest:
    """Two groups of runs compared by one indicator.

    Attributes:
        indicator: `hypervolume` or `igd_plus`.
        first: Label of the first group.
        second: Of the second.
        test: `wilcoxon` (signed ranks) where the runs of both have the same seeds, which pairs them; otherwise
            `mann-whitney`.
        statistic: Of the test.
        p: Two-sided.
        p_holm: The same after Holm's correction for all pairs of the comparison.
        superiority: Probability that a run of the first group is better than one of the second, ties counted half
            (Vargha and Delaney 2000); 0.5 means no difference.
        median_difference: Median of the first group minus that of the second.
    """

    indicator: str
    first: str
    second: str
    test: TestName
    statistic: float
    p: float
    p_holm: float
    superiority: float
    median_difference: float


def rank_test(first: Sequence[float], second: Sequence[float], paired: bool) -> tuple[TestName, float, float]:
    """Name, statistic and two-sided p of the test for two groups.

    Args:
        first: An indicator of each run.
        second: Of each run of the other group; in the same order of seeds where paired.
        paired: Whether equal positions have equal seeds.
    """
    from scipy import stats

    one, other = _finite(first, second)
    if paired:
        differences = np.subtract(one, other)
        if not differences.any():
            return "wilcoxon", 0.0, 1.0
        result = stats.wilcoxon(differences)
        return "wilcoxon", float(result.statistic), float(result.pvalue)
    result = stats.mannwhitneyu(one, other, alternative="two-sided")
    return "mann-whitney", float(result.statistic), float(result.pvalue)


def _finite(first: Sequence[float], second: Sequence[float]) -> tuple[np.ndarray, np.ndarray]:
    """The same with a number above all others for infinity, the IGD+ of runs that found nothing: these tie."""
    values = np.array([*first, *second], dtype=np.float64)
    finite = values[np.isfinite(values)]
    largest = finite.max() + max(1.0, np.ptp(finite)) if finite.size else 0.0
    values = np.where(np.isposinf(values), largest, values)
    return values[: len(first)], values[len(first) :]


def superiority(first: Sequence[float], second: Sequence[float], more_is_better: bool) -> float:
    """Probability that one of the first is better than one of the second, ties counted half."""
    one, other = np.asarray(first), np.asarray(second)
    better = np.greater.outer(one, other) if more_is_better else np.less.outer(one, other)
    return float((better + 0.5 * np.equal.outer(one, other)).mean())


def holm(p: Sequence[float]) -> list[float]:
    """p values corrected for so many tests (Holm, Scandinavian J. of Statistics 6, 1979)."""
    order = np.argsort(p)
    corrected = np.maximum.accumulate([(len(p) - rank) * p[i] for rank, i in enumerate(order)])
    values = np.empty(len(p))
    values[order] = np.minimum(corrected, 1.0)
    return values.tolist()
