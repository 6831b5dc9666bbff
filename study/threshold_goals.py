"""What thresholds are chosen for: little cost above an accuracy floor, or much accuracy below a cost ceiling.

Both are the same search: a threshold vector gives ``right`` answers and has ``spent`` a sum of cost over the
samples, is feasible or not under a limit, and the best feasible one is wanted.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np
import numpy.typing as npt

from study.policy import FloatArray, IntArray

_DESIGNS_AT_ONCE = 1024  # times some thousand vectors: tens of megabytes


class Goal(Protocol):
    """A limit on one of accuracy and cost, and the wish for the best of the other."""

    @property
    def feasible_when_accurate(self) -> bool:
        """Whether the vectors of high accuracy and cost are the feasible ones."""
        ...

    def violation(self, right: npt.ArrayLike, spent: npt.ArrayLike, limit: npt.ArrayLike) -> FloatArray:
        """How far from feasible; at most 0: feasible. Shape: the limit's, broadcast with what it limits."""
        ...

    def rank(self, right: npt.ArrayLike, spent: npt.ArrayLike, whole: npt.ArrayLike) -> FloatArray:
        """What is to be small among feasible vectors; ``whole``: cost when no sample leaves early."""
        ...


class CheapestAboveFloor:
    """Least cost with at least ``limit`` right answers."""

    feasible_when_accurate = True

    def violation(self, right: npt.ArrayLike, spent: npt.ArrayLike, limit: npt.ArrayLike) -> FloatArray:
        """Missing right answers."""
        missing: FloatArray = np.asarray(limit, dtype=np.float64) - np.asarray(right)
        return missing

    def rank(self, right: npt.ArrayLike, spent: npt.ArrayLike, whole: npt.ArrayLike) -> FloatArray:
        """The cost."""
        return np.asarray(spent, dtype=np.float64)


class MostAccurateBelowCeiling:
    """Most right answers with ``spent`` at most ``limit``; the cheapest of those."""

    feasible_when_accurate = False

    def violation(self, right: npt.ArrayLike, spent: npt.ArrayLike, limit: npt.ArrayLike) -> FloatArray:
        """Cost above the ceiling; the rounding of a sum over samples does not count."""
        ceiling = np.asarray(limit, dtype=np.float64)
        over: FloatArray = np.asarray(spent, dtype=np.float64) - ceiling * (1 + 1e-12)
        return over

    def rank(self, right: npt.ArrayLike, spent: npt.ArrayLike, whole: npt.ArrayLike) -> FloatArray:
        """Wrong answers first; half an answer at most for the cost."""
        share = np.asarray(spent, dtype=np.float64) / np.where(np.asarray(whole) > 0, whole, 1.0)
        ranks: FloatArray = 0.5 * share - np.asarray(right)
        return ranks


def choose(counts: IntArray, right: IntArray, cost: FloatArray, goal: Goal, limits: FloatArray) -> IntArray:
    """Best feasible threshold vector for each design and limit; -1: none.

    Args:
        counts: (n_vectors, n_exits) samples that leave at each exit.
        right: (n_vectors,) right answers.
        cost: (n_designs, n_exits) cumulative cost of leaving at each exit.
        goal: what is wanted.
        limits: (n_designs, n_targets) of the goal, for all samples together.

    Returns:
        (n_designs, n_targets) indices.
    """
    chosen = np.full(limits.shape, -1)
    n_samples = int(counts[0].sum())
    for start in range(0, len(cost), _DESIGNS_AT_ONCE):
        some = slice(start, start + _DESIGNS_AT_ONCE)
        spent = cost[some] @ counts.T  # (n_some, n_vectors)
        ranks = goal.rank(right, spent, cost[some, -1:] * n_samples)
        for t in range(limits.shape[1]):
            wanted = np.where(goal.violation(right, spent, limits[some, t : t + 1]) <= 0, ranks, np.inf)
            best = wanted.argmin(axis=1)
            found = np.isfinite(wanted[np.arange(len(best)), best])
            chosen[some, t] = np.where(found, best, -1)
    return chosen
