"""Tiles of all candidates of a batch: the rules of `hwcost.mapping.tiling`, by look-up.

Positions are those of `hwcost.mapping.paths`. Elements grow along a path, so that the prefixes that fit a memory are
the first ones of a path and are found by counting.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hwcost.mapping.loops import Operand
from hwcost.mapping.tables import PointTables
from hwcost.mapping.tiling import CapacityUse, usable_bits

Array = np.ndarray


@dataclass(frozen=True, eq=False)
class Tiles:
    """What the memories hold; arrays are (n_candidates, n).

    Attributes:
        position: By (memory, operand), homes left out: position of the extended prefix.
        double_buffered: By memory, homes left out.
        fits: Whether every memory has room for its tiles.
    """

    position: dict[tuple[int, Operand], Array]
    double_buffered: dict[int, Array]
    fits: Array


class TileChoice:
    """Chooses tiles for one batch; what two ways of using the capacities have in common is worked out once."""

    def __init__(self, tables: PointTables) -> None:
        self._tables = tables
        self._core = tables.core
        self._paths = tables.paths
        self._shape = (*self._paths.point.shape, tables.jobs.n)
        self._sizes: dict[tuple[int, Operand, bool], Array] = {}
        self._counts: dict[tuple[int, Operand, bool, float], Array] = {}
        # by memory and whether outputs arrive finished, for memories several operands share
        self._together: dict[tuple[int, bool], Array] = {}
        self._together_counts: dict[tuple[int, bool, float], Array] = {}
        self._done: dict[tuple[tuple[int, float], ...], tuple[dict[Operand, Array], Array, Array]] = {}

    def choose(self, use: CapacityUse) -> Tiles:
        """Tiles under one way of using the capacities."""
        n_candidates, _, n = self._shape
        position: dict[tuple[int, Operand], Array] = {}
        double: dict[int, Array] = {}
        fits = np.ones((n_candidates, n), dtype=bool)
        below: dict[Operand, Array] = {}
        shares: tuple[tuple[int, float], ...] = ()
        for m, memory in enumerate(self._core.memories):
            inner = [o for o in memory.operands if self._core.chain(o)[-1] != m]
            if not inner:
                continue
            shares = (*shares, (m, use.of(memory)))
            if shares not in self._done:
                self._done[shares] = self._fill(m, inner, use.of(memory), below)
            held, double[m], room = self._done[shares]
            fits &= room
            for operand, at in held.items():
                below[operand] = position[m, operand] = at
        return Tiles(position, double, fits)

    def _fill(
        self, m: int, inner: list[Operand], share: float, below: dict[Operand, Array]
    ) -> tuple[dict[Operand, Array], Array, Array]:
        """Positions held by operand, whether double buffered, whether there is room."""
        memory = self._core.memories[m]
        n_candidates, _, n = self._shape
        nothing = np.zeros((n_candidates, n), dtype=np.uint8)
        start = {operand: below.get(operand, nothing) for operand in inner}
        capacity = usable_bits(memory)
        limits = (capacity, capacity * share, memory.size_bits / 2)
        if len(inner) == 1:
            counts = {limit: self._count_one(m, inner[0], limit, start[inner[0]]) for limit in set(limits)}
        else:
            counts = self._count_shared(m, inner, set(limits), start)
        whole, part, half = (counts[limit] for limit in limits)
        chosen = np.maximum(np.where(part > 0, part, whole), 1)
        chosen -= 1
        for operand in inner:
            chosen = self._limited_above(operand, m, chosen)
        result = {}
        for operand in inner:
            held = np.maximum(chosen, start[operand])
            result[operand] = self._look_up(self._paths.operands[operand].extended, held)
        double = half > chosen
        if memory.double_buffering == "never":
            double = np.zeros_like(double)
        return result, double, whole > chosen

    def _look_up(self, table: Array, position: Array) -> Array:
        """Entries of a table (n_candidates, n_positions) at positions (n_candidates, n)."""
        offset = np.arange(0, table.size, table.shape[1])[:, None]
        result: Array = np.take(table.reshape(-1), position + offset)
        return result

    def _bits(self, m: int, operand: Operand, finished: bool) -> Array:
        # nothing but outputs depends on it
        finished = finished and operand == Operand.O
        key = m, operand, finished
        if key not in self._sizes:
            layers = self._tables.jobs.layers
            outputs = layers.output_bits if finished else layers.psum_bits
            width = (layers.weight_bits, layers.input_bits, outputs)[operand]
            self._sizes[key] = self._tables.elements(operand, m, largest=True) * width
        return self._sizes[key]

    def _count(self, m: int, operand: Operand, finished: bool, limit: float) -> Array:
        """How many prefixes of each path stay within a limit: (n_candidates, n)."""
        key = m, operand, finished, limit
        if key not in self._counts:
            good = (self._bits(m, operand, finished) <= limit).astype(np.uint8)
            rows = self._paths.operands[operand].distinct.row[self._paths.point]
            self._counts[key] = _sum_along(good, rows)
        return self._counts[key]

    def _finished(self, m: int, operand: Operand, below: Array) -> Array | None:
        """Whether outputs arrive finished in memory m; None for what is not an output or accumulates there."""
        if operand != Operand.O or m == self._core.chain(operand)[0]:
            return None
        return self._look_up(self._paths.operands[operand].complete, below)

    def _count_one(self, m: int, operand: Operand, limit: float, below: Array) -> Array:
        count = self._count(m, operand, False, limit)
        finished = self._finished(m, operand, below)
        if finished is not None:
            count = np.where(finished, self._count(m, operand, True, limit), count)
        # what the memory below holds must be here as well
        count = count * (count > below)
        return count

    def _count_shared(
        self, m: int, inner: list[Operand], limits: set[float], below: dict[Operand, Array]
    ) -> dict[float, Array]:
        finished: Array | None = None
        for operand in inner:
            arrives = self._finished(m, operand, below[operand])
            finished = arrives if finished is None else finished
        held = np.maximum.reduce([below[operand] for operand in inner])
        counts = {}
        for limit in limits:
            count = self._count_together(m, inner, False, limit)
            if finished is not None:
                count = np.where(finished, self._count_together(m, inner, True, limit), count)
            # prefixes shorter than what a memory below holds take more than their own tiles
            more = count <= held
            if more.any():
                count = count.copy()
                count[more] = self._count_with_below(m, inner, limit, below, finished, np.nonzero(more))
            counts[limit] = count
        return counts

    def _count_together(self, m: int, inner: list[Operand], finished: bool, limit: float) -> Array:
        """How many prefixes of each path stay within a limit, the tiles of all operands together."""
        if (m, finished) not in self._together:
            total = np.zeros((len(self._paths.level), self._shape[2]))
            for operand in inner:
                total += self._bits(m, operand, finished)[self._paths.operands[operand].distinct.row]
            self._together[m, finished] = total
        key = m, finished, limit
        if key not in self._together_counts:
            good = (self._together[m, finished] <= limit).astype(np.uint8)
            self._together_counts[key] = _sum_along(good, self._paths.point)
        return self._together_counts[key]

    def _count_with_below(
        self,
        m: int,
        inner: list[Operand],
        limit: float,
        below: dict[Operand, Array],
        finished: Array | None,
        cells: tuple[Array, ...],
    ) -> Array:
        """The same for some (candidates, jobs), where no operand takes less than in the memory below."""
        candidate, job = cells
        count = np.zeros(len(job), dtype=np.uint8)
        sizes = []
        for operand in inner:
            rows = self._paths.operands[operand].distinct.row[self._paths.point]
            unfinished, final = self._bits(m, operand, False), self._bits(m, operand, True)
            arrives = np.zeros(len(job), dtype=bool) if finished is None else finished[cells]
            least_row = rows[candidate, below[operand][cells]]
            sizes.append((rows, unfinished, final, arrives, least_row))
        for p in range(self._shape[1]):
            total = np.zeros(len(job))
            for rows, unfinished, final, arrives, least_row in sizes:
                row = rows[candidate, p]
                own = np.where(arrives, final[row, job], unfinished[row, job])
                least = np.where(arrives, final[least_row, job], unfinished[least_row, job])
                total += np.maximum(own, least)
            count += total <= limit
        return count

    def _limited_above(self, operand: Operand, m: int, chosen: Array) -> Array:
        """The largest prefix up to the chosen one that the memories up to the home can hold as well."""
        chain = self._core.chain(operand)
        between = chain[chain.index(m) + 1 : -1]
        paths = self._paths.operands[operand]
        rows = paths.distinct.row[self._paths.point]
        room = []
        # only outputs that arrive finished take less than these bits
        here_first = self._bits(m, operand, operand == Operand.O) <= usable_bits(self._core.memories[m])
        for upper in between:
            limit = usable_bits(self._core.memories[upper])
            holds = self._bits(upper, operand, False) <= limit
            if (here_first & ~holds).any():
                final = self._bits(upper, operand, True) <= limit if operand == Operand.O else holds
                room.append((holds, final))
        if not room:
            return chosen
        best = np.zeros_like(chosen)
        for p in range(1, rows.shape[1]):
            here = chosen >= p
            for holds, final in room:
                here &= np.where(paths.complete[:, p, None], final[rows[:, p]], holds[rows[:, p]])
            best[here] = p
        return best


def _sum_along(good: Array, rows: Array) -> Array:
    """Sums of rows (n_rows, n) along each path: rows (n_candidates, n_positions) -> (n_candidates, n)."""
    total: Array = good[rows[:, 0]]
    for p in range(1, rows.shape[1]):
        total += good[rows[:, p]]
    return total
