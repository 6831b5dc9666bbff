"""Sizes at every point of a family's paths, for a batch of jobs."""

from __future__ import annotations

import numpy as np

from hwcost.chip.core import ComputeCore
from hwcost.mapping.jobs import Jobs
from hwcost.mapping.loops import RELEVANT, Loop, Operand
from hwcost.mapping.nest import touched
from hwcost.mapping.paths import FamilyPaths, Projection
from hwcost.mapping.temporal import Levels

Array = np.ndarray
_WINDOW_LOOPS = (Loop.OX, Loop.OY, Loop.FX, Loop.FY)


class PointTables:
    """Iterations and elements; tables of an operand have one row per distinct point of it.

    Attributes:
        paths: Of the family.
        jobs: The batch, n jobs.
        cycles: Iterations at each point: (n_points, n).
        events: Times a tile of each point comes round: (n_points, n).
        time: Cycles all iterations of each point take: (n_points, n).
    """

    def __init__(self, core: ComputeCore, paths: FamilyPaths, levels: Levels, jobs: Jobs) -> None:
        self.core, self.paths, self.jobs = core, paths, jobs
        self._levels = levels
        self._loops = np.flatnonzero(paths.level.any(axis=0))
        self.cycles = self.iterations(paths.level, self._loops)
        self.events = jobs.iterations / self.cycles
        self.time = self.cycles if (jobs.pace == 1).all() else self.cycles * jobs.pace
        self._first_use: dict[Operand, Array] = {}
        self._unfinished: Array | None = None
        self._finished: Array | None = None
        self._unrolling: dict[tuple[tuple[bool, ...], bool], Array] = {}
        self._tile_events: dict[Operand, Array] = {}
        self._instances: dict[tuple[bool, ...], Array] = {}
        self._products: dict[Operand, Array] = {}
        self._elements: dict[tuple[Operand, tuple[bool, ...], bool], Array] = {}

    def iterations(self, level: Array, loops: Array) -> Array:
        """Product over some loops of the iterations at given levels: (n_rows, n)."""
        result = np.ones((len(level), self.jobs.n))
        for loop in loops:
            result *= self._levels.values[level[:, loop], loop]
        return result

    def products(self, operand: Operand) -> Array:
        """Iterations of the loops an operand depends on, at each of its points."""
        if operand not in self._products:
            self._products[operand] = self.iterations(
                self.paths.operands[operand].distinct.level, self._loops
            )
        return self._products[operand]

    def tile_rows(self, operand: Operand) -> Array:
        """Distinct point of each tile: (n_tiles,)."""
        paths = self.paths.operands[operand]
        rows: Array = paths.distinct.row[paths.tile_point]
        return rows

    def tile_events(self, operand: Operand) -> Array:
        """Times each tile comes round: (n_tiles, n)."""
        if operand not in self._tile_events:
            self._tile_events[operand] = self.events[self.paths.operands[operand].tile_point]
        return self._tile_events[operand]

    def finished_events(self) -> Array:
        """Tiles of finished outputs of each size: (n_distinct, n)."""
        if self._finished is None:
            products = self.products(Operand.O)
            self._finished = products.max(axis=0) / products
        return self._finished

    def unfinished_events(self) -> Array:
        """Times each tile of unfinished outputs goes up: (n_tiles, n)."""
        if self._unfinished is None:
            finished = self.finished_events()[self.tile_rows(Operand.O)]
            self._unfinished = self.tile_events(Operand.O) - finished
        return self._unfinished

    def first_use(self, operand: Operand) -> Array:
        """Cycle in which the last word of each stream is used for the first time: (n_streams, n).

        See `hwcost.mapping.nest.Nest.first_use_cycles`.
        """
        if operand not in self._first_use:
            paths = self.paths.operands[operand]
            result = np.zeros((paths.n_streams, self.jobs.n))
            for rows, shorter, point, below in paths.stream_depths:
                use = self.time[point]
                use -= self.time[below]
                use += result[shorter]
                result[rows] = use
            self._first_use[operand] = result
        return self._first_use[operand]

    def unrolling(self, served: tuple[bool, ...], average: bool = True) -> Array:
        """Unrolling of each loop within the reach of an instance: (8, n)."""
        key = served, average
        if key not in self._unrolling:
            factors = self.jobs.spatial.factors(np.array(served), average)
            self._unrolling[key] = np.ascontiguousarray(factors.T)
        return self._unrolling[key]

    def instances(self, m: int) -> Array:
        """Instances in use of a memory: (n,)."""
        served = self.core.served_dimensions(self.core.memories[m])
        if served not in self._instances:
            outside = np.array([not one for one in served])
            self._instances[served] = np.where(outside, self.jobs.spatial.average, 1.0).prod(axis=1)
        return self._instances[served]

    def elements(self, operand: Operand, m: int, largest: bool = False) -> Array:
        """Distinct elements in the reach of an instance of memory m: of the average tile, or the largest."""
        served = self.core.served_dimensions(self.core.memories[m])
        if largest and not self.jobs.uneven:
            largest = False
        key = operand, served, largest
        if key not in self._elements:
            self._elements[key] = self._count(operand, self.unrolling(served, not largest), largest)
        return self._elements[key]

    def _count(self, operand: Operand, unrolling: Array, largest: bool) -> Array:
        distinct = self.paths.operands[operand].distinct
        result = np.ones((len(distinct.level), self.jobs.n))
        rest = np.ones(self.jobs.n)
        for loop in Loop:
            if not RELEVANT[operand, loop] or (operand == Operand.I and loop in _WINDOW_LOOPS):
                continue
            if loop in self._loops:
                result *= self._extent(distinct.level, loop, unrolling, largest)
            else:
                # rounding along several dimensions can spread a loop over more PEs than it has iterations
                rest *= np.minimum(unrolling[loop], self.jobs.sizes[loop]) if largest else unrolling[loop]
        result *= rest
        if operand == Operand.I:
            result *= self._window(Loop.OX, Loop.FX, self.paths.columns, unrolling, largest)
            result *= self._window(Loop.OY, Loop.FY, self.paths.rows, unrolling, largest)
            most = self.jobs.layers.input_elements
            if np.isfinite(most).any():
                groups = self._levels.values[distinct.level[:, Loop.G], Loop.G] * unrolling[Loop.G]
                result = np.minimum(result, most * groups)
        return result

    def _extent(self, level: Array, loop: Loop, unrolling: Array, largest: bool) -> Array:
        met: Array = self._levels.values[level[:, loop], loop] * unrolling[loop]
        return np.minimum(met, self.jobs.sizes[loop]) if largest else met

    def _window(self, out: Loop, tap: Loop, axis: Projection, unrolling: Array, largest: bool) -> Array:
        layers = self.jobs.layers
        limit = layers.ix if out == Loop.OX else layers.iy
        outs = self._extent(axis.level, out, unrolling, largest)
        taps = self._extent(axis.level, tap, unrolling, largest)
        spans = touched(outs, taps, layers.stride, limit)
        distinct = self.paths.operands[Operand.I].distinct
        # a point with the levels of each distinct one, to find its row on the axis
        first = np.zeros(len(distinct.level), dtype=np.int64)
        first[distinct.row[::-1]] = np.arange(len(distinct.row))[::-1]
        result: Array = spans[axis.row[first]]
        return result
