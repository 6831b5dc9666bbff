"""Fills a pool with threshold vectors that are good for given designs and limits.

Coordinate descent on cost - price x accuracy, along a ladder of prices and from both ends, finds vectors for a few
designs that differ most; prices are then refined around each limit, and the vectors chosen so far are improved
until no change of a single threshold helps within the limit.
"""

from __future__ import annotations

import numpy as np

from models.exit_policy import ExitPolicy
from study.policy import FloatArray, IntArray
from study.threshold_goals import Goal, choose
from study.threshold_moves import BestChanges, descend
from study.threshold_pool import ThresholdPool
from study.threshold_table import SampleTable

_LADDER = 12  # prices from "leave at once" to "never leave"
_BISECTIONS = 5  # halvings of the price interval around each limit
_IMPROVEMENTS = 6  # single-threshold moves per chosen vector and round
_LEVELS = 64  # designs of different limits whose vectors are improved
_NEAR = 2  # better vectors that just miss a limit, improved beside a chosen one
_TYPICAL = 3  # designs whose own optimum is searched


def fill(pool: ThresholdPool, cost: FloatArray, goal: Goal, limits: FloatArray) -> None:
    """Searches.

    Args:
        pool: to fill; holds at least one vector.
        cost: (n_designs, n_exits) cumulative cost of leaving at each exit, each design in units of its last exit's.
        goal: what is wanted.
        limits: (n_designs, n_targets) of the goal, for all samples together.
    """
    changes = BestChanges(pool.table, goal)
    typical = _most_different(np.hstack([cost, limits / pool.table.n_samples]), _TYPICAL)
    _add_shared(pool, cost[typical], goal, limits[typical])
    for design in typical:
        _search(pool, cost[design], goal, limits[design])
    _improve_chosen(pool, changes, cost, goal, limits)
    for design in typical:
        _reopen(pool, changes, cost[design], goal, limits[design])
    _improve_chosen(pool, changes, cost, goal, limits)


def _add_shared(pool: ThresholdPool, cost: FloatArray, goal: Goal, limits: FloatArray) -> None:
    """Puts the best threshold that all exits share into the pool."""
    values, counts, right = pool.table.shared_front()
    for index in np.unique(choose(counts, right, cost, goal, limits)):
        if index >= 0:
            shared = ExitPolicy.shared(float(values[index]), pool.table.n_exits).thresholds
            pool.add(pool.table.snapped(shared))


def _most_different(features: FloatArray, limit: int) -> list[int]:
    """Up to ``limit`` rows: the one nearest to the mean, then always the one farthest from those taken.

    Rows within one percent of one taken are left out: they lead to the same thresholds.
    """
    taken = [int(np.abs(features - features.mean(axis=0)).max(axis=1).argmin())]
    distance = np.abs(features - features[taken[0]]).max(axis=1)
    while len(taken) < limit and distance.max() > 0.01:
        taken.append(int(distance.argmax()))
        distance = np.minimum(distance, np.abs(features - features[taken[-1]]).max(axis=1))
    return taken


def _search(pool: ThresholdPool, cost: FloatArray, goal: Goal, limits: FloatArray) -> None:
    """Descends along a ladder of prices, up and down, then halves the price interval around each limit."""
    table = pool.table
    # Prices are in units of cost per accuracy: below the cheapest saving nothing stays, far above the whole
    # cost only samples that get better leave.
    prices = float(cost[-1]) * np.geomspace(0.05, 50.0, _LADDER)
    start = np.full(table.n_exits, -np.inf)
    ladder: list[tuple[int, float]] = []  # (index in the pool, price)
    for sequence, thresholds in (
        (prices, start),
        (prices[::-1], ExitPolicy.never_early(table.n_exits).thresholds),
    ):
        for price in sequence:
            thresholds = descend(table, thresholds, cost, float(price))
            ladder.append((pool.add(thresholds), float(price)))
    for limit in limits:

        def accurate(index: int, limit: float = limit) -> bool:
            """Whether the vector is on the side of the limit where accuracy and cost are high."""
            feasible = bool(goal.violation(*pool.outcome(index, cost), limit) <= 0)
            return feasible == goal.feasible_when_accurate

        low = max((price for index, price in ladder if not accurate(index)), default=None)
        high = min((price for index, price in ladder if accurate(index)), default=None)
        if low is None or high is None:
            continue
        low, high = min(low, high), max(low, high)
        best = int(pool.choose(cost[None], goal, np.array([[limit]]))[0, 0])
        thresholds = pool.vector(best) if best >= 0 else start
        for _ in range(_BISECTIONS):
            price = float(np.sqrt(low * high))
            thresholds = descend(table, thresholds, cost, price)
            if accurate(pool.add(thresholds)):
                high = price
            else:
                low = price


