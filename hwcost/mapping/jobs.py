"""A job: one layer on one array with one unrolling, its nest still open."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from hwcost.chip.core import ComputeCore
from hwcost.mapping.loops import loop_sizes
from hwcost.mapping.nest import Layers
from hwcost.mapping.spatial import SpatialMappings
from hwcost.mapping.systolic import ComputeForm
from hwcost.mapping.timing import mac_energy_pj
from hwcost.workload import COST_COLUMNS, IntArray

Array = np.ndarray


@dataclass(frozen=True, eq=False)
class Jobs:
    """n jobs on one core.

    Attributes:
        spatial: Their unrollings.
        layers: Their layers.
        sizes: Loop sizes: (8, n).
        mac_pj: Energy of all MACs: (n,).
    """

    spatial: SpatialMappings
    layers: Layers
    sizes: IntArray
    mac_pj: Array

    @classmethod
    def of(cls, core: ComputeCore, form: ComputeForm, spatial: SpatialMappings) -> Jobs:
        """The jobs of unrollings whose `layer` indexes the rows of a form."""
        rows = form.rows[spatial.layer]
        sizes = loop_sizes(rows)
        # no array does more than one iteration a cycle
        cycles = spatial.temporal.astype(np.float64).prod(axis=1)
        cycles = np.maximum(cycles, form.least_cycles[spatial.layer])
        bits = (
            rows[:, COST_COLUMNS.index(name)].astype(np.float64) for name in ("weight_bits", "input_bits")
        )
        macs = sizes.astype(np.float64).prod(axis=1)
        return cls(
            spatial,
            Layers.from_rows(rows, cycles, form.input_elements[spatial.layer]),
            np.ascontiguousarray(sizes.T),
            mac_energy_pj(core, macs, *bits),
        )

    @property
    def n(self) -> int:
        """Number of jobs."""
        return len(self.mac_pj)

    @cached_property
    def pace(self) -> Array:
        """Cycles per iteration: (n,)."""
        return self.layers.compute_cycles / self.iterations

    @cached_property
    def iterations(self) -> Array:
        """Of the nest: (n,)."""
        return self.spatial.temporal.astype(np.float64).prod(axis=1)

    @cached_property
    def uneven(self) -> bool:
        """Whether any loop does not divide over its PEs."""
        return bool((self.spatial.average != self.spatial.unroll).any())

    def take(self, index: IntArray) -> Jobs:
        """The jobs of the given indices."""
        return Jobs(
            self.spatial.take(index), self.layers.take(index), self.sizes[:, index], self.mac_pj[index]
        )

    def join(self, other: Jobs) -> Jobs:
        """These jobs and others behind them."""
        return Jobs(
            self.spatial.join(other.spatial),
            self.layers.join(other.layers),
            np.concatenate([self.sizes, other.sizes], axis=1),
            np.concatenate([self.mac_pj, other.mac_pj]),
        )
