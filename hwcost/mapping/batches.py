"""Jobs sorted into batches that share a family of nests."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from hwcost.mapping.loops import N_LOOPS, Loop
from hwcost.mapping.temporal import Levels, NestFamily, cut_counts, nest_family
from hwcost.workload import IntArray

# Jobs evaluated at once: their tables stay in the second-level cache.
BATCH_JOBS = 256


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


def batches(temporal: IntArray, stream: tuple[Loop, ...], size: int = BATCH_JOBS) -> Iterator[Batch]:
    """Sorts jobs by the loops that iterate and by the number of cut sizes they have.

    Args:
        temporal: Iterations of each loop: (n_jobs, 8).
        stream: Loops that are to run innermost.
        size: Most jobs of a batch.
    """
    iterates = temporal > 1
    signature = (iterates << np.arange(N_LOOPS)).sum(axis=1)
    cuts = cut_counts(temporal)
    order = np.lexsort((*cuts.T, signature))
    starts = np.flatnonzero(np.diff(signature[order], prepend=-1))
    for start, end in zip(starts, np.append(starts[1:], len(order)), strict=True):
        loops = tuple(Loop(i) for i in np.flatnonzero(iterates[order[start]]).tolist())
        for first in range(start, end, size):
            job = order[first : min(first + size, end)]
            most = cuts[job].max(axis=0)
            family = nest_family(loops, (int(most[0]), int(most[1]), int(most[2])), stream)
            yield Batch(family, Levels.of(family, temporal[job]), job)
