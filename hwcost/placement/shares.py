"""Which channels of a layer each core computes, and what its inputs and outputs make cores exchange."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hwcost.chip.accelerator import Accelerator
from hwcost.placement.routes import Routes, place_of
from hwcost.workload import IntArray, Op, Workload

Array = np.ndarray
# A layer is cut in at most so many units of channels, so that designs with nearly the same shares share costs.
UNITS = 16


def option_weights(accelerator: Accelerator, allocations: IntArray, distributed: bool = True) -> Array:
    """How an option shares a layer among the compute cores: (n_designs, n_options, n_cores).

    First every core alone; with several cores, where layers may be distributed, then all in equal parts and all
    in proportion to their PEs.
    """
    n, n_cores = allocations.shape
    alone = np.broadcast_to(np.eye(n_cores), (n, n_cores, n_cores))
    if n_cores == 1 or not distributed:
        return alone
    equal = np.ones((n, 1, n_cores))
    proportional = accelerator.n_pes(allocations)[:, None].astype(np.float64)
    return np.concatenate([alone, equal, proportional], axis=1)


def split_channels(workload: Workload) -> IntArray:
    """What a layer is cut by: groups where it has any, output channels elsewhere: (n_layers,)."""
    return np.where(workload.g > 1, workload.g, workload.k)


def channel_bounds(channels: IntArray, weights: Array) -> IntArray:
    """First channel of every core; core c computes channels `bounds[c]` to `bounds[c + 1]` - 1.

    Shares are rounded to whole units of `ceil(channels / UNITS)` channels; a core may get none.

    Args:
        channels: (n_layers,).
        weights: (n_designs, n_options, n_cores).

    Returns:
        (n_designs, n_layers, n_options, n_cores + 1).
    """
    unit = -(-channels // UNITS)[:, None, None]
    n_units = -(-channels[:, None, None] // unit)
    share = weights.cumsum(axis=-1) / weights.sum(axis=-1, keepdims=True)
    ends = np.minimum(np.floor(share[:, None] * n_units + 0.5) * unit, channels[:, None, None])
    return np.concatenate([np.zeros((*ends.shape[:-1], 1)), ends], axis=-1).astype(np.int64)


@dataclass(frozen=True, eq=False)
class Spans:
    """Parts of a tensor at places, as fractions of its channels; a place may have none (start = end).

    Attributes:
        places: Those concerned: (n_places,).
        start: (n_designs or 1, n_options, n_places).
        end: The same shape.
    """

    places: IntArray
    start: Array
    end: Array

    def take(self, option: IntArray) -> Spans:
        """Of one option per design: (n_designs, 1, n_places)."""
        rows = np.arange(len(option)) if len(self.start) > 1 else np.zeros(len(option), dtype=np.int64)
        return Spans(self.places, self.start[rows, option][:, None], self.end[rows, option][:, None])


def whole(place: int) -> Spans:
    """All of a tensor at one place."""
    return Spans(np.array([place]), np.zeros((1, 1, 1)), np.ones((1, 1, 1)))


@dataclass(frozen=True, eq=False)
class ShareSpans:
    """Where the outputs of each layer are, and which inputs its cores need."""

    made: tuple[Spans, ...]
    needed: tuple[Spans, ...]


def share_spans(accelerator: Accelerator, routes: Routes, workload: Workload, bounds: IntArray) -> ShareSpans:
    """Spans of all layers.

    A core needs all inputs of a layer without groups, and those of its own groups of one with.

    Args:
        accelerator: Whose cores.
        routes: For which cores keep activations in DRAM: they need one copy together.
        workload: The layers.
        bounds: See `channel_bounds`.
    """
    channels = split_channels(workload)
    made, needed = [], []
    for i in range(workload.n_layers):
        places = np.array(place_of(accelerator, Op(workload.op[i])))
        if not workload.has_weights[i]:
            made.append(whole(int(places[0])))
            needed.append(whole(int(places[0])))
            continue
        start, end = bounds[:, i, :, :-1] / channels[i], bounds[:, i, :, 1:] / channels[i]
        made.append(Spans(places, start, end))
        if workload.g[i] == 1:
            works = end > start
            start, end = np.zeros(start.shape), works.astype(np.float64)
        in_dram = routes.port[routes.dram, places] < 0
        if in_dram.any():
            start, end = _one_copy(start, end, in_dram)
        needed.append(Spans(places, start, end))
    return ShareSpans(tuple(made), tuple(needed))


def _one_copy(start: Array, end: Array, in_dram: Array) -> tuple[Array, Array]:
    """What the cores with activations in DRAM need, together at the first of them that needs any."""
    needs = (end > start) & in_dram
    first = needs & (needs.cumsum(axis=-1) == 1)
    low = np.where(needs, start, np.inf).min(axis=-1, keepdims=True)
    high = np.where(needs, end, -np.inf).max(axis=-1, keepdims=True)
    start = np.where(in_dram, np.where(first, low, 0.0), start)
    end = np.where(in_dram, np.where(first, high, 0.0), end)
    return start, end


def moved_bits(made: Spans, needed: Spans, bits: Array) -> Array:
    """Bits from every place that has a tensor to every other that needs it.

    Args:
        made: Where it is: n_from options at n_senders places.
        needed: Where it goes: n_to options at n_receivers places.
        bits: Size of the whole tensor: (n_designs or 1,).

    Returns:
        (n_designs or 1, n_from, n_to, n_senders, n_receivers).
    """
    start = np.maximum(made.start[:, :, None, :, None], needed.start[:, None, :, None, :])
    end = np.minimum(made.end[:, :, None, :, None], needed.end[:, None, :, None, :])
    share = np.maximum(end - start, 0.0)
    share = share * (made.places[:, None] != needed.places)
    return np.asarray(share * bits[:, None, None, None, None])


def exchange_cycles(routes: Routes, made: Spans, needed: Spans, moved: Array) -> Array:
    """Cycles of moving `moved_bits`: links of different pairs of cores work at the same time.

    A link moves one way at a time. No memory reads or writes more than its port does; DRAM, whichever cores use
    it, is one memory.

    Returns:
        (n_designs or 1, n_from, n_to).
    """
    sender, receiver = made.places[:, None], needed.places[None, :]
    cycles = routes.cycles(moved, sender, receiver)
    if np.array_equal(made.places, needed.places):
        cycles = cycles + cycles.swapaxes(-1, -2)
    slowest = cycles.max(axis=(-1, -2))
    free = routes.port[sender, receiver] < 0
    moved = np.where(free, 0.0, moved)
    read = moved.sum(axis=-1) / routes.read_bits_per_cycle[made.places]
    written = moved.sum(axis=-2) / routes.write_bits_per_cycle[needed.places]
    through_dram = (moved * (routes.port[sender, receiver] == routes.dram_port)).sum(axis=(-1, -2))
    dram = through_dram / routes.read_bits_per_cycle[routes.dram]
    busiest = np.maximum(read.max(axis=-1), written.max(axis=-1))
    return np.asarray(np.maximum(slowest, np.ceil(np.maximum(busiest, dram) - 1e-9)))
