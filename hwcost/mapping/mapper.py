"""The best mapping of each layer on each array of a core."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hwcost.chip.core import ComputeCore
from hwcost.errors import OfframpError
from hwcost.mapping.loops import loop_sizes
from hwcost.mapping.nest import Layers, Nest
from hwcost.mapping.spatial import SpatialMappings, enumerate_spatial
from hwcost.mapping.temporal import TemporalCandidates, TemporalOrders
from hwcost.mapping.tiling import CapacityUse, Tiling, tile
from hwcost.mapping.timing import energy_pj, latency_cycles
from hwcost.mapping.traffic import Traffic, trace
from hwcost.workload import IntArray

Array = np.ndarray
OBJECTIVES = ("latency", "energy", "edp")
# Jobs evaluated at once: bounds the memory of the candidate arrays.
CHUNK_JOBS = 128
# Ways of using the capacities; later ones count only where they change a tile.
CAPACITY_USES = (CapacityUse(1.0, 1.0), CapacityUse(1.0, 0.5), CapacityUse(0.5, 0.5))


@dataclass(frozen=True, eq=False)
class CoreCosts:
    """Costs of layers on arrays under the mapping chosen for each; a row is one (layer, array) pair.

    Attributes:
        latency_cycles: (n,).
        energy_pj: By level of `hwcost.mapping.timing.ENERGY_LEVELS`: (n, n_levels).
        spatial: The unrolling chosen: one job per row.
        order: Index of the loop order chosen: (n,).
        use: Index in `CAPACITY_USES` of the use of the capacities chosen: (n,).
    """

    latency_cycles: Array
    energy_pj: Array
    spatial: SpatialMappings
    order: IntArray
    use: IntArray


@dataclass(frozen=True, eq=False)
class Candidates:
    """Candidates of some jobs with their costs: (n,), ordered by job.

    Attributes:
        use: Index in `CAPACITY_USES`.
        spatial: The jobs.
        orders: The loop nests; `orders.job` and `orders.order` tell candidates apart.
        nest: Their prefixes.
        tiling: What the memories hold.
        traffic: What moves.
        latency_cycles: Infinite for candidates that do not fit: (n,).
        energy_pj: By level, infinite as well: (n, n_levels).
    """

    use: int
    spatial: SpatialMappings
    orders: TemporalCandidates
    nest: Nest
    tiling: Tiling
    traffic: Traffic
    latency_cycles: Array
    energy_pj: Array


def evaluate_candidates(
    core: ComputeCore, rows: IntArray, spatial: SpatialMappings, orders: TemporalOrders
) -> list[Candidates]:
    """Costs of every loop order for every job, one result per use of the capacities.

    A later use has only the candidates that it tiles in another way than the earlier ones.

    Args:
        core: Where.
        rows: Rows of `Workload.cost_rows()`, one per job.
        spatial: The jobs.
        orders: Templates of loop orders.
    """
    candidates = orders.candidates(spatial.temporal)
    nest = Nest(candidates, spatial, Layers.from_rows(rows))
    macs = np.prod(loop_sizes(rows).astype(np.float64), axis=1)
    found: list[Candidates] = []
    tilings: list[Tiling] = []
    for u, use in enumerate(CAPACITY_USES):
        tiling = tile(core, nest, use)
        fresh = np.ones(nest.n, dtype=bool)
        for earlier in tilings:
            fresh &= tiling.differs(earlier)
        tilings.append(tiling)
        index = np.flatnonzero(fresh)
        if index.size == nest.n:
            found.append(_cost(core, u, spatial, candidates, nest, tiling, macs))
        elif index.size:
            part = candidates.take(index), nest.take(index), tiling.take(index)
            found.append(_cost(core, u, spatial, *part, macs))
    return found


def _cost(
    core: ComputeCore,
    use: int,
    spatial: SpatialMappings,
    orders: TemporalCandidates,
    nest: Nest,
    tiling: Tiling,
    macs: Array,
) -> Candidates:
    traffic = trace(core, nest, tiling)
    latency = np.where(tiling.fits, latency_cycles(core, nest, spatial, traffic), np.inf)
    energy = energy_pj(core, nest.per_candidate(macs), traffic)
    energy = np.where(tiling.fits[:, None], energy, np.inf)
    return Candidates(use, spatial, orders, nest, tiling, traffic, latency, energy)


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
    parts = []
    for start in range(0, spatial.n_jobs, CHUNK_JOBS):
        part = spatial.take(np.arange(start, min(start + CHUNK_JOBS, spatial.n_jobs)))
        parts.append(_best_candidates(core, rows[part.layer], part, orders, objective))
    latency, energy, order, use = (np.concatenate([part[i] for part in parts]) for i in range(4))
    first, second = _scores(latency, energy.sum(axis=1), objective)
    best = _first_of_each(spatial.layer, first, second)
    if not np.isfinite(first[best]).all():
        row = int(np.flatnonzero(~np.isfinite(first[best]))[0])
        raise OfframpError(f"row {row} fits no memory of core {core.name!r}; enlarge its smallest memory")
    return CoreCosts(latency[best], energy[best], spatial.take(best), order[best], use[best])


def _best_candidates(
    core: ComputeCore, rows: IntArray, spatial: SpatialMappings, orders: TemporalOrders, objective: str
) -> tuple[Array, Array, Array, Array]:
    """Latency, energy by level, order and use of the best candidate of each job."""
    found = evaluate_candidates(core, rows, spatial, orders)
    latency = np.concatenate([part.latency_cycles for part in found])
    energy = np.concatenate([part.energy_pj for part in found])
    job = np.concatenate([part.orders.job for part in found])
    order = np.concatenate([part.orders.order for part in found])
    use = np.concatenate([np.full(part.nest.n, part.use) for part in found])
    first, second = _scores(latency, energy.sum(axis=1), objective)
    best = _first_of_each(job, first, second)
    return latency[best], energy[best], order[best], use[best]


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


def _first_of_each(group: IntArray, first: Array, second: Array) -> IntArray:
    """Index of the entry with the smallest (first, second) of each group 0, 1, ..."""
    # sums in another order differ in the last digits: compare ten significant ones
    with np.errstate(divide="ignore", invalid="ignore"):
        scale = 10.0 ** np.floor(np.log10(first) - 10)
        rounded = np.where(np.isfinite(first) & (first > 0), np.round(first / scale) * scale, first)
    ranked = np.lexsort((second, rounded, group))
    starts: IntArray = np.searchsorted(group[ranked], np.arange(int(group.max()) + 1))
    result: IntArray = ranked[starts]
    return result
