"""Costs of early-exit networks on many designs at once."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from hwcost.capacity import check_activations_fit
from hwcost.chip.accelerator import Accelerator
from hwcost.cost_model import WEIGHTS, LayerCostTable
from hwcost.errors import OfframpError
from hwcost.mapping.mapper import check_objective
from hwcost.placement.layer_by_layer import schedule_layer_by_layer
from hwcost.placement.looked_up import LookedUpCosts, check_runs, look_up
from hwcost.placement.modes import ModeScheduler
from hwcost.placement.routes import LEVEL_NAMES
from hwcost.placement.schedule import Schedule
from hwcost.placement.transfers import Transfers
from hwcost.stage_costs import StageCosts
from hwcost.workload import IntArray, Workload
from hwcost.workload_batch import WorkloadBatch

__all__ = ["MODES", "CostModel", "StageCosts", "check_allocations", "evaluate"]

Array = np.ndarray
MODES = ("layer_by_layer", "split", "fused")
# Designs whose layers are looked up at once.
CHUNK_LOOK_UP = 16_384
# Designs mapped at once: enough that the loops over layers do not count, few enough for memory.
CHUNK_DESIGNS = 4096
# Other modes have more options, and tiles: bounds memory.
CHUNK_DESIGNS_OF_MODES = 256


class CostModel:
    """Evaluates workloads on one accelerator; keeps the costs of layers it has seen."""

    def __init__(self, accelerator: Accelerator) -> None:
        self.accelerator = accelerator
        self._table = LayerCostTable(accelerator)
        self._transfers = Transfers(accelerator)
        self._modes: ModeScheduler | None = None
        self._at_level: dict[int, CostModel] = {accelerator.level: self}

    def evaluate(
        self,
        workload: Workload | WorkloadBatch,
        allocations: IntArray,
        mapping_objective: str = "edp",
        mode: str = "layer_by_layer",
        weights: str = "streamed",
        levels: IntArray | None = None,
    ) -> StageCosts:
        """Costs of one workload on each allocation, or of each design of a batch on its own; see `evaluate`."""
        _check_ways(mapping_objective, mode, weights)
        allocations = check_allocations(self.accelerator, allocations)
        batch = _batch_of(workload, len(allocations))
        if levels is not None:
            levels = _check_levels(self.accelerator, levels, len(allocations))
            return self._evaluate_levels(
                levels,
                lambda model, rows: model.evaluate(
                    workload if batch.n_designs == 1 else batch.take(rows),
                    allocations[rows],
                    mapping_objective,
                    mode,
                    weights,
                ),
            )
        ordered = self._ordered(allocations)
        inverse = np.arange(len(ordered))
        if batch.n_designs == 1:
            ordered, inverse = np.unique(ordered, axis=0, return_inverse=True)
            inverse = inverse.reshape(-1)
        parts: list[tuple[Array, Array]] = []
        plain = mode == "layer_by_layer" and weights == "streamed"
        for start in range(0, len(ordered), CHUNK_LOOK_UP):
            rows = slice(start, start + CHUNK_LOOK_UP)
            part = batch if batch.n_designs == 1 or len(ordered) <= CHUNK_LOOK_UP else batch.take(rows)
            schedules = (
                self._layer_by_layer(part, ordered[rows], mapping_objective)
                if plain
                else self._other_mode(part, ordered[rows], mapping_objective, mode, weights)
            )
            parts.extend(_stage_sums(batch.template, schedule) for schedule in schedules)
        latency = np.concatenate([part[0] for part in parts])[inverse]
        by_level = np.concatenate([part[1] for part in parts])[inverse]
        single = isinstance(workload, Workload)
        return StageCosts(
            latency_cycles=latency,
            energy_pj=by_level.sum(axis=2),
            energy_by_level_pj=by_level,
            level_names=LEVEL_NAMES,
            weight_memory_bits=_memory_bits(batch.weight_memory_bits, len(latency), single),
            activation_memory_bits=_memory_bits(batch.activation_memory_bits, len(latency), single),
            clock_hz=np.full(len(latency), self.accelerator.clock_hz),
            exits=np.broadcast_to(batch.exits, (len(latency), batch.n_slots)),
        )

    def at_level(self, level: int) -> CostModel:
        """The model of the same chip at another voltage and frequency level; made once.

        Raises:
            OfframpError: There is no such level.
        """
        if level not in self._at_level:
            self._at_level[level] = CostModel(self.accelerator.at_level(level))
        return self._at_level[level]

    def schedule(
        self,
        workload: Workload | WorkloadBatch,
        allocations: IntArray,
        mapping_objective: str = "edp",
        mode: str = "layer_by_layer",
        weights: str = "streamed",
        operands: bool = False,
    ) -> Schedule:
        """Where each layer runs and what it costs there; arguments as for `evaluate`.

        Args:
            workload: One for all allocations, or one design per allocation.
            allocations: (n_designs, n_compute_cores).
            mapping_objective: What is minimised.
            mode: Of `MODES`.
            weights: `streamed` or `resident`.
            operands: Whether the breakdown by operand is wanted.
        """
        _check_ways(mapping_objective, mode, weights)
        allocations = check_allocations(self.accelerator, allocations)
        batch = _batch_of(workload, len(allocations))
        schedules = (
            self._layer_by_layer(batch, allocations, mapping_objective, operands)
            if mode == "layer_by_layer" and weights == "streamed"
            else self._other_mode(batch, allocations, mapping_objective, mode, weights)
        )
        return Schedule.joined(list(schedules))

    def _layer_by_layer(
        self, batch: WorkloadBatch, allocations: IntArray, objective: str, operands: bool = False
    ) -> Iterator[Schedule]:
        found = self._look_up(batch, objective)
        for start in range(0, len(allocations), CHUNK_DESIGNS):
            rows = slice(start, start + CHUNK_DESIGNS)
            yield schedule_layer_by_layer(
                self.accelerator, self._transfers, batch, found, allocations[rows], objective, operands, rows
            )

    def _other_mode(
        self, batch: WorkloadBatch, allocations: IntArray, objective: str, mode: str, weights: str
    ) -> Iterator[Schedule]:
        self._look_up(batch, objective)
        if self._modes is None:
            self._modes = ModeScheduler(self.accelerator, self._table)
        for start in range(0, len(allocations), CHUNK_DESIGNS_OF_MODES):
            rows = slice(start, start + CHUNK_DESIGNS_OF_MODES)
            part = batch if batch.n_designs == 1 else batch.take(rows)
            if mode == "fused":
                yield self._modes.fused(part, allocations[rows], objective, weights)
            elif weights == "resident":
                yield self._modes.resident(part, allocations[rows], objective, distributed=mode == "split")
            else:
                yield self._modes.split(part, allocations[rows], objective)

    def _look_up(self, batch: WorkloadBatch, objective: str) -> LookedUpCosts:
        """Costs of whole layers; refuses designs with one that no core can run."""
        self._check_fits(batch)
        found = look_up(self._table, batch, objective)
        check_runs(self.accelerator, batch, found)
        return found

    def _check_fits(self, batch: WorkloadBatch) -> None:
        """Refuses designs whose activations do not fit; the widest of all together first, as it mostly fits."""
        try:
            check_activations_fit(self.accelerator, batch.template)
        except OfframpError:
            for design in range(batch.n_designs):
                check_activations_fit(self.accelerator, batch.workload(design))

    def _ordered(self, allocations: IntArray) -> IntArray:
        """Equal cores may be exchanged: their arrays in ascending order."""
        ordered = allocations.copy()
        groups = np.array(self.accelerator.core_groups)
        for group in np.unique(groups):
            members = np.flatnonzero(groups == group)
            ordered[:, members] = np.sort(allocations[:, members], axis=1)
        return ordered

    def _evaluate_levels(
        self, levels: IntArray, evaluate: Callable[[CostModel, IntArray], StageCosts]
    ) -> StageCosts:
        parts, order = [], []
        for level in np.unique(levels).tolist():
            rows = np.flatnonzero(levels == level)
            parts.append(evaluate(self.at_level(level), rows))
            order.append(rows)
        return StageCosts.joined(parts, np.argsort(np.concatenate(order)))


def _stage_sums(template: Workload, schedule: Schedule) -> tuple[Array, Array]:
    starts = np.searchsorted(template.segment, np.arange(template.n_segments))
    latency = np.add.reduceat(schedule.latency_cycles, starts, axis=1).cumsum(axis=1)
    energy = np.add.reduceat(schedule.energy_pj, starts, axis=1).cumsum(axis=1)
    return latency, energy


def _memory_bits(bits: IntArray, n_designs: int, single: bool) -> IntArray:
    """One number of one workload, else one a design: of a batch of one network for all it is repeated."""
    return bits[0] if single else np.broadcast_to(bits, (n_designs,))


def _batch_of(workload: Workload | WorkloadBatch, n_designs: int) -> WorkloadBatch:
    if isinstance(workload, Workload):
        return WorkloadBatch.of(workload)
    if workload.n_designs not in (1, n_designs):
        raise OfframpError(
            f"expected one allocation per design of the batch, got {n_designs} allocations for "
            f"{workload.n_designs} designs"
        )
    return workload


def _check_ways(objective: str, mode: str, weights: str) -> None:
    check_objective(objective)
    if mode not in MODES:
        raise OfframpError(f"expected a mode of {', '.join(MODES)}, got {mode!r}")
    if weights not in WEIGHTS:
        raise OfframpError(f"expected weights of {', '.join(WEIGHTS)}, got {weights!r}")


def _check_levels(accelerator: Accelerator, levels: IntArray, n_designs: int) -> IntArray:
    checked = np.asarray(levels)
    if checked.shape != (n_designs,) or checked.dtype.kind not in "iu":
        raise OfframpError(f"expected integer levels of shape ({n_designs},), got {checked.shape}")
    if checked.min() < 0 or checked.max() >= len(accelerator.levels):
        raise OfframpError(
            f"expected level indices 0..{len(accelerator.levels) - 1} of {accelerator.name!r}, "
            f"got {checked.min()} to {checked.max()}"
        )
    return checked.astype(np.int64)


def check_allocations(accelerator: Accelerator, allocations: IntArray) -> IntArray:
    """Refuses allocations of the wrong shape, outside a core's catalogue or over the PE budget."""
    checked = np.asarray(allocations)
    n_cores = accelerator.n_compute_cores
    if (
        checked.ndim != 2
        or checked.shape[1] != n_cores
        or checked.shape[0] == 0
        or checked.dtype.kind not in "iu"
    ):
        raise OfframpError(
            f"expected integer allocations of shape (n_designs, {n_cores}), got {checked.shape}"
        )
    for i, core in enumerate(accelerator.compute_cores):
        column, n_arrays = checked[:, i], len(core.catalogue)
        if column.min() < 0 or column.max() >= n_arrays:
            raise OfframpError(
                f"expected catalogue indices 0..{n_arrays - 1} for core {core.name!r} in allocations, "
                f"got {column.min() if column.min() < 0 else column.max()}"
            )
    n_pes = accelerator.n_pes(checked).sum(axis=1)
    if n_pes.max() > accelerator.pe_budget:
        raise OfframpError(
            f"expected at most {accelerator.pe_budget} PEs per allocation, got {n_pes.max()}; use smaller arrays"
        )
    return checked.astype(np.int64)


def evaluate(
    workload: Workload | WorkloadBatch,
    accelerator: Accelerator,
    allocations: IntArray,
    mapping_objective: str = "edp",
    mode: str = "layer_by_layer",
    weights: str = "streamed",
    levels: IntArray | None = None,
) -> StageCosts:
    """Costs of designs up to each of their exits.

    Args:
        workload: One network for all allocations, or a batch with one design per allocation.
        accelerator: The hardware.
        allocations: Catalogue index per compute core: (n_designs, n_compute_cores).
        mapping_objective: `latency`, `energy` or `edp`: what the mapping inside and across cores minimises
            for an input that leaves at the last exit. Exit ratios are not used.
        mode: How layers share the cores, of `MODES`.
        weights: `streamed` from DRAM at each inference, or `resident` on the chip where they fit.
        levels: Index in `accelerator.levels` for each design: (n_designs,); None for the accelerator's own.

    Raises:
        OfframpError: An argument is malformed, an allocation over the budget, activations do not fit, or a layer
            has no core to run on.
    """
    return CostModel(accelerator).evaluate(workload, allocations, mapping_objective, mode, weights, levels)
