"""Mode `split`: a layer runs on one core, or on all of them, each with some of its output channels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hwcost.cost_model import LayerCostTable
from hwcost.placement.design_costs import (
    COLUMN,
    DesignCosts,
    active_layers,
    design_costs,
    design_rows,
    distinct_rows,
    with_columns,
)
from hwcost.placement.problem import Move, Placement, PlacementProblem
from hwcost.placement.routes import LEVEL_NAMES, Routes
from hwcost.placement.schedule import Schedule
from hwcost.placement.shares import (
    Spans,
    channel_bounds,
    exchange_cycles,
    moved_bits,
    option_weights,
    share_spans,
    split_channels,
    whole,
)
from hwcost.workload import BoolArray, IntArray, Workload
from hwcost.workload_batch import WorkloadBatch

Array = np.ndarray
LEAKAGE = LEVEL_NAMES.index("leakage")


@dataclass(frozen=True, eq=False)
class SplitOptions:
    """Ways of running each layer with their costs by level.

    Option c < n_cores is core c alone; then all cores in equal parts, then in proportion to their PEs. The parts of
    a layer run at the same time: its latency is that of the slowest part and at least the time its parts
    occupy the DRAM port together (each is costed with the port to itself, so between these two bounds and
    their sum); its energy is the sum. Layers of a vector core have one option.

    Attributes:
        workload: The graph.
        bounds: Channels of every core, see `channel_bounds`: (n_designs, n_layers, n_options, n_cores + 1).
        latency_cycles: (n_designs, n_layers, n_options).
        energy_pj: By level, without leakage: (n_designs, n_layers, n_options, n_levels).
        operand_energy_pj: Energy in memories by operand W, I, O: (n_designs, n_layers, n_options, 3).
        tensor_bits: Size of each layer's output: (n_designs or 1, n_layers).
        input_bits: Size of each layer's input: (n_designs or 1, n_layers).
        made: Where each layer's output is.
        needed: Where its inputs have to be.
        routes: Moves between places.
        leakage_pj_per_cycle: Of everything together, for as long as a layer or a move takes: (n_designs,).
        active: See `PlacementProblem`.
    """

    workload: Workload
    bounds: IntArray
    latency_cycles: Array
    energy_pj: Array
    operand_energy_pj: Array
    tensor_bits: Array
    input_bits: Array
    made: tuple[Spans, ...]
    needed: tuple[Spans, ...]
    routes: Routes
    leakage_pj_per_cycle: Array
    active: BoolArray | None

    @property
    def total_energy_pj(self) -> Array:
        """Energy of all levels, what leaks while a layer runs included: (n_designs, n_layers, n_options)."""
        total = self.energy_pj.sum(axis=3)
        if self.leakage_pj_per_cycle.any():
            total = total + self.latency_cycles * self.leakage_pj_per_cycle[:, None, None]
        return np.asarray(total)

    def problem(self) -> PlacementProblem:
        """What has to be decided: an option per layer."""
        n_options = np.where(self.workload.has_weights, self.latency_cycles.shape[2], 1)
        energy = self.total_energy_pj
        return PlacementProblem(
            self.workload,
            tuple(self.latency_cycles[:, i, :n] for i, n in enumerate(n_options)),
            tuple(energy[:, i, :n] for i, n in enumerate(n_options)),
            tuple(
                tuple(self._move(i, int(s)) for s in pair if s > -2)
                for i, pair in enumerate(self.workload.sources)
            ),
            self.active,
        )

    def schedule(self, placement: Placement) -> Schedule:
        """Latency and energy by level and operand of the options chosen."""
        option = placement.option
        n, n_layers = option.shape
        at = np.arange(n)[:, None], np.arange(n_layers), option
        energy, operands = self.energy_pj[at], self.operand_energy_pj[at]
        for i, pair in enumerate(self.workload.sources):
            for source in pair[pair > -2].tolist():
                made, bits = self._source(i, source)
                made = made.take(option[:, source] if source >= 0 else np.zeros(n, dtype=np.int64))
                needed = self.needed[i].take(option[:, i])
                moved = moved_bits(made, needed, np.broadcast_to(bits, n))[:, 0, 0]
                by_level = self.routes.energy_pj(moved, made.places[:, None], needed.places[None, :])
                energy[:, i] += by_level.sum(axis=(1, 2))
        energy[:, :, LEAKAGE] = placement.latency_cycles * self.leakage_pj_per_cycle[:, None]
        if self.active is not None:
            energy[~self.active] = 0.0
            operands[~self.active] = 0.0
        return Schedule(option, placement.latency_cycles, energy, operands)

    def _source(self, layer: int, source: int) -> tuple[Spans, Array]:
        if source < 0:
            return whole(self.routes.dram), self.input_bits[:, layer]
        return self.made[source], self.tensor_bits[:, source]

    def _move(self, layer: int, source: int) -> Move:
        made, bits = self._source(layer, source)
        needed = self.needed[layer]
        moved = moved_bits(made, needed, bits)
        by_level = self.routes.energy_pj(moved, made.places[:, None], needed.places[None, :])
        cycles = exchange_cycles(self.routes, made, needed, moved)
        energy = by_level.sum(axis=(-1, -2, -3))
        if self.leakage_pj_per_cycle.any():
            energy = energy + cycles * self.leakage_pj_per_cycle[:, None, None]
        return Move(source, cycles, energy)


def split_options(
    table: LayerCostTable,
    routes: Routes,
    batch: WorkloadBatch,
    allocations: IntArray,
    objective: str,
    weights: str = "streamed",
    distributed: bool = True,
) -> SplitOptions:
    """Costs of all options of every layer.

    Args:
        table: Where parts of layers are costed.
        routes: Moves of the same accelerator.
        batch: The networks: one for all designs, or one for each.
        allocations: (n_designs, n_cores).
        objective: What the mapping inside a core minimises.
        weights: `streamed` or `resident`.
        distributed: Whether layers may be split; else the options are single cores.
    """
    accelerator = table.accelerator
    workload, rows = batch.template, design_rows(batch)
    alone = design_costs(table, rows, allocations, objective, weights)
    shares = option_weights(accelerator, allocations, distributed)
    bounds = channel_bounds(split_channels(workload), shares)
    n_cores = allocations.shape[1]
    latency, energy, operands = [alone.latency_cycles], [alone.energy_pj], [alone.operand_energy_pj]
    for option in range(n_cores, shares.shape[1]):
        channels = np.diff(bounds[:, :, option], axis=2)
        parts = _part_costs(table, workload, rows, channels, allocations, objective, weights)
        together = np.maximum(parts.latency_cycles.max(axis=2), parts.dram_cycles.sum(axis=2))
        latency.append(np.where(workload.has_weights, together, np.inf)[:, :, None])
        energy.append(parts.energy_pj.sum(axis=2)[:, :, None])
        operands.append(parts.operand_energy_pj.sum(axis=2)[:, :, None])
    spans = share_spans(accelerator, routes, workload, bounds)
    return SplitOptions(
        workload,
        bounds,
        np.concatenate(latency, axis=2),
        np.concatenate(energy, axis=2),
        np.concatenate(operands, axis=2),
        _tensor_bits(rows, ("b", "g", "k", "ox", "oy"), "output_bits"),
        _tensor_bits(rows, ("b", "g", "c", "ix", "iy"), "input_bits"),
        spans.made,
        spans.needed,
        routes,
        accelerator.leakage_pj_per_cycle(allocations),
        active_layers(batch, len(allocations)),
    )


def _part_costs(
    table: LayerCostTable,
    workload: Workload,
    rows: IntArray,
    channels: IntArray,
    allocations: IntArray,
    objective: str,
    weights: str,
) -> DesignCosts:
    """Costs of each core's part; nothing where it has no channels. Channels: (n_designs, n_layers, n_cores)."""
    distinct, index = distinct_rows(rows.reshape(-1, rows.shape[-1]))
    # whole numbers instead of rows: parts are many
    base = int(channels.max()) + 1
    code = index.reshape(rows.shape[:2])[:, :, None] * base + np.maximum(channels, 1)
    code = np.where(workload.has_weights[:, None], code, index.reshape(rows.shape[:2])[:, :, None] * base)
    known, where = np.unique(code, return_inverse=True)
    parts = distinct[known // base]
    count = known % base
    grouped = parts[:, COLUMN["g"]] > 1
    parts = with_columns(
        parts,
        g=np.where(grouped & (count > 0), count, parts[:, COLUMN["g"]]),
        k=np.where(~grouped & (count > 0), count, parts[:, COLUMN["k"]]),
    )
    found = table.costs(parts, objective, weights)
    at = where.reshape(code.shape), np.array(table.accelerator.core_groups), allocations[:, None, :]
    return DesignCosts.at(found, at).where(channels > 0, 0.0)


def _tensor_bits(rows: IntArray, sizes: tuple[str, ...], bits: str) -> Array:
    elements = np.prod([rows[..., COLUMN[name]] for name in sizes], axis=0)
    return np.asarray(elements * rows[..., COLUMN[bits]], dtype=np.float64)
