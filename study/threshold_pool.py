"""Threshold vectors found so far, each with what it makes of the samples."""

from __future__ import annotations

import numpy as np

from study.policy import FloatArray, IntArray
from study.threshold_goals import Goal, choose
from study.threshold_table import SampleTable


class ThresholdPool:
    """Threshold vectors with their exit counts and right answers; each vector once."""

    def __init__(self, table: SampleTable) -> None:
        self.table = table
        self._seen: dict[bytes, int] = {}
        self._thresholds: list[FloatArray] = []
        self._counts: list[IntArray] = []
        self._right: list[int] = []

    def add(self, thresholds: FloatArray) -> int:
        """Index of the vector, new or known."""
        key = thresholds.tobytes()
        if key not in self._seen:
            counts, right = self.table.outcome(thresholds)
            self._seen[key] = len(self._thresholds)
            self._thresholds.append(thresholds)
            self._counts.append(counts)
            self._right.append(right)
        return self._seen[key]

    def vector(self, index: int) -> FloatArray:
        """One vector, (n_exits,)."""
        return self._thresholds[index]

    def thresholds(self) -> FloatArray:
        """All vectors, (n_pool, n_exits)."""
        return np.array(self._thresholds)

    def counts(self) -> IntArray:
        """Samples leaving at each exit, (n_pool, n_exits)."""
        return np.array(self._counts)

    def right(self) -> IntArray:
        """Right answers, (n_pool,)."""
        return np.array(self._right)

    def outcome(self, index: int, cost: FloatArray) -> tuple[int, float]:
        """Right answers of one vector, and its cost for all samples together; cost (n_exits,)."""
        return self._right[index], float(self._counts[index] @ cost)

    def choose(self, cost: FloatArray, goal: Goal, limits: FloatArray) -> IntArray:
        """``threshold_goals.choose`` among the vectors of the pool."""
        return choose(self.counts(), self.right(), cost, goal, limits)
