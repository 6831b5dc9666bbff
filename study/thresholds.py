"""Thresholds per exit that spend least energy-latency product under an accuracy floor.

The problem: choose thresholds so that the mean over samples of (cumulative energy x cumulative latency) is
smallest while the accuracy on the calibration split is at least that of never leaving early minus a target
drop.

How: accuracy and exit counts of a threshold vector depend on the predictions alone; a design's cost enters
    only through its (n_exits,) cost vector. So one POOL of threshold vectors serves every design and target
    of a network, and choosing from it is a matrix product. The pool is filled by coordinate descent on cost -
    price x accuracy, along a ladder of prices and from both ends, for a few cost vectors that differ most;
    prices are then refined around each target, and the chosen vectors are tightened until no single threshold
    can be lowered within the floor.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from hwcost.errors import OfframpError
from study.policy import ExitPolicy, FloatArray, IntArray, checked_costs
from study.threshold_moves import SampleTable, descend, lowest_feasible
from study.threshold_pool import ThresholdPool

if TYPE_CHECKING:
    from models.predictions import ExitPredictions

_LADDER = 12  # prices from "leave at once" to "never leave"
_BISECTIONS = 5  # halvings of the price interval around each target
_TIGHTENINGS = 6  # single-threshold moves per chosen vector and round


@dataclass(frozen=True, eq=False)
class TunedThresholds:
    """Thresholds for many designs and targets of one network, with what they give on the calibration split.

    Attributes:
        thresholds: (n_designs, n_targets, n_exits).
        exit_ratios: (n_designs, n_targets, n_exits) share of samples leaving at each exit.
        accuracy: (n_designs, n_targets) fraction right.
        mean_edp_pj_cycles: (n_designs, n_targets).
    """

    thresholds: FloatArray
    exit_ratios: FloatArray
    accuracy: FloatArray
    mean_edp_pj_cycles: FloatArray


def tune_many(
    calibration: ExitPredictions,
    latency_cycles: npt.ArrayLike,
    energy_pj: npt.ArrayLike,
    target_drops: npt.ArrayLike,
) -> TunedThresholds:
    """Tunes thresholds of one network for many designs (cost vectors) and accuracy targets at once.

    The result is deterministic, keeps the floor on the calibration split, and is never dearer than never
    leaving early or than the best threshold shared by all exits (every value that makes a difference is
    tried). Where even never leaving early misses the floor (a negative drop), that policy is returned.

    Args:
        calibration: predictions on the calibration split.
        latency_cycles: (n_designs, n_exits) cumulative up to and including each exit.
        energy_pj: (n_designs, n_exits) the same for energy.
        target_drops: (n_targets,) accuracy that may be given away, as a fraction of 1.

    Raises:
        OfframpError: shapes do not fit, a number is not finite, or costs are not cumulative.
    """
    table = SampleTable.of(calibration)
    latency = checked_costs(latency_cycles, table.n_exits, "latency (cycles)")
    energy = checked_costs(energy_pj, table.n_exits, "energy (pJ)")
    if latency.shape != energy.shape:
        raise OfframpError(
            f"expected latency and energy of one shape, got {latency.shape} and {energy.shape}"
        )
    drops = np.atleast_1d(np.asarray(target_drops, dtype=np.float64))
    if drops.ndim != 1 or not np.isfinite(drops).all():
        raise OfframpError(f"expected finite accuracy drops of shape (n_targets,), got {drops}")
    edp = latency * energy
    floors = np.array([table.floor(drop) for drop in drops])
    pool = ThresholdPool(table)
    never = pool.add(ExitPolicy.never_early(table.n_exits).thresholds)
    if table.n_exits > 1 and edp.any():
        relative = edp / np.where(edp[:, -1:] > 0, edp[:, -1:], 1.0)
        _add_shared(pool, relative, floors)
        typical = _most_different(relative, limit=3)
        for cost in typical:
            _search(pool, cost, floors)
        _tighten(pool, relative, floors)
        for cost in typical:
            _reopen(pool, cost, floors)
        _tighten(pool, relative, floors)
    chosen = pool.choose(edp, floors)
    chosen[chosen < 0] = never
    counts = pool.counts()[chosen]
    right = pool.rights()[chosen]
    return TunedThresholds(
        thresholds=np.array([[pool.thresholds(i) for i in row] for row in chosen]).reshape(counts.shape),
        exit_ratios=counts / table.n_samples,
        accuracy=right / table.n_samples,
        mean_edp_pj_cycles=np.einsum("dtk,dk->dt", counts / table.n_samples, edp),
    )


def tune_thresholds(
    calibration: ExitPredictions,
    latency_cycles: npt.ArrayLike,
    energy_pj: npt.ArrayLike,
    target_drop: float,
) -> FloatArray:
    """``tune_many`` for one design and one target.

    Args:
        calibration: predictions on the calibration split.
        latency_cycles: (n_exits,) cumulative up to and including each exit.
        energy_pj: (n_exits,) the same for energy.
        target_drop: accuracy that may be given away, as a fraction of 1.

    Returns:
        (n_exits,) thresholds, the last ``-inf``.
    """
    return tune_many(calibration, latency_cycles, energy_pj, [target_drop]).thresholds[0, 0]


def _add_shared(pool: ThresholdPool, cost: FloatArray, floors: IntArray) -> None:
    """Puts the best shared threshold of each floor into the pool.

    Cost is cumulative, so the lowest feasible shared threshold is the cheapest for every design.
    """
    values, right = pool.table.shared_outcomes()
    for floor in floors:
        feasible = np.flatnonzero(right >= floor)
        if feasible.size:
            pool.add(ExitPolicy.shared(float(values[feasible[0]]), pool.table.n_exits).thresholds)


def _most_different(relative: FloatArray, limit: int) -> FloatArray:
    """Up to ``limit`` cost vectors: the one nearest to the mean, then always the one farthest from those
    taken.

    Vectors within one percent of one taken are left out: they lead to the same thresholds.
    """
    taken = [int(np.abs(relative - relative.mean(axis=0)).max(axis=1).argmin())]
    while len(taken) < limit:
        distance = np.abs(relative[:, None] - relative[taken][None]).max(axis=2).min(axis=1)
        if distance.max() <= 0.01:
            break
        taken.append(int(distance.argmax()))
    return relative[taken]


def _search(pool: ThresholdPool, cost: FloatArray, floors: IntArray) -> None:
    """Descends along a ladder of prices, up and down, then halves the price interval around each floor."""
    table = pool.table
    # Prices are in units of cost per accuracy: below the cheapest saving nothing stays, far above the whole
    # cost only samples that get better leave.
    prices = float(cost[-1]) * np.geomspace(0.05, 50.0, _LADDER)
    start = np.full(table.n_exits, -np.inf)
    ladder: list[tuple[int, float]] = []  # (right answers, price)
    for sequence, thresholds in (
        (prices, start),
        (prices[::-1], ExitPolicy.never_early(table.n_exits).thresholds),
    ):
        for price in sequence:
            thresholds = descend(table, thresholds, cost, float(price))
            ladder.append((pool.right(pool.add(thresholds)), float(price)))
    for floor in floors:
        low = max((price for right, price in ladder if right < floor), default=None)
        high = min((price for right, price in ladder if right >= floor), default=None)
        if low is None or high is None:
            continue
        low, high = min(low, high), max(low, high)
        thresholds = pool.thresholds(int(pool.choose(cost[None], np.array([floor]))[0, 0]))
        for _ in range(_BISECTIONS):
            price = float(np.sqrt(low * high))
            thresholds = descend(table, thresholds, cost, price)
            if pool.right(pool.add(thresholds)) >= floor:
                high = price
            else:
                low = price


def _tighten(pool: ThresholdPool, cost: FloatArray, floors: IntArray) -> None:
    """Lowers thresholds of every vector chosen so far; repairs cheaper ones that just miss a floor."""
    chosen = pool.choose(cost, floors)
    spent = cost @ pool.counts().T
    right = pool.rights()
    starts: dict[tuple[int, int], int] = {}  # (vector, target) -> a design that asks for it
    for t, floor in enumerate(floors):
        for d in np.flatnonzero(chosen[:, t] >= 0).tolist():
            starts.setdefault((int(chosen[d, t]), t), d)
            cheaper = np.flatnonzero((right < floor) & (spent[d] < spent[d, chosen[d, t]]))
            for i in cheaper[np.argsort(right[cheaper])[-2:]]:
                starts.setdefault((int(i), t), d)
    for (i, t), d in starts.items():
        _lower(pool, pool.thresholds(i), cost[d], int(floors[t]))


def _reopen(pool: ThresholdPool, cost: FloatArray, floors: IntArray) -> None:
    """Raises each threshold of each chosen vector in turn and spends the accuracy won elsewhere.

    Lowering alone stops where one exit has used up the floor that another would use better.
    """
    for t, floor in enumerate(floors):
        chosen = int(pool.choose(cost[None], floors[t : t + 1])[0, 0])
        if chosen < 0:
            continue
        for j in range(pool.table.n_exits - 1):
            for raised in _raised(pool.table, j, pool.thresholds(chosen)[j]):
                thresholds = pool.thresholds(chosen).copy()
                thresholds[j] = raised
                _lower(pool, thresholds, cost, int(floor))


def _raised(table: SampleTable, exit_index: int, threshold: float) -> list[float]:
    """Thresholds one sample, 1 % and 5 % of all samples above the given one, and infinity."""
    order = table.order[exit_index]
    passing = int((table.confidence[exit_index] >= threshold).sum())
    positions = {passing - 1 - max(1, round(share * len(order))) for share in (0.0, 0.01, 0.05)}
    values = [float(table.confidence[exit_index][order[i]]) for i in sorted(positions) if i >= 0]
    return [*values, np.inf] if passing else []


def _lower(pool: ThresholdPool, thresholds: FloatArray, cost: FloatArray, floor: int) -> None:
    """Adds what single moves make of one vector."""
    for _ in range(_TIGHTENINGS):
        changed = lowest_feasible(pool.table, thresholds, cost, floor)
        if changed is None:
            break
        thresholds = changed
        pool.add(thresholds)
