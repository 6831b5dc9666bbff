"""Which option each layer takes at the smallest sum of scores: an exact shortest path for many designs at once.

Layers run one after another. The state behind a layer is the option of every tensor that is still needed: the
trunk's, and a residual source's. Each step adds the layer's own options and drops tensors read for the last time,
keeping the cheapest way to every remaining state; nothing is left out, so the path is optimal.

Designs are the last axis of all arrays: a handful of options are looped over, thousands of designs are not.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

import numpy as np

from hwcost.placement.graph import Part

Array = np.ndarray


@dataclass(frozen=True)
class _Step:
    """How to go back through one layer.

    Attributes:
        layer: The layer.
        kept: Tensors of the state before it that are still in the state behind it, in axis order.
        dropped: Tensors dropped here.
        sizes: Options of each dropped tensor.
        best: Flat index of the best options of the dropped ones: (*options of kept, options of layer, n_designs);
            None where nothing is dropped.
        own: Best option of the layer where nobody reads it: (*options of kept, n_designs); else None.
    """

    layer: int
    kept: tuple[int, ...]
    dropped: tuple[int, ...]
    sizes: tuple[int, ...]
    best: Array | None
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
            kept = tuple(chosen[tensor] for tensor in step.kept)
            if step.own is not None:
                chosen[step.layer] = step.own[(*kept, designs)]
            if step.best is not None:
                flat = step.best[(*kept, chosen[step.layer], designs)]
                for tensor, option in zip(step.dropped, np.unravel_index(flat, step.sizes), strict=True):
                    chosen[tensor] = option


def shortest_paths(part: Part, layer_scores: list[Array], move_scores: list[list[Array]]) -> Paths:
    """Finds the cheapest options of a part.

    Args:
        part: Its layers; all lists below are in their order.
        layer_scores: Per layer the score of each option: (n_options, n_designs).
        move_scores: Per layer and source the score of bringing the source's tensor:
            (n_options of the source, n_options, n_designs or 1).
    """
    n = layer_scores[0].shape[-1]
    live: tuple[int, ...] = () if part.given is None else (part.given,)
    state = np.zeros(n)
    if part.given is not None:
        n_given = next(
            move.shape[0]
            for sources, moves in zip(part.sources, move_scores, strict=True)
            for source, move in zip(sources, moves, strict=True)
            if source == part.given
        )
        state = np.zeros((n_given, n))
    last_use = dict(zip(part.layers, part.last_use, strict=True))
    steps: list[_Step] = []
    for layer, sources, own_score, moves in zip(
        part.layers, part.sources, layer_scores, move_scores, strict=True
    ):
        dropped = tuple(t for t in live if t != part.given and last_use[t] == layer)
        kept = tuple(t for t in live if t not in dropped)
        by_source = list(zip(sources, moves, strict=True))
        arriving, best, sizes = _arrive(state, live, kept, dropped, by_source, own_score.shape)
        arriving += own_score
        for source, move in by_source:
            if source < 0:
                arriving += move[0]
            elif source in kept:
                shape = [1] * arriving.ndim
                shape[kept.index(source)] = move.shape[0]
                shape[-2:] = move.shape[1:]
                arriving += move.reshape(shape)
        own = None
        if last_use[layer] == layer:
            arriving, own = _cheapest(np.moveaxis(arriving, -2, 0))
            live = kept
        else:
            live = (*kept, layer)
        steps.append(_Step(layer, kept, dropped, sizes, best, own))
        state = arriving
    return Paths(part, state, tuple(steps))


def _arrive(
    state: Array,
    live: tuple[int, ...],
    kept: tuple[int, ...],
    dropped: tuple[int, ...],
    moves: list[tuple[int, Array]],
    own_shape: tuple[int, ...],
) -> tuple[Array, Array | None, tuple[int, ...]]:
    """Cheapest arrival at each option of a layer over the tensors dropped there, their moves included."""
    order = [live.index(t) for t in (*dropped, *kept)]
    ordered = state.transpose(*order, state.ndim - 1)
    sizes = ordered.shape[: len(dropped)]
    shape = (*ordered.shape[len(dropped) : -1], *own_shape)
    if not dropped:
        return np.broadcast_to(ordered[..., None, :], shape).copy(), None, ()
    value = np.empty(shape)
    tried = np.empty(shape)
    best = np.zeros(shape, dtype=np.min_scalar_type(math.prod(sizes) - 1))
    for flat, options in enumerate(itertools.product(*(range(size) for size in sizes))):
        out = tried if flat else value
        entering: Array | float = 0.0
        for source, move in moves:
            if source in dropped:
                entering = entering + move[options[dropped.index(source)]]
        np.add(ordered[options][..., None, :], entering, out=out)
        if flat:
            _keep_smaller(value, best, tried, flat)
    return value, best, sizes


def _keep_smaller(value: Array, best: Array, tried: Array, flat: int) -> None:
    """Takes over what is smaller in `tried`; `flat` grows from call to call, so the maximum is the latest."""
    smaller = tried < value
    np.minimum(value, tried, out=value)
    np.maximum(best, np.multiply(smaller, flat, dtype=best.dtype), out=best)


def _cheapest(scores: Array) -> tuple[Array, Array]:
    """Minimum over the first axis, and where it is."""
    value = scores[0].copy()
    best = np.zeros(value.shape, dtype=np.min_scalar_type(len(scores) - 1))
    for option in range(1, len(scores)):
        _keep_smaller(value, best, scores[option], option)
    return value, best
