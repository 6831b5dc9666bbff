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
    """

    def __init__(self, core: ComputeCore, paths: FamilyPaths, levels: Levels, jobs: Jobs) -> None:
        self.core, self.paths, self.jobs = core, paths, jobs
        self._levels = levels
        self._loops = np.flatnonzero(paths.level.any(axis=0))
        self.cycles = self.iterations(paths.level, self._loops)
        self.events = self.cycles.max(axis=0) / self.cycles
        self._unrolling: dict[tuple[tuple[bool, ...], bool], Array] = {}
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
        outside = tuple(not one for one in served)
        result: Array = self.unrolling(outside).prod(axis=0)
        return result

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
                rest = rest * unrolling[loop]
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
