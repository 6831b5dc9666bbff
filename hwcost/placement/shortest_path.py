"""Which option each layer takes at the smallest sum of scores: an exact shortest path for many designs at once.

Layers run one after another. The state behind a layer is the option of every tensor that is still needed: the
trunk's, and a residual source's. Each step adds the layer's own options and drops tensors read for the last time,
keeping the cheapest way to every remaining state; nothing is left out, so the path is optimal.

Designs are the last axis of all arrays: a handful of options are looped over, thousands of designs are not.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hwcost.placement.graph import Part

Array = np.ndarray


@dataclass(frozen=True, eq=False)
class MoveScores:
    """Scores of bringing a tensor.

    Attributes:
        values: (n_options of the source, n_options, n_designs or 1); where all ways are even (1, 1, n_designs or 1).
        n_from: Options of the source.
        even: Whether every way costs the same.
        stays: Whether that is but for equal options, between which nothing moves.
    """

    values: Array
    n_from: int
    even: bool
    stays: bool


@dataclass(frozen=True)
class _Step:
    """How to go back through one layer.

    Attributes:
        layer: The layer.
        kept: Tensors of the state before it that are still in the state behind it, in axis order.
        dropped: Tensors dropped here, in the order they were.
        best: Per dropped tensor its best option: (*options of those dropped later, *options of kept, options of
            layer, n_designs).
        own: Best option of the layer where nobody reads it: (*options of kept, n_designs); else None.
    """

    layer: int
    kept: tuple[int, ...]
    dropped: tuple[int, ...]
    best: tuple[Array, ...]
    own: Array | None


@dataclass(frozen=True, eq=False)
class Paths:
    """The cheapest ways through a part.

    Attributes:
        part: The part.
        score: Smallest sum: (n_options of `part.given`, n_designs), (n_designs,) where nothing is given.
        steps: The way back.
    """

    part: Part
    score: Array
    steps: tuple[_Step, ...]

    def options(self, chosen: Array) -> None:
        """Fills in the options of the part's layers.

        Args:
            chosen: (n_layers of the workload, n_designs); the row of `part.given` is read, those of the part's
                layers are written.
        """
        designs = np.arange(self.score.shape[-1])
        for step in reversed(self.steps):
            kept = [chosen[tensor] for tensor in step.kept]
            if step.own is not None:
                chosen[step.layer] = _pick(step.own, kept, designs)
            at = [*kept, chosen[step.layer]]
            for tensor, best in zip(reversed(step.dropped), reversed(step.best), strict=True):
                chosen[tensor] = _pick(best, at, designs)
                at.insert(0, chosen[tensor])


def shortest_paths(part: Part, layer_scores: list[Array], move_scores: list[list[MoveScores]]) -> Paths:
    """Finds the cheapest options of a part.

    Args:
        part: Its layers; all lists below are in their order.
        layer_scores: Per layer the score of each option: (n_options, n_designs).
        move_scores: Per layer and source the score of bringing the source's tensor.
    """
    n = layer_scores[0].shape[-1]
    live: tuple[int, ...] = ()
    state = np.zeros(n)
    if part.given is not None:
        live = (part.given,)
        state = np.zeros((_options_given(part, move_scores), n))
    last_use = dict(zip(part.layers, part.last_use, strict=True))
    steps: list[_Step] = []
    for layer, sources, own_score, moves in zip(
        part.layers, part.sources, layer_scores, move_scores, strict=True
    ):
        dropped = tuple(dict.fromkeys(t for t in sources if t in last_use and last_use[t] == layer))
        kept = tuple(t for t in live if t not in dropped)
        order = [live.index(t) for t in (*dropped, *kept)]
        state = state.transpose(*order, len(order))
        best = []
        n_own, arrived = len(own_score), False
        for tensor in dropped:
            entering = [move for source, move in zip(sources, moves, strict=True) if source == tensor]
            state, way = _bring(state, entering, n_own, arrived)
            arrived = True
            best.append(way)
        own_score = own_score + sum(m.values[0] for s, m in zip(sources, moves, strict=True) if s < 0)
        state = state + own_score if arrived else state[..., None, :] + own_score
        for source, move in zip(sources, moves, strict=True):
            if source >= 0 and source not in dropped:
                _add_to_kept(state, move, kept.index(source))
        own = None
        if last_use[layer] == layer:
            state, own = _cheapest(_last_option_first(state))
            live = kept
        else:
            live = (*kept, layer)
        steps.append(_Step(layer, kept, dropped, tuple(best), own))
    return Paths(part, state, tuple(steps))


def _options_given(part: Part, move_scores: list[list[MoveScores]]) -> int:
    for sources, moves in zip(part.sources, move_scores, strict=True):
        for source, move in zip(sources, moves, strict=True):
            if source == part.given:
                return move.n_from
    raise AssertionError("a part reads what it is given")


def _bring(state: Array, moves: list[MoveScores], n_own: int, arrived: bool) -> tuple[Array, Array]:
    """Drops the tensor on the first axis of a state: cheapest way to each option of the layer, and from where.

    Args:
        state: (options of the tensor, ..., n_designs), with the layer's options before the designs if `arrived`.
        moves: Of the tensor to the layer, one entry a time it is read.
        n_own: Options of the layer.
        arrived: Whether the layer's options are an axis already.
    """
    if len(moves) == 1 and moves[0].even and not arrived:
        move = moves[0]
        least, origin = _cheapest(state)
        value, best = least[..., None, :] + move.values[0], origin[..., None, :]
        shape = (*least.shape[:-1], n_own, least.shape[-1])
        if not move.stays:
            return np.broadcast_to(value, shape), np.broadcast_to(best, shape)
        staying = state.transpose(*range(1, state.ndim - 1), 0, state.ndim - 1)
        here = np.arange(n_own, dtype=origin.dtype)[:, None]
        return np.minimum(staying, value), np.where(staying <= value, here, best)
    full = [_spread(move, n_own) for move in moves]
    ways = (
        (origin if arrived else origin[..., None, :]) + sum(values[i] for values in full)
        for i, origin in enumerate(state)
    )
    value = next(ways)
    best = np.zeros(value.shape, dtype=np.min_scalar_type(len(state) - 1))
    for i, way in enumerate(ways, start=1):
        _keep_smaller(value, best, way, i)
    return value, best


def _last_option_first(state: Array) -> Array:
    """The last axis before the designs brought to the front; `np.moveaxis` takes longer than what is done with it."""
    return state.transpose(state.ndim - 2, *range(state.ndim - 2), state.ndim - 1)


def _spread(move: MoveScores, n_own: int) -> Array:
    if not move.even:
        return move.values
    moving = np.ones((move.n_from, n_own, 1))
    if move.stays:
        moving[np.arange(n_own), np.arange(n_own)] = 0.0
    return move.values * moving


def _add_to_kept(state: Array, move: MoveScores, axis: int) -> None:
    """Adds the moves of a tensor that stays in the state, on `axis`, to the layer's options, before the designs."""
    values = _spread(move, state.shape[-2])
    shape = [1] * state.ndim
    shape[axis] = values.shape[0]
    shape[-2:] = values.shape[1:]
    state += values.reshape(shape)


def _keep_smaller(value: Array, best: Array, tried: Array, index: int) -> None:
    """Takes over what is smaller in `tried`; `index` grows from call to call, so the maximum is the latest."""
    smaller = tried < value
    np.minimum(value, tried, out=value)
    np.maximum(best, np.multiply(smaller, index, dtype=best.dtype), out=best)


def _cheapest(scores: Array) -> tuple[Array, Array]:
    """Minimum over the first axis, and where it is."""
    value = scores[0].copy()
    best = np.zeros(value.shape, dtype=np.min_scalar_type(len(scores) - 1))
    for option in range(1, len(scores)):
        _keep_smaller(value, best, scores[option], option)
    return value, best


def _pick(values: Array, at: list[Array], designs: Array) -> Array:
    """`values[at, designs]`; entries of `at` are (n_designs,)."""
    return values[(*at, designs)]
