"""Layers on cores, one after another, each wholly on one core."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hwcost.chip.accelerator import Accelerator
from hwcost.errors import OfframpError
from hwcost.placement.looked_up import LookedUpCosts
from hwcost.placement.problem import EvenMove, Move, PlacementProblem
from hwcost.placement.routes import LEVEL_NAMES
from hwcost.placement.schedule import Schedule
from hwcost.placement.solve import choose_options
from hwcost.placement.transfers import MoveTable, Transfers
from hwcost.workload import IntArray
from hwcost.workload_batch import WorkloadBatch

Array = np.ndarray
LEAKAGE = LEVEL_NAMES.index("leakage")


@dataclass(frozen=True, eq=False)
class _MoveCosts:
    """Costs of bringing one source of a layer.

    Attributes:
        source: Index of the layer whose output moves; -1 for the network's input.
        table: By width that occurs.
        width: Of each design, as an index: (n_genomes,).
    """

    source: int
    table: MoveTable
    width: IntArray

    def move(self, leakage: Array) -> Move | EvenMove:
        """For a placement problem; `leakage` in pJ per cycle: (n_designs,)."""
        table = self.table
        n_from, n_to, _ = table.latency_cycles.shape
        if table.even:
            way = (0, 1) if table.stays else (0, 0)
            latency, energy = table.latency_cycles[way][self.width], table.total_pj[way][self.width]
            return EvenMove(self.source, latency, energy + latency * leakage, n_from, n_to, table.stays)
        latency = table.latency_cycles.transpose(2, 0, 1)[self.width]
        energy = table.total_pj.transpose(2, 0, 1)[self.width]
        return Move(self.source, latency, energy + latency * leakage[:, None, None])


class LayerByLayer:
    """The batch of problems of designs that run layer by layer, and what their solutions cost."""

    def __init__(
        self,
        accelerator: Accelerator,
        transfers: Transfers,
        batch: WorkloadBatch,
        found: LookedUpCosts,
        allocations: IntArray,
        rows: slice = slice(None),
    ) -> None:
        """Gathers costs.

        Args:
            accelerator: The hardware.
            transfers: Of the same hardware.
            batch: The networks.
            found: Costs of the batch.
            allocations: (n_designs, n_cores).
            rows: Designs of the batch that the allocations are for; of a batch of one it is for all.
        """
        rows = rows if batch.n_designs > 1 else slice(None)
        self._template = batch.template
        self._active = np.broadcast_to(batch.active[rows], (len(allocations), batch.template.n_layers))
        self._bits = batch.input_bits[rows], batch.output_bits[rows]
        self._row = found.row[:, rows]
        self._found = found
        self._allocations = allocations
        self._group = np.array(accelerator.core_groups)
        self._leakage = accelerator.leakage_pj_per_cycle(allocations)
        self._moves = [
            [self._move_costs(transfers, i, int(s)) for s in pair if s > -2]
            for i, pair in enumerate(self._template.sources)
        ]

    def problem(self) -> PlacementProblem:
        """Options and costs; leakage is part of every option's energy, in proportion to its cycles."""
        latency, energy = [], []
        for i, weighted in enumerate(self._template.has_weights):
            cores = range(len(self._group)) if weighted else range(1)
            cycles, picojoules = (np.empty((len(cores), len(self._allocations))) for _ in range(2))
            for core in cores:
                at = self._at(i, np.array(core))
                np.take(self._found.costs.latency_cycles.reshape(-1), at, out=cycles[core])
                np.take(self._found.total_energy_pj.reshape(-1), at, out=picojoules[core])
            latency.append(cycles)
            energy.append(picojoules)
        if self._leakage.any():
            energy = [e + c * self._leakage for e, c in zip(energy, latency, strict=True)]
        return PlacementProblem(
            workload=self._template,
            latency_cycles=tuple(values.T for values in latency),
            energy_pj=tuple(values.T for values in energy),
            moves=tuple(tuple(move.move(self._leakage) for move in own) for own in self._moves),
            active=None if self._active.all() else self._active,
        )

    def breakdown(self, option: IntArray, operands: bool = False) -> Schedule:
        """Costs of assignments (n_designs, n_layers) by layer and level."""
        n, n_layers = option.shape
        costs = self._found.costs
        energies = costs.energy_pj.reshape(-1, len(LEVEL_NAMES))
        latency = np.zeros((n, n_layers))
        energy = np.zeros((n, n_layers, len(LEVEL_NAMES)))
        by_operand = np.zeros((n, n_layers, 3)) if operands else None
        for i in range(n_layers):
            active = self._active[:, i]
            runs = slice(None) if active.all() else np.flatnonzero(active)
            own = option[runs, i]
            at = self._at(i, own, runs)
            cycles, picojoules = costs.latency_cycles.reshape(-1)[at], energies[at]
            for move in self._moves[i]:
                origin = option[runs, move.source] if move.source >= 0 else 0
                width = move.width[runs] if move.width.size > 1 else 0
                cycles += move.table.latency_cycles[origin, own, width]
                picojoules += move.table.energy_pj[origin, own, width]
            picojoules[:, LEAKAGE] = cycles * self._leakage[runs]
            latency[runs, i], energy[runs, i] = cycles, picojoules
            if by_operand is not None:
                by_operand[runs, i] = costs.operand_energy_pj.reshape(-1, 3)[at]
        if not np.isfinite(latency).all():
            layer = self._template.names[int(np.argmin(np.isfinite(latency).all(axis=0)))]
            raise OfframpError(
                f"layer {layer!r} can run on no core with the arrays that were chosen; choose others"
            )
        return Schedule(option, latency, energy, by_operand)

    def _at(self, layer: int, core: IntArray, runs: IntArray | slice = slice(None)) -> IntArray:
        """Flat index in the tables of a layer on a core of each design."""
        _, n_groups, n_arrays = self._found.costs.latency_cycles.shape
        row = self._row[layer]
        row = row[runs] if row.size > 1 else row
        allocations = self._allocations[runs]
        array = allocations[:, core] if core.ndim == 0 else allocations[np.arange(core.size), core]
        index: IntArray = (row * n_groups + self._group[core]) * n_arrays + array
        return index

    def _move_costs(self, transfers: Transfers, layer: int, source: int) -> _MoveCosts:
        bits = self._bits[0][:, layer] if source < 0 else self._bits[1][:, source]
        occurs = np.zeros(65, dtype=bool)
        occurs[bits] = True
        values = np.flatnonzero(occurs)
        rank = np.zeros(65, dtype=np.int64)
        rank[values] = np.arange(values.size)
        return _MoveCosts(
            source, transfers.table(self._template, layer, source, tuple(values.tolist())), rank[bits]
        )


def schedule_layer_by_layer(
    accelerator: Accelerator,
    transfers: Transfers,
    batch: WorkloadBatch,
    found: LookedUpCosts,
    allocations: IntArray,
    objective: str,
    operands: bool = False,
    rows: slice = slice(None),
) -> Schedule:
    """Maps layers to cores, weights streamed; exact for latency, energy and their product.

    Args:
        accelerator: The hardware.
        transfers: Moves on it.
        batch: The networks.
        found: Costs of the batch.
        allocations: (n_designs, n_cores).
        objective: `latency`, `energy` or `edp`.
        operands: Whether the breakdown by operand is wanted.
        rows: Designs of the batch that the allocations are for; of a batch of one it is for all.
    """
    designs = LayerByLayer(accelerator, transfers, batch, found, allocations, rows)
    return designs.breakdown(choose_options(designs.problem(), objective), operands)
