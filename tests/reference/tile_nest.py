"""The loop nest of one mapped layer as plain lists: which index is where, and who holds what.

Shares no code and no closed form with ``hwcost``: index sets are built by enumerating them. Only descriptions are
read (a core's memories, a mapping's unrolling, temporal loops and how many of them each memory holds).
"""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction

from hwcost.chip.core import ComputeCore
from hwcost.chip.memory import Memory
from hwcost.mapping.layer_mapping import LayerMapping
from hwcost.workload import Layer

# O[b,g,k,ox,oy] += W[g,k,c,fx,fy] * I[b,g,c,ox*s+fx,oy*s+fy]: the axes of each tensor, window axes as pairs
AXES: dict[str, tuple[tuple[str, ...], ...]] = {
    "W": (("G",), ("K",), ("C",), ("FX",), ("FY",)),
    "I": (("B",), ("G",), ("C",), ("OX", "FX"), ("OY", "FY")),
    "O": (("B",), ("G",), ("K",), ("OX",), ("OY",)),
}
LOOPS = ("B", "G", "K", "C", "OX", "OY", "FX", "FY")
Indices = tuple[int, ...]


def depends(operand: str, loop: str) -> bool:
    """Whether another iteration of the loop names other elements of the operand."""
    return any(loop in axis for axis in AXES[operand])


@dataclass
class Nest:
    """One layer under one mapping.

    Attributes:
        layer: The layer, its input size filled in.
        core: Its description is used, nothing it computes.
        mapping: Only ``spatial``, ``temporal`` and ``held`` are used.
    """

    layer: Layer
    core: ComputeCore
    mapping: LayerMapping
    slots: tuple[tuple[str, int], ...] = field(init=False)
    _cache: dict[tuple[object, ...], Counter[int]] = field(init=False, default_factory=dict)
    _active: dict[tuple[object, ...], int] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        self.slots = self.mapping.temporal

    def size(self, loop: str) -> int:
        return int(getattr(self.layer, loop.lower()))

    def bits(self, operand: str, finished: bool = True) -> int:
        if operand == "O":
            return self.layer.output_bits if finished else self.layer.psum_bits
        return self.layer.weight_bits if operand == "W" else self.layer.input_bits

    def chain(self, operand: str) -> list[Memory]:
        """Memories of an operand from the PEs outwards."""
        return [m for m in self.core.memories if operand in [o.name for o in m.operands]]

    def prefix(self, memory: Memory, operand: str) -> int:
        return self.mapping.held[memory.name, operand]

    def steps(self) -> Iterator[Indices]:
        """Indices of the slots at every MAC cycle, in execution order; slot 0 turns fastest."""
        for outermost_first in itertools.product(*(range(f) for _, f in reversed(self.slots))):
            yield outermost_first[::-1]

    def dims_of(self, loop: str) -> list[tuple[str, int]]:
        return [(name, unroll) for name, unrolled, unroll in self.mapping.spatial if unrolled == loop]

    def index(self, loop: str, coords: dict[str, int], at: Indices) -> int:
        """Index of a loop at a PE and a cycle.

        Neighbours in space have neighbouring indices; where PEs keep inputs of their own, each takes a block of
        neighbouring windows instead, so that its windows overlap.
        """
        space = [(coords[name], unroll) for name, unroll in self.dims_of(loop)]
        time = [(i, factor) for (name, factor), i in zip(self.slots, at, strict=True) if name == loop]
        value, weight = 0, 1
        for i, factor in time + space if self.in_blocks(loop) else space + time:
            value, weight = value + weight * i, weight * factor
        return value

    def in_blocks(self, loop: str) -> bool:
        """Whether a window loop is unrolled over PEs that have input memories of their own."""
        own = {dim for memory in self.chain("I") for dim in memory.per_dimensions}
        return loop in ("OX", "OY", "FX", "FY") and any(dim in own for dim, _ in self.dims_of(loop))

    def values(self, loop: str, own: dict[str, int], at: Indices, prefix: int) -> list[int]:
        """Indices of a loop met while the slots below ``prefix`` run, over all PEs that agree with ``own``."""
        ranges = [
            range(factor) if j < prefix and slot_loop == loop else (at[j],)
            for j, (slot_loop, factor) in enumerate(self.slots)
        ]
        dims = self.dims_of(loop)
        found = []
        for inner in itertools.product(*ranges):
            for pes in itertools.product(*((own[d],) if d in own else range(u) for d, u in dims)):
                value = self.index(loop, {d: c for (d, _), c in zip(dims, pes, strict=True)}, inner)
                if value < self.size(loop):
                    found.append(value)
        return found

    def active_pes(self, loop: str, at: Indices) -> int:
        """PEs along a loop that have an iteration of it in a cycle."""
        place = (loop, *(i for (name, _), i in zip(self.slots, at, strict=True) if name == loop))
        if place not in self._active:
            self._active[place] = self._count_active(loop, at)
        return self._active[place]

    def _count_active(self, loop: str, at: Indices) -> int:
        dims = self.dims_of(loop)
        every = itertools.product(*(range(u) for _, u in dims))
        named = ({d: c for (d, _), c in zip(dims, coords, strict=True)} for coords in every)
        return sum(1 for coords in named if self.index(loop, coords, at) < self.size(loop))

    def window(self, outer: list[int], inner: list[int], axis: str) -> int:
        """Distinct columns (or rows) of the real map under a window; padding is no element."""
        extent = self.layer.ix if axis == "OX" else self.layer.iy
        covered = (self.size(axis) - 1) * self.layer.stride + self.size("F" + axis[1])
        pad = max(0, covered - extent) // 2
        positions = {o * self.layer.stride + i - pad for o in outer for i in inner}
        return sum(1 for p in positions if 0 <= p < extent)

    def elements(self, memory: Memory, operand: str, at: Indices, prefix: int) -> Counter[int]:
        """Distinct elements in each instance of a memory while the slots below ``prefix`` run.

        Returns:
            How many instances hold how many elements; idle instances are left out.
        """
        total: Counter[int] = Counter({1: 1})
        relevant = AXES[operand]
        rest = tuple((loop,) for loop in LOOPS if not depends(operand, loop))
        for axis in relevant + rest:
            here = self._axis_counts(memory, axis, axis in relevant, at, prefix)
            product: Counter[int] = Counter()
            for (size, count), (more, times) in itertools.product(total.items(), here.items()):
                product[size * more] += count * times
            total = product
        return total

    def _axis_counts(
        self, memory: Memory, axis: tuple[str, ...], relevant: bool, at: Indices, prefix: int
    ) -> Counter[int]:
        place = tuple(i for j, i in enumerate(at) if j >= prefix and self.slots[j][0] in axis)
        key = (memory.name, axis, relevant, prefix, place)
        if key in self._cache:
            return self._cache[key]
        dims = [(d, u) for loop in axis for d, u in self.dims_of(loop) if d in memory.per_dimensions]
        counts: Counter[int] = Counter()
        for coords in itertools.product(*(range(u) for _, u in dims)):
            own = {d: c for (d, _), c in zip(dims, coords, strict=True)}
            met = [self.values(loop, own, at, prefix) for loop in axis]
            if not all(met):
                continue
            if not relevant:
                counts[1] += 1
            else:
                counts[len(set(met[0])) if len(axis) == 1 else self.window(met[0], met[1], axis[0])] += 1
        self._cache[key] = counts
        return counts


