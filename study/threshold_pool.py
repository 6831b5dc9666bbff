"""Threshold vectors found so far, and the best of them for any design."""

from __future__ import annotations

import numpy as np

from study.policy import FloatArray, IntArray
from study.threshold_moves import SampleTable


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

    def right(self, index: int) -> int:
        """Right answers of one vector."""
        return self._right[index]

    def thresholds(self, index: int) -> FloatArray:
        """One vector, (n_exits,)."""
        return self._thresholds[index]

    def counts(self) -> IntArray:
        """Samples leaving at each exit, (n_pool, n_exits)."""
        return np.array(self._counts)

    def rights(self) -> IntArray:
        """Right answers, (n_pool,)."""
        return np.array(self._right)

    def choose(self, edp: FloatArray, floors: IntArray) -> IntArray:
        """Cheapest feasible vector for each design and floor, (n_designs, n_floors); -1: none."""
        spent = edp @ self.counts().T  # (n_designs, n_pool)
        right = self.rights()
        chosen = np.full((len(edp), len(floors)), -1)
        for t, floor in enumerate(floors):
            feasible = np.flatnonzero(right >= floor)
            if feasible.size:
                chosen[:, t] = feasible[spent[:, feasible].argmin(axis=1)]
        return chosen
