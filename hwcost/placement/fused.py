"""Mode `fused`: layers cut into rows, cores work at the same time inside a segment; which core runs which layer.

The assignment is searched for, not solved: latency depends on when everything runs. Starts are the best assignment
of layers one after another, the one of least energy, and each layer in turn on the core that ends it first; from the
best of them layers are moved to other cores while that improves the objective.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hwcost.cost_model import LayerCostTable
from hwcost.mapping.loops import Operand
from hwcost.mapping.mapper import check_objective
from hwcost.placement.fused_plan import FusedPlan, fused_plan, kept_layers
from hwcost.placement.fused_schedule import FusedState, run_fused
from hwcost.placement.problem import Move
from hwcost.placement.routes import LEVEL_NAMES, Routes
from hwcost.placement.schedule import Schedule
from hwcost.placement.solve import solve
from hwcost.workload import IntArray
from hwcost.workload_batch import WorkloadBatch

Array = np.ndarray
LEAKAGE = LEVEL_NAMES.index("leakage")
# Output rows of a tile that are tried, each for all layers of a design; None: whole layers.
TILE_ROWS = (2, 4, 8, None)
# Rounds of moves at most; nearly all searches end before.
ROUNDS = 12
# Assignments scheduled at once: bounds memory.
CHUNK_ROWS = 16_384


def fused_plans(
    table: LayerCostTable,
    routes: Routes,
    batch: WorkloadBatch,
    allocations: IntArray,
    objective: str,
    tile_rows: tuple[int | None, ...] = TILE_ROWS,
    half_table: LayerCostTable | None = None,
) -> list[FusedPlan]:
    """Ways of cutting the layers of some designs: first whole layers with streamed weights, then tiles.

    The first is layer by layer with everything allowed to overlap, so that `fused` is never worse than that.

    Args:
        table: Where layers and tiles are costed.
        routes: Moves of the same accelerator.
        batch: The networks: one for all designs, or one for each.
        allocations: (n_designs, n_cores).
        objective: What the mapping inside a core minimises.
        tile_rows: Output rows of a tile that are tried; None for whole layers.
        half_table: Where layers are costed on cores with half of their weight memory. With it the plans double: the
            other half is then kept for weights that stay from one inference to the next.
    """
    common = table, routes, batch, allocations, objective
    deepest = int(batch.template.oy.max())
    sizes = dict.fromkeys(None if rows is None or rows >= deepest else rows for rows in tile_rows)
    plans = [fused_plan(*common, tile_rows=None, hold_weights=False)]
    plans += [fused_plan(*common, tile_rows=rows) for rows in sizes]
    if half_table is not None:
        plans += [fused_plan(*common, tile_rows=rows, kept_share=0.5, streaming=half_table) for rows in sizes]
    return plans


def schedule_fused(plans: list[FusedPlan], objective: str) -> Schedule:
    """The best schedule found for each design among some ways of cutting its layers.

    Args:
        plans: Of the same designs.
        objective: `latency`, `energy` (solved exactly where nothing leaks: it does not depend on when anything
            runs) or `edp` of an input that leaves at the last exit.
    """
    check_objective(objective)
    found = []
    for plan in plans:
        costs = _AssignmentCosts(plan, objective)
        options = costs.starts()
        scores = np.stack([costs.score(np.arange(plan.n_designs), option) for option in options])
        best = scores.argmin(axis=0)
        rows = np.arange(plan.n_designs)
        found.append((scores[best, rows], np.stack(options)[best, rows]))
    chosen = np.stack([score for score, _ in found]).argmin(axis=0)
    option = np.stack([options for _, options in found])[chosen, np.arange(len(chosen))]
    latency = np.empty(option.shape)
    energy = np.empty((*option.shape, plans[0].energy_pj.shape[3]))
    operands = np.empty((*option.shape, plans[0].operand_energy_pj.shape[3]))
    for p, plan in enumerate(plans):
        designs = np.flatnonzero(chosen == p)
        if not designs.size:
            continue
        costs = _AssignmentCosts(plan, objective)
        if not costs.exact:
            option[designs] = _descend(costs, designs, option[designs], found[p][0][designs])
        latency[designs] = run_fused(plan, designs, option[designs]).latency_cycles
        energy[designs] = _energy_by_level(plan, designs, option[designs])
        energy[designs, :, LEAKAGE] = latency[designs] * plan.leakage_pj_per_cycle[designs, None]
        operands[designs] = plan.operand_energy_pj[
            designs[:, None], np.arange(option.shape[1]), option[designs]
        ]
        if plan.active is not None:
            operands[designs] *= plan.active[designs][..., None]
        operands[designs, :, Operand.W] -= _saved_loads(plan, designs, option[designs]).sum(axis=2)
    return Schedule(option, latency, energy, operands)


@dataclass(eq=False)
class _AssignmentCosts:
    """Scores of assignments under one plan; the lower the better."""

    plan: FusedPlan
    objective: str

    def __post_init__(self) -> None:
        plan = self.plan
        self._layer_energy = plan.energy_pj.sum(axis=3)
        self._load_energy = plan.load_energy_pj.sum(axis=3)
        self._moves: list[tuple[Move, ...]] = [plan.moves(i) for i in range(plan.workload.n_layers)]
        self._active = np.ones((plan.n_designs, len(self._moves))) if plan.active is None else plan.active

    @property
    def exact(self) -> bool:
        """Whether the only start is the best assignment there is."""
        plan = self.plan
        return self.objective == "energy" and not (
            plan.leakage_pj_per_cycle.any() or plan.kept_room_bits.any()
        )

    def starts(self) -> list[IntArray]:
        """Assignments to begin with: (n_designs, n_layers) each."""
        problem = self.plan.problem()
        least_energy = solve(problem, "energy").option
        if self.exact:
            return [least_energy]
        return [solve(problem, self.objective).option, least_energy, earliest_end(self.plan)]

    def score(self, design: IntArray, option: IntArray) -> Array:
        """Scores of some assignments: design (m,), option (m, n_layers) -> (m,)."""
        parts = [
            self._score(design[start : start + CHUNK_ROWS], option[start : start + CHUNK_ROWS])
            for start in range(0, len(design), CHUNK_ROWS)
        ]
        return np.concatenate(parts)

    def _score(self, design: IntArray, option: IntArray) -> Array:
        if self.objective == "energy" and not self.plan.leakage_pj_per_cycle.any():
            return self.energy(design, option)
        latency = run_fused(self.plan, design, option).end[:, -1]
        if self.objective == "latency":
            return np.asarray(latency)
        # A core that cannot run its layer never ends, and leaks no less for it.
        leaked = np.full(len(latency), np.inf)
        np.multiply(latency, self.plan.leakage_pj_per_cycle[design], out=leaked, where=np.isfinite(latency))
        energy = self.energy(design, option) + leaked
        return np.asarray(energy if self.objective == "energy" else latency * energy)

    def energy(self, design: IntArray, option: IntArray) -> Array:
        """Energy of some assignments without leakage: (m,)."""
        total = np.zeros(len(design))
        for i, moves in enumerate(self._moves):
            own = self._layer_energy[design, i, option[:, i]]
            for move in moves:
                row = design if len(move.energy_pj) > 1 else np.zeros_like(design)
                origin = option[:, move.source] if move.source >= 0 else np.zeros_like(design)
                own = own + move.energy_pj[row, origin, option[:, i]]
            total += np.where(self._active[design, i], own, 0.0)
        if self.plan.kept_room_bits.any():
            kept = kept_layers(self.plan, design, option)
            saved = self._load_energy[design[:, None], np.arange(option.shape[1]), option]
            total -= np.where(kept, saved, 0.0).sum(axis=1)
        return total


def earliest_end(plan: FusedPlan) -> IntArray:
    """Each layer in network order on the core that ends it first: (n_designs, n_layers)."""
    n, segment = plan.n_designs, plan.workload.segment
    state = FusedState.start(plan, np.arange(n))
    option = np.zeros((n, plan.workload.n_layers), dtype=np.int64)
    for i, places in enumerate(plan.places):
        if i and segment[i] != segment[i - 1]:
            state.decide(plan, int(segment[i - 1]))
        k = len(places)
        tried = state.take(np.repeat(np.arange(n), k))
        tried.run(plan, i, np.tile(np.arange(k), n))
        best = tried.finish[i][:, -1].reshape(n, k).argmin(axis=1)
        option[:, i] = best
        state = tried.take(np.arange(n) * k + best)
    return option


def _descend(costs: _AssignmentCosts, designs: IntArray, option: IntArray, score: Array) -> IntArray:
    """Moves single layers to other cores while that improves: (n, n_layers).

    In each round every move of one layer is scored by itself; then the best 1, 2, 4, ... of the improving ones, at
    most one a layer, are scored together and the best lot is made. The best single move is among the lots, so
    every round improves; it ends where no single move does.
    """
    option, score = option.copy(), score.copy()
    movable = np.flatnonzero([len(places) > 1 for places in costs.plan.places])
    n_options = len(costs.plan.places[movable[0]]) if movable.size else 1
    if n_options == 1:
        return option
    steps = np.arange(1, n_options)
    going = np.arange(len(designs))
    for _ in range(ROUNDS):
        n = going.size
        moves = np.repeat(option[going], movable.size * steps.size, axis=0)
        layer = np.tile(np.repeat(movable, steps.size), n)
        at = np.arange(len(moves))
        moves[at, layer] = (moves[at, layer] + np.tile(steps, n * movable.size)) % n_options
        tried = costs.score(np.repeat(designs[going], movable.size * steps.size), moves)
        tried = tried.reshape(n, movable.size, steps.size)
        step = tried.argmin(axis=2)
        gain = score[going, None] - tried.min(axis=2)
        improves = gain > 1e-9 * score[going, None]
        better = improves.any(axis=1)
        if not better.any():
            break
        going, gain, step, improves = going[better], gain[better], step[better], improves[better]
        order = np.argsort(-gain, axis=1)
        rank = np.empty_like(order)
        np.put_along_axis(rank, order, np.arange(movable.size)[None], axis=1)
        sizes = 2 ** np.arange(int(movable.size).bit_length())
        lots = np.repeat(option[going][:, None], sizes.size, axis=1)
        made = improves[:, None] & (rank[:, None] < sizes[:, None])
        moved = (lots[:, :, movable] + steps[step][:, None]) % n_options
        lots[:, :, movable] = np.where(made, moved, lots[:, :, movable])
        flat = lots.reshape(-1, lots.shape[2])
        lot_scores = costs.score(np.repeat(designs[going], sizes.size), flat).reshape(-1, sizes.size)
        best = lot_scores.argmin(axis=1)
        option[going] = lots[np.arange(going.size), best]
        score[going] = lot_scores[np.arange(going.size), best]
    return option


def _energy_by_level(plan: FusedPlan, designs: IntArray, option: IntArray) -> Array:
    """Energy of assignments, moves included: (n, n_layers, n_levels)."""
    n_layers = option.shape[1]
    energy = plan.energy_pj[designs[:, None], np.arange(n_layers), option]
    routes = plan.routes
    for i, pair in enumerate(plan.workload.sources):
        receiver = plan.places[i][option[:, i]]
        for source in pair[pair > -2].tolist():
            if source < 0:
                sender = np.full(len(designs), routes.dram)
                bits = plan.input_row_bits(i) * plan.workload.iy[i]
            else:
                sender = plan.places[source][option[:, source]]
                bits = plan.tile_bits(source, int(plan.workload.oy[source]))
            bits = bits[designs] if len(bits) > 1 else bits
            energy[:, i] += routes.energy_pj(bits, sender, receiver)
    if plan.active is not None:
        energy[~plan.active[designs]] = 0.0
    return energy - _saved_loads(plan, designs, option)


def _saved_loads(plan: FusedPlan, designs: IntArray, option: IntArray) -> Array:
    """Energy of loading weights that stay, by level: (n, n_layers, n_levels)."""
    loads = plan.load_energy_pj[designs[:, None], np.arange(option.shape[1]), option]
    return np.asarray(np.where(kept_layers(plan, designs, option)[..., None], loads, 0.0))