def _improve_chosen(
    pool: ThresholdPool, changes: BestChanges, cost: FloatArray, goal: Goal, limits: FloatArray
) -> None:
    """Improves the vectors chosen so far, and better ones that just miss a limit."""
    chosen = pool.choose(cost, goal, limits)
    counts, right = pool.counts(), pool.right()
    whole = cost[:, -1] * pool.table.n_samples
    for t in range(limits.shape[1]):
        spent = np.einsum("de,de->d", cost, counts[chosen[:, t]])
        room = np.where(chosen[:, t] < 0, -1.0, -goal.violation(right[chosen[:, t]], spent, limits[:, t]))
        starts: dict[tuple[int, int], None] = {}  # (vector, design), in a fixed order
        for d in _representatives(chosen[:, t], room, limits[:, t]):
            starts[int(chosen[d, t]), d] = None
            paid = counts @ cost[d]
            missing = goal.violation(right, paid, limits[d, t])
            ranks = goal.rank(right, paid, whole[d])
            better = np.flatnonzero((missing > 0) & (ranks < ranks[chosen[d, t]]))
            for i in better[np.argsort(missing[better], kind="stable")[:_NEAR]].tolist():
                starts[i, d] = None
        for i, d in starts:
            _improve(pool, changes, pool.vector(i), cost[d], float(limits[d, t]))


def _representatives(chosen: IntArray, room: FloatArray, limits: FloatArray) -> list[int]:
    """Designs to improve thresholds for: of each vector the one with most room, and some across all limits.

    Args:
        chosen: (n_designs,) vector of each; -1: none.
        room: (n_designs,) how far the vector is below the limit; -1: no vector.
        limits: (n_designs,) of the goal.
    """
    order = np.argsort(-room, kind="stable")
    order = order[chosen[order] >= 0]
    designs = order[np.unique(chosen[order], return_index=True)[1]].tolist()
    if len(order) and np.ptp(limits) > 0:
        by_limit = order[np.argsort(limits[order], kind="stable")]
        designs += by_limit[np.linspace(0, len(by_limit) - 1, _LEVELS).astype(int)].tolist()
    return sorted(set(designs))


def _reopen(
    pool: ThresholdPool, changes: BestChanges, cost: FloatArray, goal: Goal, limits: FloatArray
) -> None:
    """Moves each threshold of each chosen vector in turn and makes up for it at the other exits.

    Single moves stop where one exit has used up the limit that another would use better.
    """
    for limit in limits:
        chosen = int(pool.choose(cost[None], goal, np.array([[limit]]))[0, 0])
        if chosen < 0:
            continue
        for j in range(pool.table.n_exits - 1):
            for value in _neighbours(pool.table, j, pool.vector(chosen)[j]):
                thresholds = pool.vector(chosen).copy()
                thresholds[j] = value
                _improve(pool, changes, thresholds, cost, float(limit))


def _neighbours(table: SampleTable, exit_index: int, threshold: float) -> list[float]:
    """Thresholds one sample, 1 % and 5 % of all samples above the given one, and infinity."""
    order = table.order[exit_index]
    passing = int((table.scores[exit_index] >= threshold).sum())
    positions = {passing - 1 - max(1, round(share * len(order))) for share in (0.0, 0.01, 0.05)}
    values = [float(table.scores[exit_index][order[i]]) for i in sorted(positions) if i >= 0]
    return [*values, np.inf] if passing else []


def _improve(
    pool: ThresholdPool, changes: BestChanges, thresholds: FloatArray, cost: FloatArray, limit: float
) -> None:
    """Adds what single moves make of one vector."""
    for _ in range(_IMPROVEMENTS):
        changed = changes.of(thresholds, cost, limit)
        if changed is None:
            break
        thresholds = changed
        pool.add(thresholds)
