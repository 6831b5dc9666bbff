"""A split's samples, sorted once per exit, and what thresholds make of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from models.scores import ScoreName
from study.policy import FloatArray, IntArray, checked_scores

if TYPE_CHECKING:
    from models.predictions import ExitPredictions


@dataclass(frozen=True, eq=False)
class SampleTable:
    """One split's samples, sorted once per exit.

    Attributes:
        scores: (n_exits, n_samples), larger leaves.
        correct: (n_exits, n_samples) 0 or 1.
        order: (n_exits, n_samples) sample indices by falling score.
        values: for each exit its distinct scores, falling.
        place: (n_exits, n_samples) where each score stands in its exit's ``values``.
    """

    scores: FloatArray
    correct: IntArray
    order: IntArray
    values: tuple[FloatArray, ...]
    place: IntArray

    @classmethod
    def of(cls, predictions: ExitPredictions, score: ScoreName = "max_softmax") -> SampleTable:
        """Checks and sorts the predictions."""
        scores, correct = checked_scores(predictions, score)
        columns = np.ascontiguousarray(scores.T)
        return cls._of_scores(
            columns,
            np.ascontiguousarray(correct.T.astype(np.int64)),
            np.argsort(-columns, axis=1, kind="stable"),
        )

    @classmethod
    def _of_scores(cls, scores: FloatArray, correct: IntArray, order: IntArray) -> SampleTable:
        distinct = [np.unique(-row, return_inverse=True) for row in scores]
        values = tuple(-negated for negated, _ in distinct)
        return cls(scores, correct, order, values, np.array([place for _, place in distinct]))

    def coarse(self, levels: int) -> SampleTable:
        """The same samples with at most ``levels`` different scores an exit, each rounded down to one of them.

        The levels hold equally many samples. A sample reaches a threshold out of the levels exactly if its rounded
        score does, so what is found on the coarse table holds on the full one.

        Args:
            levels: from 1; the number of samples or more keeps every score.
        """
        n = self.n_samples
        positions = np.unique(np.arange(min(levels, n)) * n // min(levels, n))
        scores = np.empty_like(self.scores)
        for k, order in enumerate(self.order):
            grid = np.unique(self.scores[k][order[::-1][positions]])  # rising
            scores[k] = grid[np.searchsorted(grid, self.scores[k], side="right") - 1]
        return self._of_scores(scores, self.correct, self.order)

    @property
    def n_exits(self) -> int:
        """Exits, the last included."""
        return int(self.scores.shape[0])

    @property
    def n_samples(self) -> int:
        """Samples."""
        return int(self.scores.shape[1])

    @property
    def never_early_correct(self) -> int:
        """Right answers when every sample runs to the last exit."""
        return int(self.correct[-1].sum())

    def outcome(self, thresholds: FloatArray) -> tuple[IntArray, int]:
        """Samples that leave at each exit (n_exits,), and right answers in total."""
        arrives = self.arrivals(thresholds)
        leaves = arrives.copy()
        leaves[:-1] &= ~arrives[1:]
        counts = np.array([np.count_nonzero(row) for row in leaves])
        return counts, int(np.count_nonzero(leaves & (self.correct == 1)))

    def floor(self, target_drop: float) -> int:
        """Fewest right answers that keep accuracy within ``target_drop`` of never leaving early.

        The small term undoes the rounding of the fraction (0.9 - 0.01 is not 0.89); it is far below one
        sample.
        """
        wanted = self.never_early_correct - target_drop * self.n_samples
        return int(np.ceil(wanted - 1e-7))

    def snapped(self, thresholds: FloatArray) -> FloatArray:
        """Thresholds (n_exits,) raised to the next score of their exit, which lets the same samples leave.

        On a coarse table only these mean the same for the scores before rounding.
        """
        raised = thresholds.copy()
        for k in range(self.n_exits - 1):
            reached = self.scores[k][self.scores[k] >= thresholds[k]]
            raised[k] = reached.min() if reached.size else np.inf
        return raised

    def arrivals(self, thresholds: FloatArray) -> npt.NDArray[np.bool_]:
        """(n_exits, n_samples): whether a sample reaches each exit past the thresholds before it."""
        arrives = np.ones((self.n_exits, self.n_samples), dtype=np.bool_)
        for k in range(self.n_exits - 1):
            np.logical_and(arrives[k], self.scores[k] < thresholds[k], out=arrives[k + 1])
        return arrives

    def shared_front(self) -> tuple[FloatArray, IntArray, IntArray]:
        """The thresholds that all exits could share, without those that cost more and are no more accurate.

        A sample leaves at exit k under a shared threshold t exactly if the largest score of exits 0..k
        reaches t and that of exits 0..k-1 does not, so sums over the sorted running maxima are enough. Cost is
        cumulative: a higher threshold is never cheaper, so it is worth its cost only if it is more accurate than
        every lower one.

        Returns:
            thresholds (m,) rising; samples leaving at each exit (m, n_exits); right answers (m,) rising.
        """
        if self.n_exits == 1:
            return np.array([np.inf]), np.array([[self.n_samples]]), np.array([self.never_early_correct])
        best = np.maximum.accumulate(self.scores[:-1], axis=0)
        thresholds = np.append(np.unique(best), np.inf)
        right = np.full(len(thresholds), self.never_early_correct)
        for k in range(self.n_exits - 1):
            # Those who left by exit k are right if exit k is, instead of if exit k + 1 is.
            right += _weight_from(best[k], self.correct[k] - self.correct[k + 1], thresholds)
        better = np.append(True, right[1:] > np.maximum.accumulate(right)[:-1])
        thresholds, right = thresholds[better], right[better]
        gone = np.zeros((len(thresholds), self.n_exits + 1), dtype=np.int64)
        gone[:, -1] = self.n_samples
        for k in range(self.n_exits - 1):
            gone[:, k + 1] = _weight_from(best[k], np.ones(self.n_samples, dtype=np.int64), thresholds)
        return thresholds, np.diff(gone, axis=1), right


def _weight_from(values: FloatArray, weights: IntArray, thresholds: FloatArray) -> IntArray:
    """Sum of the weights (n,) of ``values`` (n,) that are at least each threshold (m,)."""
    order = np.argsort(values)
    start = np.searchsorted(values[order], thresholds, side="left")
    above = np.append(np.cumsum(weights[order][::-1])[::-1], 0)
    return above[start]
