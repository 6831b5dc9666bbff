"""Moves in the space of thresholds: one exit's threshold at a time, every value of it at once.

With the other thresholds fixed, sort the samples that arrive at exit j by falling score: the samples that
leave are a prefix of that order, so two cumulative sums give cost and number of right answers for EVERY
threshold of exit j. Only a position where the next score differs is a threshold that exists (samples of one
score leave together), which is what makes the sums agree with ``apply_policy`` to the last sample.
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
            here = table.order[j][arrives[j][table.order[j]]]
            thresholds[j] = np.inf
            if here.size:
                gain = np.cumsum(worth[j][here] - follow[here])
                values = table.scores[j][here]
                gain[:-1][values[1:] == values[:-1]] = np.inf  # a tie cannot be cut
                best = int(gain.argmin())
                if gain[best] < 0:
                    thresholds[j] = values[best]
            passes = table.scores[j] >= thresholds[j]
            follow[passes] = worth[j][passes]
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
    arrives = table.arrivals(thresholds)
    follow = np.full(table.n_samples, last)
    least = np.inf
    if goal.violation(total, paid, limit) <= 0:
        span = float(goal.rank(0, whole, whole) - goal.rank(table.n_samples, 0.0, whole))
        least = float(goal.rank(total, paid, whole)) - 1e-12 * span  # equal sums differ by rounding
    best: tuple[int, float] | None = None
    for j in range(last - 1, -1, -1):
        here = table.order[j][arrives[j][table.order[j]]]
        values = table.scores[j][here]
        after = follow[here]
        # index i: the first i of `here` leave at exit j
        right = np.zeros(here.size + 1, dtype=np.int64)
        spent = np.zeros(here.size + 1)
        np.cumsum(table.correct[j][here] - table.correct[after, here], out=right[1:])
        np.cumsum(cost[j] - cost[after], out=spent[1:])
        leaving = int((values >= thresholds[j]).sum())
        right += total - right[leaving]
        spent += paid - spent[leaving]
        allowed = goal.violation(right, spent, limit) <= 0
        allowed[1:-1] &= values[1:] != values[:-1]  # a tie cannot be cut
        ranks = np.where(allowed, goal.rank(right, spent, whole), np.inf)
        # Of equal ranks the lowest threshold: fewer samples run on.
        choice = here.size - int(ranks[::-1].argmin())
        if ranks[choice] < least:
            least = float(ranks[choice])
            best = (j, float(values[choice - 1]) if choice else np.inf)
        follow[table.scores[j] >= thresholds[j]] = j
    if best is None:
        return None
    changed = thresholds.copy()
    changed[best[0]] = best[1]
    return changed
