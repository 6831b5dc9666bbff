"""Which core runs which layer: an exact shortest path for many designs at once.

Layers run one after another. The state behind a layer is the core of every tensor that is still needed: the
trunk's, and a residual source's. Each step adds the layer's own core and drops tensors read for the last
time, keeping the cheapest way to every remaining state; nothing is left out, so the path is optimal.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hwcost.workload import IntArray, Workload

Array = np.ndarray


@dataclass(frozen=True)
class _Step:
    """How to go back through one layer.

    Attributes:
        kept: Tensors (layer indices) of the state behind the layer, in axis order.
        dropped: Tensors dropped there.
        sizes: Options of each dropped tensor.
        best: Flat index of the best options of the dropped ones: (n_designs, *options of the kept ones).
    """

    kept: tuple[int, ...]
    dropped: tuple[int, ...]
    sizes: tuple[int, ...]
    best: IntArray


def shortest_path(workload: Workload, layer_scores: list[Array], move_scores: list[list[Array]]) -> IntArray:
    """Assigns layers to cores at the smallest sum of scores.

    Args:
        workload: For its order and sources.
        layer_scores: Per layer the score of running it on each of its options: (n_designs, n_options).
        move_scores: Per layer and source the score of bringing the source's tensor:
            (n_designs, n_options of the source, n_options of the layer); n_designs may be 1.

    Returns:
        Option chosen for each layer: (n_designs, n_layers).
    """
    n_layers = workload.n_layers
    last_use = np.arange(n_layers)
    for i, pair in enumerate(workload.sources):
        for source in pair[pair >= 0]:
            last_use[source] = i
    state = np.zeros(layer_scores[0].shape[0])
    live: tuple[int, ...] = ()
    steps: list[_Step] = []
    for i in range(n_layers):
        axes = (*live, i)
        score = state[..., None] + _on_axes(layer_scores[i], axes, (i,))
        sources = [int(s) for s in workload.sources[i] if s > -2]
        for source, move in zip(sources, move_scores[i], strict=True):
            if source < 0:
                score = score + _on_axes(move[:, 0], axes, (i,))
            else:
                score = score + _on_axes(move, axes, (source, i))
        kept = tuple(axis for axis in axes if last_use[axis] > i)
        dropped = tuple(axis for axis in axes if last_use[axis] <= i)
        order = [0, *(1 + axes.index(a) for a in kept), *(1 + axes.index(a) for a in dropped)]
        sizes = tuple(score.shape[1 + axes.index(a)] for a in dropped)
        moved = score.transpose(order)
        if dropped:
            flat = moved.reshape(*moved.shape[: 1 + len(kept)], -1)
            best = flat.argmin(axis=-1)
            state = np.take_along_axis(flat, best[..., None], axis=-1)[..., 0]
        else:
            best = np.zeros(moved.shape, dtype=np.int64)
            state = moved
        steps.append(_Step(kept, dropped, sizes, best))
        live = kept
    return _walk_back(steps, n_layers)


def _on_axes(values: Array, axes: tuple[int, ...], own: tuple[int, ...]) -> Array:
    """Reshapes (n_designs, *own) so that it broadcasts over (n_designs, *axes)."""
    shape = [values.shape[0]] + [1] * len(axes)
    ascending = [axis for axis in axes if axis in own]
    ordered = values.transpose(0, *(1 + own.index(axis) for axis in ascending))
    for axis, size in zip(ascending, ordered.shape[1:], strict=True):
        shape[1 + axes.index(axis)] = size
    return ordered.reshape(shape)


def _walk_back(steps: list[_Step], n_layers: int) -> IntArray:
    n_designs = steps[-1].best.shape[0]
    rows = np.arange(n_designs)
    chosen = np.zeros((n_designs, n_layers), dtype=np.int64)
    for step in reversed(steps):
        if not step.dropped:
            continue
        flat = step.best[(rows, *(chosen[:, tensor] for tensor in step.kept))]
        for tensor, option in zip(step.dropped, np.unravel_index(flat, step.sizes), strict=True):
            chosen[:, tensor] = option
    return chosen
