"""The best mapping of each layer on each array of a core."""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass

import numpy as np

from hwcost.chip.core import ComputeCore
from hwcost.errors import OfframpError
from hwcost.mapping.batches import batches
from hwcost.mapping.bounds import ScoreBounds, fitting
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
# Unrollings that are listed at once, at most, counted before those that a layer is too small for are left out.
_UNROLLINGS_AT_ONCE = 1 << 21
# Unrollings of each layer that are tried first, and how many times as many as before each further round goes to.
_FIRST_ROUND = 4
_ROUND_GROWTH = 5


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


def map_layers(
    core: ComputeCore, rows: IntArray, arrays: IntArray, objective: str, must_fit: bool = True
) -> CoreCosts:
    """Finds the best mapping of each row.

    Args:
        core: Where.
        rows: Rows of `Workload.cost_rows()`: (n, n_columns).
        arrays: Array sizes for each row: (n, n_dims).
        objective: `latency` (ties: energy), `energy` (ties: latency) or `edp`, their product.
        must_fit: Whether a layer that fits no mapping is refused; else its latency and energy are infinite.

    Raises:
        OfframpError: A layer fits no mapping.
    """
    check_objective(objective)
    form = ComputeForm.of(core, rows, arrays)
    sizes = loop_sizes(form.rows)
    at_once = _layers_at_once(core, form, arrays)
    parts = []
    for start in range(0, len(rows), at_once):
        part = slice(start, start + at_once)
        spatial = enumerate_spatial(sizes[part], arrays[part], form.dimensions, core.idle_pes)
        jobs = Jobs.of(core, form.part(part), spatial)
        if spatial.n_jobs == len(sizes[part]):
            found = _search(core, jobs, form.stream, objective).take(np.argsort(spatial.layer))
        else:
            found = _search_unrollings(core, jobs, form.stream, objective, len(sizes[part]))
        parts.append(found)
    found = parts[0] if len(parts) == 1 else functools.reduce(_join, parts)
    if must_fit and not np.isfinite(found.latency_cycles).all():
        row = int(np.flatnonzero(~np.isfinite(found.latency_cycles))[0])
        raise OfframpError(f"row {row} fits no memory of core {core.name!r}; enlarge its smallest memory")
    costs = found.breakdown
    return CoreCosts(found.latency_cycles, costs.energy_pj, costs.dram_cycles, costs.operand_energy_pj, found)


def _layers_at_once(core: ComputeCore, form: ComputeForm, arrays: IntArray) -> int:
    """How many layers' unrollings are listed at once, to bound memory."""
    choices = math.prod(len(dimension.loops) for dimension in form.dimensions)
    if core.idle_pes:
        choices *= int(arrays.prod(axis=1).max(initial=1))
    return max(_UNROLLINGS_AT_ONCE // choices, 1)


def _search_unrollings(
    core: ComputeCore, jobs: Jobs, stream: tuple[Loop, ...], objective: str, n: int
) -> Winners:
    """The best candidate of each of n layers over all its jobs.

    Jobs are tried in rounds, the most promising ones of each layer first; those whose bound is above what was found
    are never tried.
    """
    jobs = _fitting_jobs(core, jobs, n)
    layer = jobs.spatial.layer
    bounds = ScoreBounds(core, jobs, objective)
    order = np.lexsort((*reversed(bounds.order()), layer))
    rank = np.empty_like(order)
    starts = np.searchsorted(layer[order], np.arange(n))
    rank[order] = np.arange(len(order)) - starts[layer[order]]
    first, second = np.full(n, np.inf), np.full(n, np.inf)
    tried: Winners | None = None
    first_rank = 0
    while first_rank <= rank.max():
        last_rank = first_rank * _ROUND_GROWTH or _FIRST_ROUND
        index = np.flatnonzero(
            (rank >= first_rank) & (rank < last_rank) & bounds.may_beat(first[layer], second[layer])
        )
        if index.size:
            found = _search(core, jobs.take(index), stream, objective)
            tried = _best_of_layers(found if tried is None else _join(tried, found), objective, n)
            where = tried.jobs.spatial.layer
            energy = tried.breakdown.energy_pj.sum(axis=1)
            first[where], second[where] = scores(tried.latency_cycles, energy, objective)
        first_rank = last_rank
    assert tried is not None
    return tried


def _fitting_jobs(core: ComputeCore, jobs: Jobs, n: int) -> Jobs:
    """The jobs that have a candidate that may fit, and one job of each of the n layers that have none."""
    useful = fitting(core, jobs)
    layer = jobs.spatial.layer
    hopeless = np.bincount(layer[useful], minlength=n) == 0
    if hopeless.any():
        some = np.zeros(n, dtype=np.int64)
        some[layer] = np.arange(jobs.n)
        useful[some[hopeless]] = True
    return jobs if useful.all() else jobs.take(np.flatnonzero(useful))


def _best_of_layers(tried: Winners, objective: str, n: int) -> Winners:
    """One winner per layer, ordered by layer."""
    first, second = scores(tried.latency_cycles, tried.breakdown.energy_pj.sum(axis=1), objective)
    return tried.take(best_of_each(tried.jobs.spatial.layer, n, first, second))


def _join(one: Winners, other: Winners) -> Winners:
    parts, more = one.breakdown, other.breakdown
    return Winners(
        one.jobs.join(other.jobs),
        np.concatenate([one.latency_cycles, other.latency_cycles]),
        np.concatenate([one.slot_loop, other.slot_loop], axis=1),
        np.concatenate([one.slot_factor, other.slot_factor], axis=1),
        np.concatenate([one.use, other.use]),
        Breakdown(
            np.concatenate([parts.energy_pj, more.energy_pj]),
            np.concatenate([parts.operand_energy_pj, more.operand_energy_pj]),
            np.concatenate([parts.dram_cycles, more.dram_cycles]),
        ),
    )


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
