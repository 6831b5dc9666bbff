"""Which part of the loop nest each memory holds, per operand.

A memory holds a prefix of the nest: the elements its operand touches in the innermost p slots. p is the
largest that fits; slots the operand does not depend on come for free. A memory shared by operands has one
prefix for them, and the home memory of an operand (the last of its chain) holds everything. Where sizes do not
divide it is the largest tile that must fit, not the average one.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hwcost.chip.core import ComputeCore
from hwcost.mapping.loops import Operand
from hwcost.mapping.nest import Nest
from hwcost.mapping.temporal import N_SLOTS

Array = np.ndarray


@dataclass(frozen=True, eq=False)
class Tiling:
    """Prefixes for one way of using the capacities; all (n,).

    Attributes:
        prefix: By (memory index, operand).
        double_buffered: By memory index: whether the tiles fill at most half of it.
        fits: Whether at least the smallest tile fits everywhere.
    """

    prefix: dict[tuple[int, Operand], Array]
    double_buffered: dict[int, Array]
    fits: Array

    def differs(self, other: Tiling) -> Array:
        """Which candidates are tiled in another way: (n,)."""
        changed = np.zeros(self.fits.shape, dtype=bool)
        for key, prefix in self.prefix.items():
            changed |= prefix != other.prefix[key]
        return changed

    def take(self, index: Array) -> Tiling:
        """The candidates of the given indices."""
        return Tiling(
            {key: prefix[index] for key, prefix in self.prefix.items()},
            {m: double[index] for m, double in self.double_buffered.items()},
            self.fits[index],
        )


@dataclass(frozen=True)
class CapacityUse:
    """Part of the capacities that tiles may fill: all, or half to leave room for the next tile."""

    registers: float
    others: float

    def of(self, level: str) -> float:
        """The part for a memory of a level."""
        return self.registers if level == "register" else self.others


def tile(core: ComputeCore, nest: Nest, use: CapacityUse) -> Tiling:
    """Fills the memories from the PEs outwards.

    Args:
        core: Whose memories.
        nest: The candidates.
        use: How much of the capacities; where not even the smallest tile fits that part, all is used.
    """
    prefix: dict[tuple[int, Operand], Array] = {}
    double: dict[int, Array] = {}
    fits = np.ones(nest.n, dtype=bool)
    below = {operand: np.zeros(nest.n, dtype=np.int64) for operand in Operand}
    home = {operand: core.chain(operand)[-1] for operand in Operand}
    for m, memory in enumerate(core.memories):
        double[m] = np.ones(nest.n, dtype=bool)
        for operand in memory.operands:
            if home[operand] == m:
                prefix[m, operand] = np.full(nest.n, N_SLOTS, dtype=np.int64)
        inner = [operand for operand in memory.operands if home[operand] != m]
        if not inner:
            continue
        served = core.served_dimensions(memory)
        bits = np.zeros((N_SLOTS + 1, nest.n))
        for operand in inner:
            own = nest.largest_elements(operand, served) * _bits_per_element(
                core, nest, operand, m, below[operand]
            )
            # never less than the memory below holds
            bits += np.maximum(own, nest.at(own, below[operand]))
        whole = (bits <= memory.size_bits).sum(axis=0) - 1
        share = use.of(memory.level)
        part = whole if share == 1 else (bits <= memory.size_bits * share).sum(axis=0) - 1
        chosen = np.where(part >= 0, part, np.maximum(whole, 0))
        for operand in inner:
            chosen = np.minimum(chosen, _limit_above(core, nest, operand, m))
        size = nest.at(bits, chosen)
        double[m] = size <= memory.size_bits / 2
        fits &= size <= memory.size_bits
        for operand in inner:
            held = np.maximum(chosen, below[operand])
            # slots the operand does not depend on extend its tile at no cost
            below[operand] = prefix[m, operand] = nest.extended(operand, held)
    return Tiling(prefix, double, fits)


def _bits_per_element(core: ComputeCore, nest: Nest, operand: Operand, m: int, below: Array) -> Array:
    """Bits an element takes in memory m: those of a finished output where the memory below adds up all of it."""
    if operand != Operand.O or m == core.chain(operand)[0]:
        return nest.storage_bits(operand)
    return np.where(nest.finished(below), nest.output_bits, nest.storage_bits(operand))


def _limit_above(core: ComputeCore, nest: Nest, operand: Operand, m: int) -> Array | int:
    """The largest prefix that the memories between this one and the home can hold, be outputs finished or not."""
    limit: Array | int = N_SLOTS
    chain = core.chain(operand)
    for upper in chain[chain.index(m) + 1 : -1]:
        memory = core.memories[upper]
        bits = nest.largest_elements(operand, core.served_dimensions(memory)) * nest.storage_bits(operand)
        limit = np.minimum(limit, np.maximum((bits <= memory.size_bits).sum(axis=0) - 1, 0))
    return limit
