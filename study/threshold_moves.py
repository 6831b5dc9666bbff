"""Moves in the space of thresholds: one exit's threshold at a time, every value of it at once.

With the other thresholds fixed, sum what the samples that arrive at exit j win and cost, for each distinct score of
theirs: cumulative sums over the falling scores are cost and number of right answers for EVERY threshold of exit j.
Samples of one score leave together, which is what makes the sums agree with ``apply_policy`` to the last sample.
"""

from __future__ import annotations

import numpy as np

from study.policy import FloatArray
from study.threshold_goals import Goal
from study.threshold_table import SampleTable


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
        arrives = table.arrivals(thresholds)
        follow = worth[last].copy()  # worth of the exit a sample takes if it does not leave at exit j
        for j in range(last - 1, -1, -1):
            gain = _by_falling_score(table, j, (worth[j] - follow) * arrives[j])
            best = int(gain.argmin())
            thresholds[j] = table.values[j][best - 1] if best else np.inf
            np.copyto(follow, worth[j], where=table.scores[j] >= thresholds[j])
        if np.array_equal(before, thresholds):
            break
    return thresholds


def best_change(
    table: SampleTable, thresholds: FloatArray, cost: FloatArray, goal: Goal, limit: float
) -> FloatArray | None:
    """The best change of ONE threshold that keeps (or reaches) the limit.

    Args:
        table: the samples.
        thresholds: (n_exits,) where to start; may be infeasible.
        cost: (n_exits,) cumulative cost of leaving at each exit.
        goal: what is wanted.
        limit: of the goal, for all samples together.

    Returns:
        The changed thresholds, or None when no change of one threshold is feasible and better.
    """
    last = table.n_exits - 1
    whole = float(cost[last]) * table.n_samples
    counts, total = table.outcome(thresholds)
    paid = float(counts @ cost)
    least = np.inf
    if goal.violation(total, paid, limit) <= 0:
        span = float(goal.rank(0, whole, whole) - goal.rank(table.n_samples, 0.0, whole))
        least = float(goal.rank(total, paid, whole)) - 1e-12 * span  # equal sums differ by rounding
    best: tuple[int, float] | None = None
    arrives = table.arrivals(thresholds)
    # Of each sample if it does not leave at exit j; right answers as float64, which adds faster and as exactly.
    follow_right = table.correct[last].astype(np.float64)
    follow_cost = np.full(table.n_samples, cost[last])
    for j in range(last - 1, -1, -1):
        values = table.values[j]
        leaving = int(np.searchsorted(-values, -thresholds[j], side="right"))
        right = _by_falling_score(table, j, (table.correct[j] - follow_right) * arrives[j])
        spent = _by_falling_score(table, j, (cost[j] - follow_cost) * arrives[j])
        right += total - right[leaving]
        spent += paid - spent[leaving]
        feasible = goal.violation(right, spent, limit) <= 0
        ranks = np.where(feasible, goal.rank(right, spent, whole), np.inf)
        # Of equal ranks the highest threshold: lower ones let no other samples leave, or for nothing.
        choice = int(ranks.argmin())
        if ranks[choice] < least:
            least = float(ranks[choice])
            best = (j, float(values[choice - 1]) if choice else np.inf)
        passes = table.scores[j] >= thresholds[j]
        np.copyto(follow_right, table.correct[j], where=passes)
        np.copyto(follow_cost, cost[j], where=passes)
    if best is None:
        return None
    changed = thresholds.copy()
    changed[best[0]] = best[1]
    return changed


class BestChanges:
    """Best changes of single thresholds, each looked for once: searches come by the same vectors again and again.

    Args:
        table: the samples.
        goal: what is wanted.
    """

    def __init__(self, table: SampleTable, goal: Goal) -> None:
        self._table, self._goal = table, goal
        self._known: dict[tuple[bytes, bytes, float], FloatArray | None] = {}

    def of(self, thresholds: FloatArray, cost: FloatArray, limit: float) -> FloatArray | None:
        """See `best_change`; what is returned is not to be changed."""
        key = thresholds.tobytes(), cost.tobytes(), limit
        if key not in self._known:
            self._known[key] = best_change(self._table, thresholds, cost, self._goal, limit)
        return self._known[key]


def _by_falling_score(table: SampleTable, exit_index: int, weights: FloatArray) -> FloatArray:
    """Sums of weights (n_samples,) of the samples that reach each threshold.

    Returns:
        (n_values + 1,): entry i if the i highest scores of the exit leave.
    """
    sums = np.zeros(len(table.values[exit_index]) + 1)
    np.cumsum(np.bincount(table.place[exit_index], weights=weights, minlength=len(sums) - 1), out=sums[1:])
    return sums