@dataclass(frozen=True)
class AverageTile:
    """Sizes with the average unrolling, as the document counts edge tiles."""

    nest: Nest

    def unroll(self, loop: str) -> Fraction:
        """PEs at work along a loop, averaged over all its iterations in time by visiting each."""
        nest = self.nest
        spans = [range(f) if name == loop else range(1) for name, f in nest.slots]
        active = [nest.active_pes(loop, at) for at in itertools.product(*spans)]
        return Fraction(sum(active), len(active))

    def extent(self, loop: str, prefix: int, memory: Memory) -> Fraction:
        """Indices of a loop in an average tile of one instance."""
        met = Fraction(1)
        for name, factor in self.nest.slots[:prefix]:
            met *= factor if name == loop else 1
        if any(d not in memory.per_dimensions for d, _ in self._single_dim(loop)):
            met *= self.unroll(loop)
        return met

    def instances(self, memory: Memory) -> Fraction:
        """Instances at work, on average."""
        count = Fraction(1)
        for loop in LOOPS:
            if any(d in memory.per_dimensions for d, _ in self._single_dim(loop)):
                count *= self.unroll(loop)
        return count

    def elements(self, memory: Memory, operand: str, prefix: int) -> Fraction:
        """Distinct elements of an average tile in one instance."""
        total = Fraction(1)
        for axis in AXES[operand]:
            extents = [self.extent(loop, prefix, memory) for loop in axis]
            total *= extents[0] if len(axis) == 1 else self._window(extents[0], extents[1], axis[0])
        return total

    def _single_dim(self, loop: str) -> list[tuple[str, int]]:
        dims = [(d, u) for d, u in self.nest.dims_of(loop) if u > 1]
        if len(dims) > 1:
            raise NotImplementedError(
                "one loop over two array dimensions has no documented average per dimension"
            )
        return dims

    def _window(self, outer: Fraction, inner: Fraction, axis: str) -> Fraction:
        """Positions under an average window: counted for the whole sizes around it, in between in proportion."""
        total = Fraction(0)
        for x, x_share in _neighbours(outer):
            for f, f_share in _neighbours(inner):
                count = len({o * self.nest.layer.stride + i for o in range(x) for i in range(f)})
                total += x_share * f_share * count
        return min(total, Fraction(self.nest.layer.ix if axis == "OX" else self.nest.layer.iy))


@dataclass(frozen=True)
class LargestTile:
    """Sizes of a tile without idle PEs: what a memory must have room for."""

    nest: Nest

    def extent(self, loop: str, prefix: int, memory: Memory) -> int:
        """Indices of a loop in one instance."""
        times = [range(f) for name, f in self.nest.slots[:prefix] if name == loop]
        pes = [range(u) for d, u in self.nest.dims_of(loop) if d not in memory.per_dimensions]
        return min(sum(1 for _ in itertools.product(*times, *pes)), self.nest.size(loop))

    def elements(self, memory: Memory, operand: str, prefix: int) -> int:
        """Distinct elements in one instance; windows are laid on an unpadded map."""
        total = 1
        for axis in AXES[operand]:
            extents = [self.extent(loop, prefix, memory) for loop in axis]
            if len(axis) == 1:
                total *= extents[0]
            else:
                steps = range(0, extents[0] * self.nest.layer.stride, self.nest.layer.stride)
                columns = len({o + i for o in steps for i in range(extents[1])})
                total *= min(columns, self.nest.layer.ix if axis[0] == "OX" else self.nest.layer.iy)
        return total


def _neighbours(value: Fraction) -> list[tuple[int, Fraction]]:
    below = math.floor(value)
    share = value - below
    return [(below, 1 - share), (below + 1, share)] if share else [(below, Fraction(1))]
