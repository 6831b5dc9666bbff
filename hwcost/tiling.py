"""Which part of the loop nest each memory holds, per operand.

A memory holds a prefix of the nest: the elements its operand touches in the innermost p slots. p is the
largest that fits; slots the operand does not depend on come for free. A memory shared by operands has one
prefix for them, and the home memory of an operand (the last of its chain) holds everything.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hwcost.core import ComputeCore
from hwcost.loops import RELEVANT, Loop, Operand
from hwcost.spatial import SpatialMappings
from hwcost.temporal import N_SLOTS, TemporalCandidates
from hwcost.workload import COST_COLUMNS, IntArray

Array = np.ndarray


@dataclass(frozen=True, eq=False)
class Layers:
    """What the mapper needs of each job's layer: all (n_jobs,)."""

    stride: Array
    ix: Array
    iy: Array
    weight_bits: Array
    input_bits: Array
    output_bits: Array
    psum_bits: Array

    @classmethod
    def from_rows(cls, rows: IntArray) -> Layers:
        """From rows of `Workload.cost_rows()`, one per job."""
        names = ("stride", "ix", "iy", "weight_bits", "input_bits", "output_bits", "psum_bits")
        return cls(**{name: rows[:, COST_COLUMNS.index(name)].astype(np.float64) for name in names})

    def storage_bits(self, operand: Operand) -> Array:
        """Bits an element takes in a memory; unfinished outputs take those of a partial sum."""
        return (self.weight_bits, self.input_bits, self.psum_bits)[operand]


class Nest:
    """Cumulative sizes of every prefix of every candidate's loop nest; all (n_jobs, n_orders, n_slots + 1)."""

    def __init__(self, candidates: TemporalCandidates, layers: Layers) -> None:
        self.layers = layers
        self._factor = candidates.factor
        self._loop = candidates.loop
        self.cycles = _cumulative(candidates.factor)
        steps = candidates.factor > 1
        # ends[o][..., p]: the longest prefix within p whose last slot the operand depends on
        self.ends: list[Array] = []
        self.products: list[Array] = []
        position = np.arange(1, N_SLOTS + 1)
        for operand in Operand:
            relevant = RELEVANT[operand][candidates.loop][None]
            last = np.maximum.accumulate(np.where(relevant & steps, position, 0), axis=2)
            self.ends.append(np.concatenate([np.zeros_like(last[..., :1]), last], axis=2))
            plain = relevant & ~_is_window(candidates.loop) if operand == Operand.I else relevant
            self.products.append(_cumulative(np.where(plain, candidates.factor, 1.0)))
        self._window = {loop: self._prefix(loop) for loop in (Loop.OX, Loop.OY, Loop.FX, Loop.FY)}

    def _prefix(self, loop: Loop) -> Array:
        return _cumulative(np.where((self._loop == loop)[None], self._factor, 1.0))

    def elements(self, operand: Operand, spatial: Array) -> Array:
        """Distinct elements of an operand in each prefix.

        Args:
            operand: Which.
            spatial: Unrolling of each loop inside the memory's reach: (n_jobs, 8).
        """
        plain = RELEVANT[operand].copy()
        if operand == Operand.I:
            plain[[Loop.OX, Loop.OY, Loop.FX, Loop.FY]] = False
        unrolled = np.prod(np.where(plain, spatial, 1.0), axis=1)[:, None, None]
        result = self.products[operand] * unrolled
        if operand == Operand.I:
            width = self._span(Loop.OX, Loop.FX, spatial, self.layers.ix)
            result = result * width * self._span(Loop.OY, Loop.FY, spatial, self.layers.iy)
        return result

    def _span(self, out: Loop, window: Loop, spatial: Array, limit: Array) -> Array:
        """Input columns (or rows) that `out` positions of a window of `window` touch; never the padding."""
        outs = self._window[out] * spatial[:, out, None, None]
        taps = self._window[window] * spatial[:, window, None, None]
        stride = self.layers.stride[:, None, None]
        dense = (outs - 1) * stride + taps
        return np.minimum(np.where(taps >= stride, dense, outs * taps), limit[:, None, None])


def _is_window(loop: IntArray) -> Array:
    return (loop == Loop.OX) | (loop == Loop.OY) | (loop == Loop.FX) | (loop == Loop.FY)


def _cumulative(factor: Array) -> Array:
    ones = np.ones((*factor.shape[:2], 1))
    return np.concatenate([ones, np.cumprod(factor, axis=2)], axis=2)


@dataclass(frozen=True, eq=False)
class Tiling:
    """Prefixes for one way of using the capacities; all (n_jobs, n_orders).

    Attributes:
        prefix: By (memory index, operand).
        double_buffered: By memory index: whether the tiles fill at most half of it.
        fits: Whether at least the smallest tile fits everywhere.
    """

    prefix: dict[tuple[int, Operand], Array]
    double_buffered: dict[int, Array]
    fits: Array


def tile(core: ComputeCore, nest: Nest, spatial: SpatialMappings, share: float) -> Tiling:
    """Fills the memories from the PEs outwards.

    Args:
        core: Whose memories.
        nest: The candidates.
        spatial: The jobs.
        share: Part of each capacity that may be used: 1, or 0.5 to leave room for the next tile.
            Where not even the smallest tile fits that part, the whole capacity is used.
    """
    shape = nest.cycles.shape[:2]
    prefix: dict[tuple[int, Operand], Array] = {}
    double: dict[int, Array] = {}
    fits = np.ones(shape, dtype=bool)
    below = {operand: np.zeros(shape, dtype=np.int64) for operand in Operand}
    home = {operand: core.chain(operand)[-1] for operand in Operand}
    for m, memory in enumerate(core.memories):
        served = np.array(core.served_dimensions(memory))
        factors = spatial.factors(served)
        inner = [operand for operand in memory.operands if home[operand] != m]
        at_home = [operand for operand in memory.operands if home[operand] == m]
        used = 0.0
        for operand in at_home:
            prefix[m, operand] = np.full(shape, N_SLOTS, dtype=np.int64)
        double[m] = np.ones(shape, dtype=bool)
        if not inner:
            continue
        bits = sum(
            nest.elements(operand, factors) * nest.layers.storage_bits(operand)[:, None, None]
            for operand in inner
        )
        assert isinstance(bits, np.ndarray)
        whole = (bits <= memory.size_bits - used).sum(axis=2) - 1
        part = (bits <= memory.size_bits * share - used).sum(axis=2) - 1
        fits &= whole >= 0
        chosen = np.where(part >= 0, part, np.maximum(whole, 0))
        for operand in inner:
            chosen = np.maximum(chosen, below[operand])
        size = np.take_along_axis(bits, chosen[..., None], axis=2)[..., 0]
        double[m] = size <= memory.size_bits / 2
        fits &= size <= memory.size_bits
        for operand in inner:
            # slots the operand does not depend on extend its tile at no cost
            extended = _extend(nest.ends[operand], chosen)
            prefix[m, operand] = extended
            below[operand] = extended
    return Tiling(prefix, double, fits)


def _extend(ends: Array, prefix: Array) -> Array:
    """The longest prefix that holds the same elements."""
    own = np.take_along_axis(ends, prefix[..., None], axis=2)
    return (ends <= own).sum(axis=2) - 1
