"""The best mapping of each layer on each array of a core."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hwcost.chip.core import ComputeCore
from hwcost.errors import OfframpError
from hwcost.mapping.batches import batches
from hwcost.mapping.candidates import Candidates, spell_out_nests
from hwcost.mapping.jobs import Jobs
from hwcost.mapping.loops import Loop, Operand, loop_sizes
from hwcost.mapping.objective import OBJECTIVES, best_of_each, check_objective, scores
from hwcost.mapping.search import BatchSearch, Breakdown, UseCosts
from hwcost.mapping.spatial import enumerate_spatial
from hwcost.mapping.systolic import ComputeForm
from hwcost.mapping.temporal import MAX_SLOTS, TemporalNests
from hwcost.mapping.tiling import CAPACITY_USES
from hwcost.mapping.timing import ENERGY_LEVELS
from hwcost.workload import IntArray

__all__ = ["OBJECTIVES", "CoreCosts", "Winners", "check_objective", "map_layers", "spell_out"]

Array = np.ndarray


@dataclass(frozen=True, eq=False)
class Winners:
    """The best candidate of each job.

    Attributes:
        jobs: Layer, array and unrolling.
        latency_cycles: (n,).
        slot_loop: Loop of each slot, innermost first: (MAX_SLOTS, n).
        slot_factor: Its iterations: (MAX_SLOTS, n).
        use: Index in `CAPACITY_USES`: (n,).
        breakdown: What they consist of.
    """

    jobs: Jobs
    latency_cycles: Array
    slot_loop: IntArray
    slot_factor: Array
    use: IntArray
    breakdown: Breakdown

    def take(self, index: IntArray) -> Winners:
        """The jobs of the given indices."""
        parts = self.breakdown
        return Winners(
            self.jobs.take(index),
            self.latency_cycles[index],
            self.slot_loop[:, index],
            self.slot_factor[:, index],
            self.use[index],
            Breakdown(parts.energy_pj[index], parts.operand_energy_pj[index], parts.dram_cycles[index]),
        )


@dataclass(frozen=True, eq=False)
class CoreCosts:
    """Costs of layers on arrays under the mapping chosen for each; a row is one (layer, array) pair.

    Attributes:
        latency_cycles: (n,).
        energy_pj: By level of `hwcost.mapping.timing.ENERGY_LEVELS`: (n, n_levels).
        dram_cycles: Cycles the busiest DRAM port is busy, 0 without DRAM: (n,).
        operand_energy_pj: Energy of the memories by operand W, I, O: (n, 3).
        winners: The mappings.
    """

    latency_cycles: Array
    energy_pj: Array
    dram_cycles: Array
    operand_energy_pj: Array
    winners: Winners


def map_layers(core: ComputeCore, rows: IntArray, arrays: IntArray, objective: str) -> CoreCosts:
    """Finds the best mapping of each row.

    Args:
        core: Where.
        rows: Rows of `Workload.cost_rows()`: (n, n_columns).
        arrays: Array sizes for each row: (n, n_dims).
        objective: `latency` (ties: energy), `energy` (ties: latency) or `edp`, their product.

    Raises:
        OfframpError: A layer fits no mapping.
    """
    check_objective(objective)
    form = ComputeForm.of(core, rows, arrays)
    spatial = enumerate_spatial(loop_sizes(form.rows), arrays, form.dimensions)
    found = _search(core, Jobs.of(core, form, spatial), form.stream, objective)
    if spatial.n_jobs > len(rows):
        first, second = scores(found.latency_cycles, found.breakdown.energy_pj.sum(axis=1), objective)
        found = found.take(best_of_each(spatial.layer, len(rows), first, second))
    if not np.isfinite(found.latency_cycles).all():
        row = int(np.flatnonzero(~np.isfinite(found.latency_cycles))[0])
        raise OfframpError(f"row {row} fits no memory of core {core.name!r}; enlarge its smallest memory")
    parts = found.breakdown
    return CoreCosts(found.latency_cycles, parts.energy_pj, parts.dram_cycles, parts.operand_energy_pj, found)


def _search(core: ComputeCore, jobs: Jobs, stream: tuple[Loop, ...], objective: str) -> Winners:
    """The best candidate of every job; latency and energy are infinite where none fits."""
    n_jobs = jobs.n
    latency, use = np.full(n_jobs, np.inf), np.zeros(n_jobs, dtype=np.int64)
    loops = np.full((MAX_SLOTS, n_jobs), Loop.G, dtype=np.int64)
    factors = np.ones((MAX_SLOTS, n_jobs))
    total = Breakdown(
        np.zeros((n_jobs, len(ENERGY_LEVELS))), np.zeros((n_jobs, len(Operand))), np.zeros(n_jobs)
    )
    for batch in batches(jobs.spatial.temporal, stream):
        search = BatchSearch(core, batch.family, batch.levels, jobs.take(batch.job))
        cycles, cell, uses = _best_cells(search.costs(), len(batch.job), objective)
        candidate = cell // len(batch.job)
        latency[batch.job], use[batch.job] = cycles, uses
        nests = batch.family.nests(batch.levels, candidate, np.arange(len(batch.job)))
        slots = len(nests.loop)
        loops[:slots, batch.job], factors[:slots, batch.job] = nests.loop, nests.factor
        parts = search.breakdown(candidate, uses)
        total.energy_pj[batch.job] = np.where(np.isfinite(cycles)[:, None], parts.energy_pj, np.inf)
        total.operand_energy_pj[batch.job] = parts.operand_energy_pj
        total.dram_cycles[batch.job] = parts.dram_cycles
    return Winners(jobs, latency, loops, factors, use, total)


def _best_cells(costs: list[UseCosts], n: int, objective: str) -> tuple[Array, IntArray, IntArray]:
    """Latency, cell and use of the best candidate of each of n jobs."""
    cell = np.concatenate([part.cell for part in costs])
    cycles = np.concatenate([part.latency_cycles for part in costs])
    energy = np.concatenate([part.energy_pj for part in costs])
    uses = np.repeat([part.use for part in costs], [len(part.cell) for part in costs])
    best = best_of_each(cell % n, n, *scores(cycles, energy, objective))
    return cycles[best], cell[best], uses[best]


def spell_out(core: ComputeCore, winners: Winners) -> list[tuple[IntArray, Candidates]]:
    """Winners with their traffic, in parts: indices and one candidate for each."""
    parts = []
    for use in range(len(CAPACITY_USES)):
        index = np.flatnonzero(winners.use == use)
        if index.size:
            chosen = winners.take(index)
            nests = TemporalNests(np.arange(len(index)), chosen.slot_loop, chosen.slot_factor)
            parts.append((index, spell_out_nests(core, chosen.jobs, nests, use)))
    return parts
