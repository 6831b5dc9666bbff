"""Everything a fused schedule needs to know of some designs but which core runs which layer."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hwcost.capacity import activations_fit
from hwcost.chip.accelerator import Accelerator
from hwcost.cost_model import LayerCostTable
from hwcost.mapping.loops import Operand
from hwcost.placement.design_costs import (
    COLUMN,
    DesignCosts,
    active_layers,
    design_costs,
    design_rows,
)
from hwcost.placement.problem import Move, PlacementProblem
from hwcost.placement.routes import Routes, place_of
from hwcost.placement.tiles import Tiles, cut_in_tiles, tile_cost_rows
from hwcost.placement.weight_memory import weight_bits, weight_loads, weight_room_bits
from hwcost.workload import BoolArray, IntArray, Op, Workload
from hwcost.workload_batch import WorkloadBatch

Array = np.ndarray


@dataclass(frozen=True, eq=False)
class FusedPlan:
    """Tiles of each layer with their costs on each core.

    A layer whose weights fit the weight memory of a core is *held* there: its weights are loaded once, then its tiles
    run from that memory. Elsewhere the layer is one tile that streams its weights. Layers without weights are
    held everywhere; `place` of theirs is fixed.

    Attributes:
        workload: The graph.
        tiles: How layers are cut.
        routes: Moves between places.
        places: Per layer the places that can run it, in the order of the options.
        rows: Rows of the layers at the bits of each design: (n_designs or 1, n_layers, n_columns).
        held: (n_designs, n_layers, n_cores).
        latency_cycles: Of a full tile, where held; of the whole layer elsewhere: (n_designs, n_layers, n_cores).
        last_latency_cycles: Of the last tile: likewise.
        dram_cycles: Busy cycles of the DRAM port while a full tile (or the whole layer) runs: likewise.
        last_dram_cycles: Of the last tile: likewise.
        energy_pj: Of the whole layer, loads of weights included, by level without leakage:
            (n_designs, n_layers, n_cores, n_levels).
        operand_energy_pj: The part in memories by operand W, I, O: (n_designs, n_layers, n_cores, 3).
        load_cycles: Of the weights where held, else 0: (n_designs, n_layers, n_cores).
        load_energy_pj: Of the weights where held, else 0, by level: (n_designs, n_layers, n_cores, n_levels).
        weight_bits: (n_designs or 1, n_layers).
        room_bits: What each core's weight memory holds of loaded weights: (n_designs or 1, n_cores).
        kept_room_bits: What is set aside for weights that stay from one inference to the next: likewise.
        leakage_pj_per_cycle: Of everything together, for as long as the network runs: (n_designs,).
        active: Which layers each design runs: (n_designs, n_layers); None where all do.
        exits: After which segments each design decides whether to go on: (n_designs, n_slots).
    """

    workload: Workload
    tiles: Tiles
    routes: Routes
    places: tuple[IntArray, ...]
    rows: IntArray
    held: BoolArray
    latency_cycles: Array
    last_latency_cycles: Array
    dram_cycles: Array
    last_dram_cycles: Array
    energy_pj: Array
    operand_energy_pj: Array
    load_cycles: Array
    load_energy_pj: Array
    weight_bits: Array
    room_bits: Array
    kept_room_bits: Array
    leakage_pj_per_cycle: Array
    active: BoolArray | None
    exits: BoolArray

    @property
    def n_designs(self) -> int:
        """Designs of the plan."""
        return len(self.held)

    def tile_bits(self, layer: int, rows: int) -> Array:
        """Output bits of so many rows of a layer: (n_designs or 1,)."""
        return self._bits(layer, ("b", "g", "k", "ox"), "output_bits") * rows

    def input_row_bits(self, layer: int) -> Array:
        """Bits of one row of a layer's input: (n_designs or 1,)."""
        return self._bits(layer, ("b", "g", "c", "ix"), "input_bits")

    def _bits(self, layer: int, sizes: tuple[str, ...], bits: str) -> Array:
        row = self.rows[:, layer]
        return np.prod([row[:, COLUMN[name]] for name in (*sizes, bits)], axis=0).astype(np.float64)

    def moves(self, layer: int) -> tuple[Move, ...]:
        """Moves of whole tensors to each option of a layer; latencies are those of a layer by itself."""
        found = []
        for source in self.workload.sources[layer]:
            if source < -1:
                continue
            if source < 0:
                senders = np.array([self.routes.dram])
                bits = self.input_row_bits(layer) * self.workload.iy[layer]
            else:
                senders = self.places[source]
                bits = self.tile_bits(int(source), int(self.workload.oy[source]))
            at = bits[:, None, None], senders[:, None], self.places[layer]
            found.append(Move(int(source), self.routes.cycles(*at), self.routes.energy_pj(*at).sum(axis=-1)))
        return tuple(found)

    def problem(self) -> PlacementProblem:
        """Which core runs which layer at the energy of this plan; latencies as if layers ran one after another.

        Where nothing leaks or stays exact for energy, which does not depend on when anything runs.
        """
        tiles = np.where(self.held, self.tiles.n_tiles[:, None], 1)
        # Of one tile none is full, also where a core cannot run the layer and its latency is infinite.
        full = np.where(tiles > 1, self.latency_cycles, 0.0)
        latency = (tiles - 1) * full + self.last_latency_cycles + self.load_cycles
        energy = self.energy_pj.sum(axis=3)
        n = [len(places) for places in self.places]
        return PlacementProblem(
            self.workload,
            tuple(latency[:, i, : n[i]] for i in range(len(n))),
            tuple(energy[:, i, : n[i]] for i in range(len(n))),
            tuple(self.moves(i) for i in range(len(n))),
            self.active,
        )


