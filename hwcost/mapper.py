"""The best mapping of each layer on each array of a core."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hwcost.core import ComputeCore
from hwcost.errors import OfframpError
from hwcost.loops import loop_sizes
from hwcost.spatial import SpatialMappings, enumerate_spatial
from hwcost.temporal import TemporalCandidates, TemporalOrders
from hwcost.tiling import Layers, Nest, Tiling, tile
from hwcost.timing import ENERGY_LEVELS, energy_pj, latency_cycles
from hwcost.traffic import Traffic, trace
from hwcost.workload import IntArray

Array = np.ndarray
OBJECTIVES = ("latency", "energy", "edp")
# Jobs evaluated at once: bounds the memory of the candidate arrays.
CHUNK_JOBS = 256
# Parts of each capacity that tiles may fill: all of it, or half so that the next tile can be loaded meanwhile.
CAPACITY_SHARES = (1.0, 0.5)


@dataclass(frozen=True, eq=False)
class CoreCosts:
    """Costs of layers on arrays under the mapping chosen for each; a row is one (layer, array) pair.

    Attributes:
        latency_cycles: (n,).
        energy_pj: By level of `hwcost.timing.ENERGY_LEVELS`: (n, n_levels).
        spatial: The unrolling chosen: one job per row.
        order: Index of the loop order chosen: (n,).
        share: Index of the capacity share chosen: (n,).
    """

    latency_cycles: Array
    energy_pj: Array
    spatial: SpatialMappings
    order: IntArray
    share: IntArray


@dataclass(frozen=True, eq=False)
class Candidates:
    """All candidates of some jobs under one capacity share, with their costs: (n_jobs, n_orders)."""

    spatial: SpatialMappings
    orders: TemporalCandidates
    nest: Nest
    tiling: Tiling
    traffic: Traffic
    latency_cycles: Array
    energy_pj: Array


def evaluate_candidates(
    core: ComputeCore, rows: IntArray, spatial: SpatialMappings, orders: TemporalOrders, share: float
) -> Candidates:
    """Costs of every loop order for every job; candidates that do not fit cost infinity.

    Args:
        core: Where.
        rows: Rows of `Workload.cost_rows()`, one per job.
        spatial: The jobs.
        orders: Templates of loop orders.
        share: Part of the capacities that is used.
    """
    candidates = orders.candidates(spatial.temporal)
    nest = Nest(candidates, Layers.from_rows(rows))
    tiling = tile(core, nest, spatial, share)
    traffic = trace(core, nest, spatial, tiling)
    macs = np.prod(loop_sizes(rows).astype(np.float64), axis=1)
    usable = candidates.valid & tiling.fits
    latency = np.where(usable, latency_cycles(core, nest, spatial, traffic), np.inf)
    energy = energy_pj(core, macs, traffic)
    return Candidates(spatial, candidates, nest, tiling, traffic, latency, energy)


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
    orders = TemporalOrders()
    spatial = enumerate_spatial(loop_sizes(rows), arrays, core.dimensions)
    n_levels = len(ENERGY_LEVELS)
    score = np.full(spatial.n_jobs, np.inf)
    tie = np.full(spatial.n_jobs, np.inf)
    latency = np.zeros(spatial.n_jobs)
    energy = np.zeros((spatial.n_jobs, n_levels))
    order = np.zeros(spatial.n_jobs, dtype=np.int64)
    chosen_share = np.zeros(spatial.n_jobs, dtype=np.int64)
    for start in range(0, spatial.n_jobs, CHUNK_JOBS):
        jobs = np.arange(start, min(start + CHUNK_JOBS, spatial.n_jobs))
        part = spatial.take(jobs)
        for s, share in enumerate(CAPACITY_SHARES):
            found = evaluate_candidates(core, rows[part.layer], part, orders, share)
            total = np.where(np.isfinite(found.latency_cycles), found.energy_pj.sum(axis=2), np.inf)
            first, second = _scores(found.latency_cycles, total, objective)
            best = _lexicographic_argmin(first, second)
            pick = np.arange(len(jobs)), best
            better = _is_less(first[pick], second[pick], score[jobs], tie[jobs])
            where = jobs[better]
            score[where], tie[where] = first[pick][better], second[pick][better]
            latency[where] = found.latency_cycles[pick][better]
            energy[where] = found.energy_pj[pick][better]
            order[where], chosen_share[where] = best[better], s
    return _best_job_per_row(
        len(rows), CoreCosts(latency, energy, spatial, order, chosen_share), score, tie, core.name
    )


def check_objective(objective: str) -> None:
    """Refuses unknown objectives."""
    if objective not in OBJECTIVES:
        raise OfframpError(f"expected an objective of {', '.join(OBJECTIVES)}, got {objective!r}")


def _scores(latency: Array, energy: Array, objective: str) -> tuple[Array, Array]:
    if objective == "latency":
        return latency, energy
    if objective == "energy":
        return energy, latency
    return latency * energy, latency


def _lexicographic_argmin(first: Array, second: Array) -> IntArray:
    """Index of the smallest `first` of each row, the smallest `second` among equals."""
    least = first.min(axis=1, keepdims=True)
    # sums in different order differ in the last digits: equal within 1e-12
    result: IntArray = np.where(first <= least * (1 + 1e-12), second, np.inf).argmin(axis=1)
    return result


def _is_less(first: Array, second: Array, best_first: Array, best_second: Array) -> Array:
    lower = first < best_first * (1 - 1e-12)
    equal = ~lower & (first <= best_first * (1 + 1e-12)) & np.isfinite(first)
    result: Array = lower | (equal & (second < best_second))
    return result


def _best_job_per_row(n_rows: int, jobs: CoreCosts, score: Array, tie: Array, core_name: str) -> CoreCosts:
    layer = jobs.spatial.layer
    ranked = np.lexsort((tie, score, layer))
    first = np.searchsorted(layer[ranked], np.arange(n_rows))
    best = ranked[first]
    if not np.isfinite(score[best]).all():
        row = int(np.flatnonzero(~np.isfinite(score[best]))[0])
        raise OfframpError(f"row {row} fits no memory of core {core_name!r}; enlarge its smallest memory")
    return CoreCosts(
        jobs.latency_cycles[best],
        jobs.energy_pj[best],
        jobs.spatial.take(best),
        jobs.order[best],
        jobs.share[best],
    )
