"""Which loops a PE array unrolls, and how far."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np

from hwcost.chip.core import ArrayDimension, ComputeCore
from hwcost.chip.memory import Memory
from hwcost.mapping.loops import N_LOOPS
from hwcost.workload import IntArray


@dataclass(frozen=True, eq=False)
class SpatialMappings:
    """Spatial unrollings to be tried; a job is one layer on one array with one unrolling.

    Attributes:
        layer: Which layer and array a job belongs to: (n_jobs,).
        loop: Loop on each array dimension: (n_jobs, n_dims).
        unroll: PEs used along each dimension: (n_jobs, n_dims).
        temporal: Iterations of each loop that are left: (n_jobs, 8).
        average: Average PEs used along each dimension, edge tiles included: (n_jobs, n_dims).
    """

    layer: IntArray
    loop: IntArray
    unroll: IntArray
    temporal: IntArray
    average: np.ndarray

    @property
    def n_jobs(self) -> int:
        """Number of unrollings, over all layers."""
        return len(self.layer)

    @property
    def sizes(self) -> IntArray:
        """Loop sizes of each job: (n_jobs, 8)."""
        used = self.factors(np.ones(self.loop.shape[1], dtype=bool))
        result: IntArray = np.rint(self.temporal * used).astype(np.int64)
        return result

    def take(self, index: np.ndarray) -> SpatialMappings:
        """The jobs of the given indices."""
        return SpatialMappings(
            self.layer[index], self.loop[index], self.unroll[index], self.temporal[index], self.average[index]
        )

    def join(self, other: SpatialMappings) -> SpatialMappings:
        """These jobs and others behind them."""
        return SpatialMappings(
            *(np.concatenate([getattr(self, f.name), getattr(other, f.name)]) for f in fields(self))
        )

    def factors(self, dimensions: np.ndarray, average: bool = True) -> np.ndarray:
        """Unrolling of each loop over some of the array's dimensions.

        Args:
            dimensions: Which dimensions count: (n_dims,) bool.
            average: Average over edge tiles, else the largest.

        Returns:
            (n_jobs, 8) float.
        """
        used = self.average if average else self.unroll.astype(np.float64)
        result = np.ones((self.n_jobs, N_LOOPS))
        rows = np.arange(self.n_jobs)
        for d in np.flatnonzero(dimensions):
            result[rows, self.loop[:, d]] *= used[:, d]
        return result


@dataclass(frozen=True, eq=False)
class _Partial:
    """Jobs whose first dimensions are unrolled."""

    layer: IntArray
    left: IntArray
    loop: tuple[IntArray, ...]
    unroll: tuple[IntArray, ...]

    def extended(self, index: IntArray, loop: int, unroll: IntArray) -> _Partial:
        """Some of the jobs with one more dimension."""
        left = self.left[index]
        left[:, loop] = -(-left[:, loop] // unroll)
        return _Partial(
            self.layer[index],
            left,
            (*(one[index] for one in self.loop), np.full(len(index), loop)),
            (*(one[index] for one in self.unroll), unroll),
        )


def enumerate_spatial(
    sizes: IntArray, arrays: IntArray, dimensions: tuple[ArrayDimension, ...], idle: bool = False
) -> SpatialMappings:
    """Every choice of one allowed loop per dimension.

    Unless PEs may be left idle, each loop is unrolled as far as array and layer allow, and a dimension stays idle
    only where all its loops are of size 1 or unrolled along other dimensions. With `idle` each loop is unrolled over
    every number of PEs that could not be smaller without more iterations, and a dimension may stay idle. Which
    numbers these are does not depend on the array, so that a larger one has all choices of a smaller one.

    Args:
        sizes: Loop sizes: (n, 8).
        arrays: Array sizes: (n, n_dims).
        dimensions: What each dimension may unroll.
        idle: Whether PEs may be left idle.
    """
    jobs = _Partial(np.arange(len(sizes)), sizes, (), ())
    for d, dimension in enumerate(dimensions):
        allowed = np.array(dimension.loops)
        unused = np.ones(len(jobs.layer), dtype=bool)
        if not idle:
            # the other dimensions cannot take all its loops
            wasted = ((sizes[:, allowed] > 1).sum(axis=1) >= len(dimensions))[jobs.layer]
            later = {one for other in dimensions[d + 1 :] for one in other.loops}
            for one in set(dimension.loops) - later:
                # nor is there another one that takes this loop
                whole = sizes[jobs.layer, one]
                wasted |= (whole > 1) & (jobs.left[:, one] == whole)
            unused = ~wasted | (arrays[jobs.layer, d] == 1)
        index = np.flatnonzero(unused)
        parts = [jobs.extended(index, int(allowed[0]), np.ones(len(index), dtype=np.int64))]
        for one in dimension.loops:
            most = np.minimum(arrays[jobs.layer, d], jobs.left[:, one])
            for unroll in _unrollings(most, jobs.left[:, one], idle):
                index = np.flatnonzero(unroll > 1)
                if index.size:
                    parts.append(jobs.extended(index, one, unroll[index]))
        jobs = _Partial(
            np.concatenate([part.layer for part in parts]),
            np.concatenate([part.left for part in parts]),
            tuple(np.concatenate(ids) for ids in zip(*(part.loop for part in parts), strict=True)),
            tuple(np.concatenate(pes) for pes in zip(*(part.unroll for part in parts), strict=True)),
        )
    loop, unroll = np.stack(jobs.loop, axis=1), np.stack(jobs.unroll, axis=1)
    keep = (
        slice(None) if idle else ~_wasteful(sizes[jobs.layer], arrays[jobs.layer], dimensions, loop, unroll)
    )
    layer, loop, unroll, temporal = jobs.layer[keep], loop[keep], unroll[keep], jobs.left[keep]
    return SpatialMappings(layer, loop, unroll, temporal, _average(sizes[layer], loop, unroll, temporal))


def skew_cycles(core: ComputeCore, spatial: SpatialMappings, memory: Memory | None = None) -> np.ndarray:
    """Cycles data takes along the systolic dimensions: (n_jobs,); systolic compute models contain them.

    Args:
        core: Whose dimensions.
        spatial: How far they are unrolled.
        memory: Counts only dimensions along which this memory has instances: so much later than the first one the
            last one is ready for the next word.
    """
    skew = np.zeros(spatial.n_jobs)
    if core.compute_model == "ideal":
        names = [dimension.name for dimension in core.dimensions]
        for name in core.systolic_dimensions:
            if memory is None or name in memory.per_dimensions:
                skew += spatial.unroll[:, names.index(name)] - 1
    return skew


def _unrollings(most: IntArray, left: IntArray, idle: bool) -> list[IntArray]:
    """How far to unroll a loop over at most so many PEs; 1 where there is nothing to try."""
    if not idle:
        return [most]
    # where no fewer PEs need as many iterations
    return [
        np.where((n <= most) & (-(-left // -(-left // n)) == n), n, 1)
        for n in range(2, int(most.max(initial=1)) + 1)
    ]


def _wasteful(
    sizes: IntArray,
    arrays: IntArray,
    dimensions: tuple[ArrayDimension, ...],
    loop: IntArray,
    unroll: IntArray,
) -> np.ndarray:
    """Which jobs leave a dimension idle although one of its loops is not unrolled anywhere: (n_jobs,)."""
    # one byte a job, one bit a loop
    bit = (0x80 >> np.arange(N_LOOPS)).astype(np.uint8)
    used = np.zeros(len(sizes), dtype=np.uint8)
    for d in range(len(dimensions)):
        used |= np.where(unroll[:, d] > 1, bit[loop[:, d]], np.uint8(0))
    idle = np.packbits(sizes > 1, axis=1)[:, 0] & ~used
    result = np.zeros(len(sizes), dtype=bool)
    for d, dimension in enumerate(dimensions):
        mask = np.bitwise_or.reduce(bit[list(dimension.loops)])
        result |= (unroll[:, d] == 1) & (arrays[:, d] > 1) & ((idle & mask) != 0)
    return result


def _average(sizes: IntArray, loop: IntArray, unroll: IntArray, temporal: IntArray) -> np.ndarray:
    """Average PEs used: the last dimension in use of a loop takes what rounding leaves idle."""
    rows = np.arange(len(loop))
    average = unroll.astype(np.float64)
    used = np.ones_like(sizes, dtype=np.float64)
    for d in range(loop.shape[1]):
        used[rows, loop[:, d]] *= unroll[:, d]
    shrink = sizes / (temporal * used)
    for d in range(loop.shape[1] - 1, -1, -1):
        used_here = rows[unroll[:, d] > 1]
        average[used_here, d] *= shrink[used_here, loop[used_here, d]]
        shrink[used_here, loop[used_here, d]] = 1.0
    return average