def kept_layers(plan: FusedPlan, design: IntArray, option: IntArray) -> BoolArray:
    """Which layers keep their weights on the chip, given where they run: (m, n_layers).

    Every bit that stays saves the same traffic, so that large layers come first and others fill what is left.

    Args:
        plan: Of the designs.
        design: Which design of the plan a row is: (m,).
        option: Option of each layer: (m, n_layers).
    """
    kept = np.zeros(option.shape, dtype=bool)
    if not plan.kept_room_bits.any():
        return kept
    rows = np.arange(len(design))
    shared = design if len(plan.weight_bits) > 1 else np.zeros_like(design)
    left = plan.kept_room_bits[design if len(plan.kept_room_bits) > 1 else np.zeros_like(design)].copy()
    largest_first = np.argsort(-plan.weight_bits, axis=1, kind="stable")[shared]
    for layer in largest_first.T:  # of each row another one, where designs have bits of their own
        weighted = plan.workload.has_weights[layer]
        core = np.where(weighted, option[rows, layer], 0)  # others run on places that are no cores
        size = plan.weight_bits[shared, layer]
        fits = weighted & plan.held[design, layer, core] & (size <= left[rows, core])
        if plan.active is not None:
            fits &= plan.active[design, layer]
        left[rows, core] -= np.where(fits, size, 0.0)
        kept[rows, layer] = fits
    return kept


def fused_plan(
    table: LayerCostTable,
    routes: Routes,
    batch: WorkloadBatch,
    allocations: IntArray,
    objective: str,
    tile_rows: int | None,
    hold_weights: bool = True,
    kept_share: float = 0.0,
    streaming: LayerCostTable | None = None,
) -> FusedPlan:
    """Costs the tiles of all layers on all cores.

    Args:
        table: Where tiles are costed.
        routes: Moves of the same accelerator.
        batch: The networks: one for all designs, or one for each.
        allocations: (n_designs, n_cores).
        objective: What the mapping inside a core minimises.
        tile_rows: Output rows of a tile; None for whole layers.
        hold_weights: Whether weights that fit are loaded before a layer runs; else all are streamed.
        kept_share: Share of each weight memory set aside for weights that stay.
        streaming: Where layers that stream are costed, with the memory that is left; None: in `table`.
    """
    accelerator = table.accelerator
    workload, rows = batch.template, design_rows(batch)
    tiles = cut_in_tiles(workload, tile_rows)
    bits = weight_bits(rows)
    room = weight_room_bits(accelerator, rows)
    loads = weight_loads(accelerator, bits)
    streamed = design_costs(streaming or table, rows, allocations, objective)
    full = _tile_costs(table, rows, tiles.rows, tiles, allocations, objective)
    last = _tile_costs(table, rows, tiles.last_rows, tiles, allocations, objective)
    weighted = workload.has_weights[:, None]
    loaded_room = room * (1 - kept_share)
    fits = (bits[:, :, None] <= loaded_room[:, None]) & np.isfinite(full.latency_cycles) & hold_weights
    fits = fits & _activations_fit(accelerator, rows, workload)
    held = np.where(weighted, fits, True)
    repeats = (tiles.n_tiles - 1)[:, None, None]
    loaded = np.where((held & weighted)[..., None], loads.energy_pj, 0.0)
    with np.errstate(invalid="ignore"):  # cores without a memory for weights: infinite, never held
        in_tiles = full.energy_pj * repeats + last.energy_pj + loaded
        operands = full.operand_energy_pj * repeats + last.operand_energy_pj
    operands[..., Operand.W] += loaded.sum(axis=-1)
    return FusedPlan(
        workload,
        tiles,
        routes,
        tuple(np.array(place_of(accelerator, Op(op))) for op in workload.op),
        rows,
        held,
        np.where(held, full.latency_cycles, streamed.latency_cycles),
        np.where(held, last.latency_cycles, streamed.latency_cycles),
        np.where(held, full.dram_cycles, streamed.dram_cycles),
        np.where(held, last.dram_cycles, streamed.dram_cycles),
        np.where(held[..., None], in_tiles, streamed.energy_pj),
        np.where(held[..., None], operands, streamed.operand_energy_pj),
        np.where(held & weighted, loads.cycles, 0.0),
        loaded,
        bits,
        loaded_room,
        room * kept_share,
        accelerator.leakage_pj_per_cycle(allocations),
        active_layers(batch, len(allocations)),
        np.broadcast_to(batch.exits, (len(allocations), batch.n_slots)),
    )


def _activations_fit(accelerator: Accelerator, rows: IntArray, workload: Workload) -> BoolArray:
    """Where whole inputs and outputs of layers fit, as layer by layer: (n_designs or 1, n_layers, n_cores).

    Tiles take less, but the rest of a map waits somewhere, and that it takes no room is not claimed.
    """
    fits = np.ones((*rows.shape[:2], accelerator.n_compute_cores), dtype=bool)
    weighted = np.flatnonzero(workload.has_weights)
    flat = rows[:, weighted].reshape(-1, rows.shape[2])
    for i, core in enumerate(accelerator.compute_cores):
        fits[:, weighted, i] = activations_fit(core, flat).reshape(len(rows), -1)
    return fits


def _tile_costs(
    table: LayerCostTable,
    rows: IntArray,
    tile_rows: IntArray,
    tiles: Tiles,
    allocations: IntArray,
    objective: str,
) -> DesignCosts:
    """Costs of a tile of each layer with its weights on the core."""
    return design_costs(
        table, tile_cost_rows(rows, tile_rows, tiles.n_tiles), allocations, objective, "resident"
    )
