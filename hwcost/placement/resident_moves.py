"""Improving a placement with resident weights: single layers move, or two layers change places."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hwcost.placement.problem import PlacementProblem
from hwcost.workload import BoolArray, IntArray

Array = np.ndarray
# Steps at most; each makes the best move of every design that has one.
STEPS = 24


@dataclass(frozen=True, eq=False)
class WayCosts:
    """Costs of every way of running a layer: an option, streamed (0) or resident (1).

    Attributes:
        latency_cycles: (n_designs, n_layers, n_options, 2); infinite where not to be had.
        energy_pj: The same shape.
        needed_bits: Room on each core when resident: (n_designs, n_layers, n_options, n_cores).
        room_bits: (n_designs, n_cores).
    """

    latency_cycles: Array
    energy_pj: Array
    needed_bits: Array
    room_bits: Array


def improve(
    costs: WayCosts, problem: PlacementProblem, option: IntArray, resident: BoolArray, objective: str
) -> tuple[IntArray, BoolArray]:
    """Moves layers while that lowers the objective; what is set aside on each core stays.

    Args:
        costs: Of all ways.
        problem: Moves between options.
        option: Where layers are: (n_designs, n_layers).
        resident: Which keep their weights: (n_designs, n_layers).
        objective: `latency`, `energy` or `edp`.

    Returns:
        Options and residents after the moves.
    """
    option, way = option.copy(), resident.astype(np.int64)
    n, n_layers = option.shape
    rows = np.arange(n)
    active = np.ones((n, n_layers), dtype=bool) if problem.active is None else problem.active
    pairs = _strangers(problem)
    for _ in range(STEPS):
        latency, energy = _changes(costs, problem, active, option, way)
        total = _totals(costs, problem, active, option, way)
        room = costs.room_bits - _taken(costs, option, way)
        single = _score(objective, total, latency, energy)
        freed = _own_bits(costs, option, way)
        fits = _fits(room[:, None, None] + freed[:, :, None], costs.needed_bits)
        single[..., 1] = np.where(fits, single[..., 1], np.inf)
        swap = _swap_scores(costs, objective, total, latency, energy, option, way, room, freed, pairs)
        flat = np.concatenate([single.reshape(n, -1), swap], axis=1)
        best = flat.argmin(axis=1)
        now = {"latency": total[0], "energy": total[1], "edp": total[0] * total[1]}[objective]
        better = flat[rows, best] < now * (1 - 1e-9)
        if not better.any():
            break
        n_single = single[0].size
        for kind in (better & (best < n_single), better & (best >= n_single)):
            at = np.flatnonzero(kind)
            if at.size and best[at[0]] < n_single:
                layer, to, new = np.unravel_index(best[at], single.shape[1:])
                option[at, layer], way[at, layer] = to, new
            elif at.size:
                one, two = pairs[:, best[at] - n_single]
                option[at, one], option[at, two] = option[at, two], option[at, one]
                way[at, one], way[at, two] = way[at, two], way[at, one]
    return option, way == 1


def _strangers(problem: PlacementProblem) -> IntArray:
    """Pairs of layers of which none reads the other, so that what they add when moved adds up: (2, n_pairs)."""
    n_layers = len(problem.moves)
    apart = np.triu(np.ones((n_layers, n_layers), dtype=bool), 1)
    for layer, moves in enumerate(problem.moves):
        for move in moves:
            if move.source >= 0:
                apart[move.source, layer] = False
    return np.stack(np.nonzero(apart))


def _own(values: Array, option: IntArray, way: IntArray) -> Array:
    return np.asarray(values[np.arange(len(option))[:, None], np.arange(option.shape[1]), option, way])


def _own_bits(costs: WayCosts, option: IntArray, way: IntArray) -> Array:
    """Room each layer takes now: (n, n_layers, n_cores)."""
    at = np.arange(len(option))[:, None], np.arange(option.shape[1]), option
    return np.asarray(costs.needed_bits[at] * way[..., None])


def _taken(costs: WayCosts, option: IntArray, way: IntArray) -> Array:
    return np.asarray(_own_bits(costs, option, way).sum(axis=1))


def _fits(room: Array, needed: Array) -> BoolArray:
    # sums of fractions of channels: a millionth of a bit is none
    return np.asarray((needed <= room + 1e-6).all(axis=-1))


def _score(objective: str, total: tuple[Array, Array], latency: Array, energy: Array) -> Array:
    axes = (slice(None), *(None,) * (latency.ndim - 1))
    if objective == "latency":
        return np.asarray(total[0][axes] + latency)
    if objective == "energy":
        return np.asarray(total[1][axes] + energy)
    with np.errstate(invalid="ignore"):
        product = (total[0][axes] + latency) * (total[1][axes] + energy)
    return np.asarray(np.where(np.isfinite(product), product, np.inf))


def _totals(
    costs: WayCosts, problem: PlacementProblem, active: BoolArray, option: IntArray, way: IntArray
) -> tuple[Array, Array]:
    """Latency and energy: (n,) each."""
    found = []
    for name in ("latency_cycles", "energy_pj"):
        own = _own(getattr(costs, name), option, way)
        for layer, moves in enumerate(problem.moves):
            for move in moves:
                origin = option[:, move.source] if move.source >= 0 else np.zeros(len(option), dtype=np.int64)
                own[:, layer] += _rows(getattr(move, name), len(option))[
                    np.arange(len(option)), origin, option[:, layer]
                ]
        found.append(np.where(active, own, 0.0).sum(axis=1))
    return found[0], found[1]


def _rows(values: Array, n: int) -> Array:
    return np.broadcast_to(values, (n, *values.shape[1:]))


def _changes(
    costs: WayCosts, problem: PlacementProblem, active: BoolArray, option: IntArray, way: IntArray
) -> tuple[Array, Array]:
    """What running one layer in another way adds: (n, n_layers, n_options, 2) each; 0 where not active."""
    n, found = len(option), []
    rows = np.arange(n)
    for name in ("latency_cycles", "energy_pj"):
        values = getattr(costs, name)
        with np.errstate(invalid="ignore"):  # layers that are not active may be where they cannot
            change = values - _own(values, option, way)[..., None, None]
        for layer, moves in enumerate(problem.moves):
            for move in moves:
                moved = _rows(getattr(move, name), n)
                origin = option[:, move.source] if move.source >= 0 else np.zeros(n, dtype=np.int64)
                own = moved[rows, origin, option[:, layer]]
                runs = active[:, layer, None]
                to = np.where(runs, moved[rows, origin] - own[:, None], 0.0)
                change[:, layer, : to.shape[1]] += to[..., None]
                if move.source >= 0:
                    off = np.where(runs, moved[rows, :, option[:, layer]] - own[:, None], 0.0)
                    change[:, move.source, : off.shape[1]] += off[..., None]
        found.append(np.where(active[..., None, None], change, np.inf))
    return found[0], found[1]


def _swap_scores(
    costs: WayCosts,
    objective: str,
    total: tuple[Array, Array],
    latency: Array,
    energy: Array,
    option: IntArray,
    way: IntArray,
    room: Array,
    freed: Array,
    pairs: IntArray,
) -> Array:
    """Scores of two layers of `_strangers` changing places and ways: (n, n_pairs)."""
    one, two = pairs
    rows = np.arange(len(option))[:, None]
    there = rows, one, option[:, two], way[:, two]
    back = rows, two, option[:, one], way[:, one]
    score = _score(objective, total, latency[there] + latency[back], energy[there] + energy[back])
    needed = (
        costs.needed_bits[there[:3]] * way[:, two, None] + costs.needed_bits[back[:3]] * way[:, one, None]
    )
    fits = _fits(room[:, None] + freed[:, one] + freed[:, two], needed)
    return np.asarray(np.where(fits, score, np.inf))
