"""Jobs sorted into batches that share a family of nests."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from hwcost.mapping.loops import N_LOOPS, Loop
from hwcost.mapping.temporal import Levels, NestFamily, cut_tables, nest_family
from hwcost.workload import IntArray

# Jobs evaluated at once: many enough to pay for the calls, few enough to bound memory to some tens of MiB.
BATCH_JOBS = 1024


@dataclass(frozen=True, eq=False)
class Batch:
    """Jobs with one family of nests.

    Attributes:
        family: The nests.
        levels: Iterations of the jobs.
        job: Which jobs: (n,).
    """

    family: NestFamily
    levels: Levels
    job: IntArray

    def existing(self) -> tuple[IntArray, IntArray]:
        """Candidates and jobs that go together, by their indices in family and batch: (m,) each."""
        exists = self.family.exists(self.levels.cuts)
        shape = (self.family.n_candidates, len(self.job))
        candidate, job = np.nonzero(np.ones(shape, dtype=bool) if exists is None else exists)
        return candidate, job


def batches(temporal: IntArray, stream: tuple[Loop, ...], size: int = BATCH_JOBS) -> Iterator[Batch]:
    """Sorts jobs by the loops that iterate and by the number of cut sizes they have.

    Args:
        temporal: Iterations of each loop: (n_jobs, 8).
        stream: Loops that are to run innermost.
        size: Most jobs of a batch.
    """
    iterates = temporal > 1
    signature = (iterates << np.arange(N_LOOPS)).sum(axis=1)
    tables = cut_tables(temporal)
    cuts = (tables > 0).sum(axis=2).T
    order = np.lexsort((*cuts.T, signature))
    starts = np.flatnonzero(np.diff(signature[order], prepend=-1))
    for start, end in zip(starts, np.append(starts[1:], len(order)), strict=True):
        loops = tuple(Loop(i) for i in np.flatnonzero(iterates[order[start]]).tolist())
        for first in range(start, end, size):
            job = order[first : min(first + size, end)]
            most = cuts[job].max(axis=0)
            family = nest_family(loops, (int(most[0]), int(most[1]), int(most[2])), stream)
            yield Batch(family, Levels.of(family, temporal[job], tables[:, job]), job)
