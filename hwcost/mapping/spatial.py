"""Which loops a PE array unrolls, and how far."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np

from hwcost.chip.core import ArrayDimension
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


def enumerate_spatial(
    sizes: IntArray, arrays: IntArray, dimensions: tuple[ArrayDimension, ...]
) -> SpatialMappings:
    """Every choice of one allowed loop per dimension, each unrolled as far as array and layer allow.

    A dimension whose loops all have size 1 stays idle. Choices that use a loop of size 1 where another
    allowed loop is larger are left out, and so are repeated ones.

    Args:
        sizes: Loop sizes: (n, 8).
        arrays: Array sizes: (n, n_dims).
        dimensions: What each dimension may unroll.
    """
    n, n_dims = arrays.shape
    parts = []
    for choice in itertools.product(*(dimension.loops for dimension in dimensions)):
        left = sizes.copy()
        unroll = np.ones((n, n_dims), dtype=np.int64)
        useful = np.ones(n, dtype=bool)
        for d, chosen in enumerate(choice):
            unroll[:, d] = np.minimum(arrays[:, d], left[:, chosen])
            left[:, chosen] = -(-left[:, chosen] // unroll[:, d])
            others = [other for other in dimensions[d].loops if other not in choice]
            if others:
                wasted = (unroll[:, d] == 1) & (arrays[:, d] > 1)
                useful &= ~(wasted & (sizes[:, others].max(axis=1) > 1))
        keep = np.flatnonzero(useful)
        loop_ids = np.broadcast_to(np.array(choice, dtype=np.int64), (keep.size, n_dims))
        parts.append((keep, loop_ids, unroll[keep], left[keep]))
    layer = np.concatenate([part[0] for part in parts])
    loop = np.concatenate([part[1] for part in parts])
    unroll = np.concatenate([part[2] for part in parts])
    temporal = np.concatenate([part[3] for part in parts])
    layer, loop, unroll, temporal = _distinct(layer, loop, unroll, temporal)
    return SpatialMappings(layer, loop, unroll, temporal, _average(sizes[layer], loop, unroll, temporal))


def _distinct(
    layer: IntArray, loop: IntArray, unroll: IntArray, temporal: IntArray
) -> tuple[IntArray, IntArray, IntArray, IntArray]:
    """Drops jobs that differ only in the loop of a dimension with a single PE in use."""
    key = np.concatenate([layer[:, None], np.where(unroll > 1, loop, -1), unroll], axis=1)
    _, first = np.unique(key, axis=0, return_index=True)
    return layer[first], loop[first], unroll[first], temporal[first]


def _average(sizes: IntArray, loop: IntArray, unroll: IntArray, temporal: IntArray) -> np.ndarray:
    """Average PEs used: the last dimension of a loop takes what rounding leaves idle."""
    rows = np.arange(len(loop))
    average = unroll.astype(np.float64)
    used = np.ones_like(sizes, dtype=np.float64)
    for d in range(loop.shape[1]):
        used[rows, loop[:, d]] *= unroll[:, d]
    shrink = sizes / (temporal * used)
    for d in range(loop.shape[1] - 1, -1, -1):
        average[:, d] *= shrink[rows, loop[:, d]]
        shrink[rows, loop[:, d]] = 1.0
    return average
