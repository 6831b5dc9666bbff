"""Single candidates spelled out: what their memories hold, what moves, what it costs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from hwcost.chip.core import ComputeCore
from hwcost.mapping.batches import batches
from hwcost.mapping.jobs import Jobs
from hwcost.mapping.loops import Loop
from hwcost.mapping.nest import Nest
from hwcost.mapping.temporal import TemporalNests
from hwcost.mapping.tiling import CAPACITY_USES, Tiling, tile
from hwcost.mapping.timing import energy_pj, latency_cycles
from hwcost.mapping.traffic import Traffic, trace

Array = np.ndarray


@dataclass(frozen=True, eq=False)
class Candidates:
    """Candidates of some jobs with their costs: (n,).

    Attributes:
        use: Index in `CAPACITY_USES`.
        jobs: The jobs.
        nests: The loop nests; `nests.job` tells whose.
        nest: Their prefixes.
        tiling: What the memories hold.
        traffic: What moves.
        latency_cycles: Infinite for candidates that do not fit: (n,).
        energy_pj: By level, infinite as well: (n, n_levels).
    """

    use: int
    jobs: Jobs
    nests: TemporalNests
    nest: Nest
    tiling: Tiling
    traffic: Traffic
    latency_cycles: Array
    energy_pj: Array


def spell_out_nests(core: ComputeCore, jobs: Jobs, nests: TemporalNests, use: int) -> Candidates:
    """Costs of given nests under one way of using the capacities."""
    nest = Nest(nests, jobs.spatial, jobs.layers)
    tiling = tile(core, nest, CAPACITY_USES[use])
    traffic = trace(core, nest, tiling)
    latency = np.where(tiling.fits, latency_cycles(core, nest, jobs.spatial, traffic), np.inf)
    energy = energy_pj(core, nest.per_candidate(jobs.mac_pj), traffic)
    energy = np.where(tiling.fits[:, None], energy, np.inf)
    return Candidates(use, jobs, nests, nest, tiling, traffic, latency, energy)


def all_candidates(core: ComputeCore, jobs: Jobs, stream: tuple[Loop, ...] = ()) -> Iterator[Candidates]:
    """Every nest of every job under every way of using the capacities; slow, for checks."""
    for batch in batches(jobs.spatial.temporal, stream):
        part = jobs.take(batch.job)
        candidate, job = batch.existing()
        nests = batch.family.nests(batch.levels, candidate, job)
        for use in range(len(CAPACITY_USES)):
            yield spell_out_nests(core, part, nests, use)
