"""The best mapping of each layer on each array of a core."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hwcost.chip.core import ComputeCore
from hwcost.errors import OfframpError
from hwcost.mapping.batches import batches
from hwcost.mapping.candidates import Candidates, spell_out_nests
from hwcost.mapping.jobs import Jobs
from hwcost.mapping.loops import Loop, loop_sizes
from hwcost.mapping.objective import OBJECTIVES, best_of_each, check_objective, scores
from hwcost.mapping.search import BatchSearch
from hwcost.mapping.spatial import enumerate_spatial
from hwcost.mapping.systolic import ComputeForm
from hwcost.mapping.temporal import MAX_SLOTS, TemporalNests
from hwcost.mapping.tiling import CAPACITY_USES
from hwcost.mapping.timing import ENERGY_LEVELS, dram_cycles, operand_energy_pj
from hwcost.workload import IntArray

__all__ = ["OBJECTIVES", "CoreCosts", "Winners", "check_objective", "find_winners", "map_layers", "spell_out"]

Array = np.ndarray
# Winners spelled out at once.
_WINNERS_AT_ONCE = 256


@dataclass(frozen=True, eq=False)
class Winners:
    """The best candidate of each layer; a row is one (layer, array) pair.

    Attributes:
        jobs: Layer, array and unrolling: one per row.
        latency_cycles: (n,).
        energy_pj: Of all levels together: (n,).
        slot_loop: Loop of each slot, innermost first: (MAX_SLOTS, n).
        slot_factor: Its iterations: (MAX_SLOTS, n).
        use: Index in `CAPACITY_USES`: (n,).
    """

    jobs: Jobs
    latency_cycles: Array
    energy_pj: Array
    slot_loop: IntArray
    slot_factor: Array
    use: IntArray


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
    winners = find_winners(core, rows, arrays, objective)
    n = len(rows)
    latency, dram = np.zeros(n), np.zeros(n)
    energy, by_operand = np.zeros((n, len(ENERGY_LEVELS))), np.zeros((n, 3))
    for index, found in spell_out(core, winners):
        latency[index] = found.latency_cycles
        energy[index] = found.energy_pj
        dram[index] = dram_cycles(core, found.traffic, len(index))
        by_operand[index] = operand_energy_pj(core, found.traffic)
    return CoreCosts(latency, energy, dram, by_operand, winners)


def find_winners(core: ComputeCore, rows: IntArray, arrays: IntArray, objective: str) -> Winners:
    """The best candidate of each row; see `map_layers`."""
    check_objective(objective)
    form = ComputeForm.of(core, rows, arrays)
    spatial = enumerate_spatial(loop_sizes(form.rows), arrays, form.dimensions)
    found = _search(core, Jobs.of(core, form, spatial), form.stream, objective)
    first, second = scores(found.latency_cycles, found.energy_pj, objective)
    best = best_of_each(spatial.layer, len(rows), first, second)
    if not np.isfinite(first[best]).all():
        row = int(np.flatnonzero(~np.isfinite(first[best]))[0])
        raise OfframpError(f"row {row} fits no memory of core {core.name!r}; enlarge its smallest memory")
    return _take(found, best)


def _search(core: ComputeCore, jobs: Jobs, stream: tuple[Loop, ...], objective: str) -> Winners:
    """The best candidate of every job."""
    latency, energy = np.full(jobs.n, np.inf), np.full(jobs.n, np.inf)
    loops = np.full((MAX_SLOTS, jobs.n), Loop.G, dtype=np.int64)
    factors = np.ones((MAX_SLOTS, jobs.n))
    use = np.zeros(jobs.n, dtype=np.int64)
    for batch in batches(jobs.spatial.temporal, stream):
        costs = BatchSearch(core, batch.family, batch.levels, jobs.take(batch.job)).costs()
        cell = np.concatenate([part.cell for part in costs])
        cycles = np.concatenate([part.latency_cycles for part in costs])
        picojoules = np.concatenate([part.energy_pj for part in costs])
        uses = np.repeat([part.use for part in costs], [len(part.cell) for part in costs])
        n = len(batch.job)
        best = best_of_each(cell % n, n, *scores(cycles, picojoules, objective))
        latency[batch.job], energy[batch.job], use[batch.job] = cycles[best], picojoules[best], uses[best]
        nests = batch.family.nests(batch.levels, cell[best] // n, np.arange(n))
        slots = len(nests.loop)
        loops[:slots, batch.job], factors[:slots, batch.job] = nests.loop, nests.factor
    return Winners(jobs, latency, energy, loops, factors, use)


def _take(winners: Winners, index: IntArray) -> Winners:
    return Winners(
        winners.jobs.take(index),
        winners.latency_cycles[index],
        winners.energy_pj[index],
        winners.slot_loop[:, index],
        winners.slot_factor[:, index],
        winners.use[index],
    )


def spell_out(core: ComputeCore, winners: Winners) -> list[tuple[IntArray, Candidates]]:
    """Winners with their traffic, in parts: indices and one candidate for each."""
    parts = []
    for use in range(len(CAPACITY_USES)):
        members = np.flatnonzero(winners.use == use)
        for start in range(0, members.size, _WINNERS_AT_ONCE):
            index = members[start : start + _WINNERS_AT_ONCE]
            chosen = _take(winners, index)
            nests = TemporalNests(np.arange(len(index)), chosen.slot_loop, chosen.slot_factor)
            parts.append((index, spell_out_nests(core, chosen.jobs, nests, use)))
    return parts
