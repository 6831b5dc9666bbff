"""Costs of an early-exit network on many designs at once."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hwcost.accelerator import Accelerator
from hwcost.cost_model import LayerCosts, LayerCostTable
from hwcost.errors import OfframpError
from hwcost.mapper import check_objective
from hwcost.placement import shortest_path
from hwcost.transfers import LEVEL_NAMES, TransferCosts, transfer_costs
from hwcost.workload import IntArray, Workload

Array = np.ndarray
# Weight of energy (against latency, both relative) in the scores that `edp` chooses among.
EDP_WEIGHTS = (0.0, 0.25, 0.5, 0.75, 1.0)
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


@dataclass(frozen=True, eq=False)
class Schedule:
    """What each layer costs where it was put; transfers to it included.

    Attributes:
        core: Option of each layer: (n_designs, n_layers).
        latency_cycles: (n_designs, n_layers).
        energy_pj: By level of `LEVEL_NAMES`: (n_designs, n_layers, n_levels).
    """

    core: IntArray
    latency_cycles: Array
    energy_pj: Array


class CostModel:
    """Evaluates workloads on one accelerator; keeps the costs of layers it has seen."""

    def __init__(self, accelerator: Accelerator) -> None:
        self.accelerator = accelerator
        self._table = LayerCostTable(accelerator)

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
        costs = self._table.costs(workload, mapping_objective)
        moves = [
            [transfer_costs(self.accelerator, workload, i, int(s)) for s in workload.sources[i] if s > -2]
            for i in range(workload.n_layers)
        ]
        options = _LayerOptions(self.accelerator, workload, costs, allocations)
        if mapping_objective == "latency":
            return options.solve(moves, np.zeros(1))
        if mapping_objective == "energy":
            return options.solve(moves, np.ones(1))
        return options.solve(moves, np.array(EDP_WEIGHTS))


class _LayerOptions:
    """Costs of each layer on its options for a batch of designs."""

    def __init__(
        self, accelerator: Accelerator, workload: Workload, costs: LayerCosts, allocations: IntArray
    ) -> None:
        self.workload = workload
        groups = np.array(accelerator.core_groups)
        self.n_designs = len(allocations)
        weighted = workload.has_weights
        # (n_layers, n_designs, n_cores[, n_levels])
        latency = costs.latency_cycles[:, groups, allocations]
        energy = costs.energy_pj[:, groups, allocations]
        n_options = [accelerator.n_compute_cores if w else 1 for w in weighted]
        self.latency = [latency[i, :, :n] for i, n in enumerate(n_options)]
        self.energy = [energy[i, :, :n] for i, n in enumerate(n_options)]

    def solve(self, moves: list[list[TransferCosts]], weights: Array) -> Schedule:
        """Solves every weighting exactly and keeps the one with the smallest energy x latency product.

        Args:
            moves: Transfer costs per layer and source.
            weights: Weight of energy in each weighting: (n_weights,).
        """
        n = self.n_designs
        latency_scale = sum(layer.min(axis=1) for layer in self.latency)
        energy_scale = sum(layer.sum(axis=2).min(axis=1) for layer in self.energy)
        # (n_weights * n_designs,): what a cycle and a picojoule count
        cycle = ((1 - weights)[:, None] / latency_scale).reshape(-1)
        picojoule = (weights[:, None] / energy_scale).reshape(-1)
        reps = len(weights)
        layer_scores = [
            np.tile(lat, (reps, 1)) * cycle[:, None] + np.tile(en.sum(axis=2), (reps, 1)) * picojoule[:, None]
            for lat, en in zip(self.latency, self.energy, strict=True)
        ]
        move_scores = [
            [
                move.latency_cycles * cycle[:, None, None]
                + move.energy_pj.sum(axis=2) * picojoule[:, None, None]
                for move in sources
            ]
            for sources in moves
        ]
        core = shortest_path(self.workload, layer_scores, move_scores).reshape(reps, n, -1)
        schedules = [self.cost_of(core[r], moves) for r in range(reps)]
        if reps == 1:
            return schedules[0]
        product = np.stack([s.latency_cycles.sum(axis=1) * s.energy_pj.sum(axis=(1, 2)) for s in schedules])
        best = product.argmin(axis=0)
        rows = np.arange(n)
        return Schedule(
            np.stack([s.core for s in schedules])[best, rows],
            np.stack([s.latency_cycles for s in schedules])[best, rows],
            np.stack([s.energy_pj for s in schedules])[best, rows],
        )

    def cost_of(self, core: IntArray, moves: list[list[TransferCosts]]) -> Schedule:
        """Costs of given assignments: (n_designs, n_layers)."""
        rows = np.arange(len(core))
        latency = np.empty(core.shape)
        energy = np.empty((*core.shape, len(LEVEL_NAMES)))
        for i in range(self.workload.n_layers):
            latency[:, i] = self.latency[i][rows, core[:, i]]
            energy[:, i] = self.energy[i][rows, core[:, i]]
            sources = [int(s) for s in self.workload.sources[i] if s > -2]
            for source, move in zip(sources, moves[i], strict=True):
                origin = core[:, source] if source >= 0 else np.zeros(len(core), dtype=np.int64)
                latency[:, i] += move.latency_cycles[origin, core[:, i]]
                energy[:, i] += move.energy_pj[origin, core[:, i]]
        return Schedule(core, latency, energy)


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
