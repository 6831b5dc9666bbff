"""Costs of an early-exit network on many designs at once."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hwcost.capacity import check_activations_fit
from hwcost.chip.accelerator import Accelerator
from hwcost.cost_model import LayerCostTable
from hwcost.errors import OfframpError
from hwcost.mapping.mapper import check_objective
from hwcost.placement.schedule import Schedule, Scheduler
from hwcost.placement.transfers import LEVEL_NAMES, Transfers
from hwcost.workload import IntArray, Workload

Array = np.ndarray
# Designs mapped at once: bounds the memory of the arrays.
CHUNK_DESIGNS = 2048


@dataclass(frozen=True, eq=False)
class StageCosts:
    """Costs up to and including each exit, heads that were passed included.

    Attributes:
        latency_cycles: (n_designs, n_exits).
        energy_pj: (n_designs, n_exits).
        energy_by_level_pj: (n_designs, n_exits, n_levels).
        level_names: Names of the levels.
        weight_memory_bits: Storage for all weights.
        activation_memory_bits: Largest sum of activations alive at once.
    """

    latency_cycles: Array
    energy_pj: Array
    energy_by_level_pj: Array
    level_names: tuple[str, ...]
    weight_memory_bits: int
    activation_memory_bits: int

    @property
    def worst_latency_cycles(self) -> Array:
        """Latency of an input that leaves at the last exit: (n_designs,)."""
        return self.latency_cycles[:, -1]


class CostModel:
    """Evaluates workloads on one accelerator; keeps the costs of layers it has seen."""

    def __init__(self, accelerator: Accelerator) -> None:
        self.accelerator = accelerator
        self._table = LayerCostTable(accelerator)
        self._transfers = Transfers(accelerator)

    def evaluate(
        self, workload: Workload, allocations: IntArray, mapping_objective: str = "edp"
    ) -> StageCosts:
        """Costs of one workload on each allocation; see `evaluate`."""
        check_objective(mapping_objective)
        allocations = check_allocations(self.accelerator, allocations)
        distinct, inverse = self._distinct(allocations)
        parts = []
        for start in range(0, len(distinct), CHUNK_DESIGNS):
            found = self.schedule(workload, distinct[start : start + CHUNK_DESIGNS], mapping_objective)
            parts.append(_stage_sums(workload, found))
        latency = np.concatenate([part[0] for part in parts])[inverse]
        by_level = np.concatenate([part[1] for part in parts])[inverse]
        return StageCosts(
            latency_cycles=latency,
            energy_pj=by_level.sum(axis=2),
            energy_by_level_pj=by_level,
            level_names=LEVEL_NAMES,
            weight_memory_bits=workload.weight_memory_bits,
            activation_memory_bits=workload.activation_memory_bits,
        )

    def _distinct(self, allocations: IntArray) -> tuple[IntArray, IntArray]:
        """Designs that differ only in the order of equal cores are evaluated once."""
        ordered = allocations.copy()
        groups = np.array(self.accelerator.core_groups)
        for group in np.unique(groups):
            members = np.flatnonzero(groups == group)
            ordered[:, members] = np.sort(allocations[:, members], axis=1)
        distinct, inverse = np.unique(ordered, axis=0, return_inverse=True)
        return distinct, inverse.reshape(-1)

    def schedule(self, workload: Workload, allocations: IntArray, mapping_objective: str = "edp") -> Schedule:
        """Maps layers to cores for each allocation."""
        check_activations_fit(self.accelerator, workload)
        costs = self._table.costs(workload, mapping_objective)
        return Scheduler(self.accelerator, self._transfers, workload, costs, allocations).solve(
            mapping_objective
        )


def _stage_sums(workload: Workload, schedule: Schedule) -> tuple[Array, Array]:
    starts = np.searchsorted(workload.segment, np.arange(workload.n_segments))
    latency = np.add.reduceat(schedule.latency_cycles, starts, axis=1).cumsum(axis=1)
    energy = np.add.reduceat(schedule.energy_pj, starts, axis=1).cumsum(axis=1)
    return latency, energy


def check_allocations(accelerator: Accelerator, allocations: IntArray) -> IntArray:
    """Refuses allocations of the wrong shape, outside the catalogue or over the PE budget."""
    checked = np.asarray(allocations)
    n_cores, n_arrays = accelerator.n_compute_cores, len(accelerator.catalogue)
    if (
        checked.ndim != 2
        or checked.shape[1] != n_cores
        or checked.shape[0] == 0
        or checked.dtype.kind not in "iu"
    ):
        raise OfframpError(
            f"expected integer allocations of shape (n_designs, {n_cores}), got {checked.shape}"
        )
    if checked.min() < 0 or checked.max() >= n_arrays:
        raise OfframpError(
            f"expected catalogue indices 0..{n_arrays - 1} in allocations, got {checked.max()}"
        )
    n_pes = np.array([array.n_pes for array in accelerator.catalogue])[checked].sum(axis=1)
    if n_pes.max() > accelerator.pe_budget:
        raise OfframpError(
            f"expected at most {accelerator.pe_budget} PEs per allocation, got {n_pes.max()}; use smaller arrays"
        )
    return checked.astype(np.int64)


def evaluate(
    workload: Workload, accelerator: Accelerator, allocations: IntArray, mapping_objective: str = "edp"
) -> StageCosts:
    """Costs of one workload on each allocation.

    Args:
        workload: The network.
        accelerator: The hardware.
        allocations: Catalogue index per compute core: (n_designs, n_compute_cores).
        mapping_objective: `latency`, `energy` or `edp`: what the mapping inside and across cores minimises
            for an input that leaves at the last exit. Exit ratios are not used.

    Raises:
        OfframpError: An allocation is malformed or over the budget, or a layer has no core to run on.
    """
    return CostModel(accelerator).evaluate(workload, allocations, mapping_objective)
