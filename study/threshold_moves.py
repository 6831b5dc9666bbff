"""Moves in the space of thresholds: one exit's threshold at a time, every value of it at once.

With the other thresholds fixed, sort the samples that arrive at exit j by falling confidence: the samples
that leave are a prefix of that order, so two cumulative sums give cost and number of right answers for EVERY
threshold of exit j. Only a position where the next confidence differs is a threshold that exists (samples of
one confidence leave together), which is what makes the sums agree with ``apply_policy`` to the last sample.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from study.policy import FloatArray, IntArray, checked_predictions, exit_taken

if TYPE_CHECKING:
    from models.predictions import ExitPredictions


@dataclass(frozen=True, eq=False)
class SampleTable:
    """One split's samples, sorted once per exit.

    Attributes:
        confidence: (n_exits, n_samples).
        correct: (n_exits, n_samples) 0 or 1.
        order: (n_exits, n_samples) sample indices by falling confidence.
    """

    confidence: FloatArray
    correct: IntArray
    order: IntArray

    @classmethod
    def of(cls, predictions: ExitPredictions) -> SampleTable:
        """Checks and sorts the predictions."""
        confidence, correct = checked_predictions(predictions)
        columns = np.ascontiguousarray(confidence.T)
        return cls(
            confidence=columns,
            correct=np.ascontiguousarray(correct.T.astype(np.int64)),
            order=np.argsort(-columns, axis=1, kind="stable"),
        )

    @property
    def n_exits(self) -> int:
        """Exits, the last included."""
        return int(self.confidence.shape[0])

    @property
    def n_samples(self) -> int:
        """Samples."""
        return int(self.confidence.shape[1])

    @property
    def never_early_correct(self) -> int:
        """Right answers when every sample runs to the last exit."""
        return int(self.correct[-1].sum())

    def outcome(self, thresholds: FloatArray) -> tuple[IntArray, int]:
        """Samples that leave at each exit (n_exits,), and right answers in total."""
        taken = exit_taken(self.confidence.T, thresholds)
        right = int(self.correct[taken, np.arange(self.n_samples)].sum())
        return np.bincount(taken, minlength=self.n_exits), right

    def floor(self, target_drop: float) -> int:
        """Fewest right answers that keep accuracy within ``target_drop`` of never leaving early.

        The small term undoes the rounding of the fraction (0.9 - 0.01 is not 0.89); it is far below one
        sample.
        """
        wanted = self.never_early_correct - target_drop * self.n_samples
        return int(np.ceil(wanted - 1e-7))

    def shared_outcomes(self) -> tuple[FloatArray, IntArray]:
        """Every threshold that all exits could share, at once.

        A sample leaves at exit k under a shared threshold t exactly if the largest confidence of exits 0..k
        reaches t and that of exits 0..k-1 does not, so sums over the sorted running maxima are enough.

        Returns:
            thresholds (m,) rising, right answers (m,).
        """
        if self.n_exits == 1:
            return np.array([np.inf]), np.array([self.never_early_correct])
        best = np.maximum.accumulate(self.confidence[:-1], axis=0)
        thresholds = np.append(np.unique(best), np.inf)
        right = np.full(len(thresholds), self.never_early_correct)
        for k in range(self.n_exits - 1):
            # Those who left by exit k are right if exit k is, instead of if exit k + 1 is.
            right += _weight_from(best[k], self.correct[k] - self.correct[k + 1], thresholds)
        return thresholds, right


def _weight_from(values: FloatArray, weights: IntArray, thresholds: FloatArray) -> IntArray:
    """Sum of the weights (n,) of ``values`` (n,) that are at least each threshold (m,)."""
    order = np.argsort(values)
    start = np.searchsorted(values[order], thresholds, side="left")
    above = np.append(np.cumsum(weights[order][::-1])[::-1], 0)
    return above[start]


def descend(table: SampleTable, thresholds: FloatArray, cost: FloatArray, price: float) -> FloatArray:
    """Minimises mean cost - price x accuracy by coordinate descent.

    Args:
        table: the samples.
        thresholds: (n_exits,) where to start.
        cost: (n_exits,) cumulative cost of leaving at each exit, any unit.
        price: what one unit of accuracy is worth, in units of cost.

    Returns:
        (n_exits,) thresholds that no change of a single one improves, or what eight sweeps gave.
    """
    thresholds = thresholds.copy()
    last = table.n_exits - 1
    worth = cost[:, None] - price * table.correct
    for _ in range(8):
        before = thresholds.copy()
        arrives = _arrivals(table, thresholds)
        follow = worth[last].copy()  # worth of the exit a sample takes if it does not leave at exit j
        for j in range(last - 1, -1, -1):
            here = table.order[j][arrives[j][table.order[j]]]
            thresholds[j] = np.inf
            if here.size:
                gain = np.cumsum(worth[j][here] - follow[here])
                values = table.confidence[j][here]
                gain[:-1][values[1:] == values[:-1]] = np.inf  # a tie cannot be cut
                best = int(gain.argmin())
                if gain[best] < 0:
                    thresholds[j] = values[best]
            passes = table.confidence[j] >= thresholds[j]
            follow[passes] = worth[j][passes]
        if np.array_equal(before, thresholds):
            break
    return thresholds


def lowest_feasible(
    table: SampleTable, thresholds: FloatArray, cost: FloatArray, floor: int
) -> FloatArray | None:
    """The best change of ONE threshold that keeps (or reaches) the floor.

    Because cost is cumulative, a lower threshold is never dearer, so for each exit the candidate is the
    lowest threshold with enough right answers; among exits the one with the least cost is taken.

    Args:
        table: the samples.
        thresholds: (n_exits,) where to start; may be infeasible.
        cost: (n_exits,) cumulative cost of leaving at each exit.
        floor: fewest right answers allowed.

    Returns:
        The changed thresholds, or None when no change of one threshold is feasible and better.
    """
    last = table.n_exits - 1
    arrives = _arrivals(table, thresholds)
    follow = np.full(table.n_samples, last)
    total = table.outcome(thresholds)[1]
    best_gain = -1e-12 * float(cost[last]) * table.n_samples if total >= floor else np.inf
    best: tuple[int, float] | None = None
    for j in range(last - 1, -1, -1):
        here = table.order[j][arrives[j][table.order[j]]]
        values = table.confidence[j][here]
        after = follow[here]
        # index i: the first i of `here` leave at exit j
        right = np.zeros(here.size + 1, dtype=np.int64)
        spent = np.zeros(here.size + 1)
        np.cumsum(table.correct[j][here] - table.correct[after, here], out=right[1:])
        np.cumsum(cost[j] - cost[after], out=spent[1:])
        now = int((values >= thresholds[j]).sum())
        exists = np.ones(here.size + 1, dtype=np.bool_)
        exists[1:-1] = values[1:] != values[:-1]
        allowed = np.flatnonzero(exists & (total - right[now] + right >= floor))
        if allowed.size:
            choice = int(allowed[-1])
            gain = spent[choice] - spent[now]
            if gain < best_gain:
                best_gain = gain
                best = (j, float(values[choice - 1]) if choice else np.inf)
        follow[table.confidence[j] >= thresholds[j]] = j
    if best is None:
        return None
    changed = thresholds.copy()
    changed[best[0]] = best[1]
    return changed


def _arrivals(table: SampleTable, thresholds: FloatArray) -> npt.NDArray[np.bool_]:
    """(n_exits, n_samples): whether a sample reaches each exit past the thresholds before it."""
    stays = table.confidence[:-1] < thresholds[:-1, None]
    arrives = np.ones((table.n_exits, table.n_samples), dtype=np.bool_)
    np.logical_and.accumulate(stays, axis=0, out=arrives[1:])
    return arrives
