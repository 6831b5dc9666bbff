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
from hwcost.chip.memory import Memory
from hwcost.mapping.loops import Operand
from hwcost.mapping.nest import Nest

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
    """Part of the capacities that tiles may fill: all, or half to leave room for the next tile.

    Memories whose double buffering is prescribed have no choice.
    """

    registers: float
    others: float

    def of(self, memory: Memory) -> float:
        """The part for a memory, of what of it is usable at all."""
        if memory.double_buffering != "auto":
            return 1.0
        return self.registers if memory.level == "register" else self.others


# Ways of using the capacities; later ones count only where they change a tile.
CAPACITY_USES = (CapacityUse(1.0, 1.0), CapacityUse(1.0, 0.5), CapacityUse(0.5, 0.5))


def usable_bits(memory: Memory) -> float:
    """What the tiles of a memory may fill: half of it where there must be room for the next ones."""
    return memory.size_bits / 2 if memory.double_buffering == "always" else memory.size_bits


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
                prefix[m, operand] = np.full(nest.n, nest.n_slots, dtype=np.int64)
        inner = [operand for operand in memory.operands if home[operand] != m]
        if not inner:
            continue
        served = core.served_dimensions(memory)
        bits = np.zeros((nest.n_slots + 1, nest.n))
        for operand in inner:
            own = nest.largest_elements(operand, served) * _bits_per_element(
                core, nest, operand, m, below[operand]
            )
            # never less than the memory below holds
            bits += np.maximum(own, nest.at(own, below[operand]))
        capacity = usable_bits(memory)
        whole = (bits <= capacity).sum(axis=0) - 1
        part = (bits <= capacity * use.of(memory)).sum(axis=0) - 1
        chosen = np.where(part >= 0, part, np.maximum(whole, 0))
        for operand in inner:
            chosen = _limited_above(core, nest, operand, m, chosen)
        size = nest.at(bits, chosen)
        double[m] = np.full(nest.n, memory.double_buffering != "never") & (size <= memory.size_bits / 2)
        fits &= size <= capacity
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


def _limited_above(core: ComputeCore, nest: Nest, operand: Operand, m: int, chosen: Array) -> Array:
    """The largest prefix up to the chosen one that the memories between this one and the home can hold as well.

    Outputs that are finished in a prefix go up at their final width.
    """
    chain = core.chain(operand)
    between = chain[chain.index(m) + 1 : -1]
    if not between:
        return chosen
    position = np.arange(nest.n_slots + 1)[:, None]
    holds = position <= chosen
    for upper in between:
        memory = core.memories[upper]
        width = nest.storage_bits(operand)
        if operand == Operand.O:
            finished = np.stack([nest.finished(np.full(nest.n, p)) for p in range(nest.n_slots + 1)])
            width = np.where(finished, nest.output_bits, width)
        bits = nest.largest_elements(operand, core.served_dimensions(memory)) * width
        holds &= bits <= usable_bits(memory)
    result: Array = np.where(holds, position, 0).max(axis=0)
    return result
