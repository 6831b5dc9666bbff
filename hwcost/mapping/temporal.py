"""Candidate orders and tilings of the loops that are left to time.

The loops fall into three groups: K (outputs differ, inputs do not), R = FX, FY, C (the reduction) and
P = OX, OY, B (weights do not differ). G, on which every operand depends, is outermost. Each order of the
groups is a candidate, and so is each order in which one or two groups are cut into an inner and an outer part.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np

from hwcost.mapping.loops import Loop
from hwcost.workload import IntArray

# Parts of the groups and the loops they iterate, innermost first.
_PARTS: dict[str, tuple[Loop, ...]] = {
    "K1": (Loop.K,),
    "K2": (Loop.K,),
    "R1": (Loop.FX, Loop.FY, Loop.C),
    "R2": (Loop.C,),
    "P1": (Loop.OX, Loop.OY),
    "P2": (Loop.OY, Loop.B),
}
N_SLOTS = sum(len(loops) for loops in _PARTS.values()) + 1
# How many sizes of an inner part are tried.
N_CUTS = 4


@dataclass(frozen=True, eq=False)
class TemporalCandidates:
    """Loop nests for a batch of jobs, n in total, ordered by job.

    Attributes:
        job: Job of each candidate: (n,).
        order: Template it was made from: (n,).
        loop: Loop of each slot, innermost first: (n_slots, n).
        factor: Its iterations: (n_slots, n).
    """

    job: IntArray
    order: IntArray
    loop: IntArray
    factor: np.ndarray

    def take(self, index: np.ndarray) -> TemporalCandidates:
        """The candidates of the given indices."""
        return TemporalCandidates(
            self.job[index], self.order[index], self.loop[:, index], self.factor[:, index]
        )


@dataclass(frozen=True)
class _Template:
    order: tuple[str, ...]
    cut: str  # group that is cut, or ""
    which: int  # index of the cut's size


def _templates() -> list[_Template]:
    whole = [_Template(order, "", 0) for order in itertools.permutations(("K1", "R1", "P1"))]
    cut: list[_Template] = []
    for group in "KRP":
        parts = [f"{other}1" for other in "KRP" if other != group]
        for order in itertools.permutations((f"{group}1", f"{group}2", *parts)):
            inner, outer = order.index(f"{group}1"), order.index(f"{group}2")
            if outer - inner > 1:  # adjacent parts are the whole group again
                cut.extend(_Template(order, group, which) for which in range(N_CUTS))
    return whole + cut


def _cut_sizes(size: int) -> list[int]:
    """Up to N_CUTS proper divisors, evenly spread; 1 among them."""
    divisors = [d for d in range(1, size) if size % d == 0]
    if len(divisors) <= N_CUTS:
        return divisors
    index = np.linspace(0, len(divisors) - 1, N_CUTS).round().astype(int)
    return [divisors[i] for i in index]


def _cut_table(sizes: IntArray) -> IntArray:
    """Cut sizes of each job, 0 where there are fewer: (n_jobs, N_CUTS)."""
    distinct, inverse = np.unique(sizes, return_inverse=True)
    table = np.zeros((len(distinct), N_CUTS), dtype=np.int64)
    for i, size in enumerate(distinct):
        cuts = _cut_sizes(int(size))
        table[i, : len(cuts)] = cuts
    return table[inverse]


class TemporalOrders:
    """The templates of candidates, made once; holds no state but them."""

    def __init__(self) -> None:
        self._templates = _templates()
        loops, columns = [], []
        names = list(_PARTS)
        starts = dict(zip(names, np.cumsum([0] + [len(_PARTS[n]) for n in names])[:-1], strict=True))
        for template in self._templates:
            order = (*template.order, *(name for name in names if name not in template.order))
            loops.append([loop for name in order for loop in _PARTS[name]] + [Loop.G])
            flat = [starts[name] + i for name in order for i in range(len(_PARTS[name]))]
            columns.append([*flat, N_SLOTS - 1])
        self.loop = np.array(loops, dtype=np.int64)
        self._column = np.array(columns, dtype=np.int64)
        self._group = np.array(["KRP".find(t.cut) if t.cut else -1 for t in self._templates])
        self._which = np.array([t.which for t in self._templates])

    @property
    def n_orders(self) -> int:
        """Candidates per job."""
        return len(self._templates)

    def candidates(self, temporal: IntArray) -> TemporalCandidates:
        """Fills the templates in.

        Args:
            temporal: Iterations of each loop: (n_jobs, 8).
        """
        n = len(temporal)
        inner = np.repeat(temporal[:, None, [Loop.K, Loop.C, Loop.OY]], self.n_orders, axis=1)
        outer = np.ones_like(inner)
        valid = np.ones((n, self.n_orders), dtype=bool)
        for g, loop in enumerate((Loop.K, Loop.C, Loop.OY)):
            members = np.flatnonzero(self._group == g)
            size = _cut_table(temporal[:, loop])[:, self._which[members]]
            valid[:, members] = size > 0
            safe = np.maximum(size, 1)
            inner[:, members, g] = safe
            outer[:, members, g] = temporal[:, loop][:, None] // safe
        job, order = np.nonzero(valid)
        # one row per part slot, in the order of _PARTS, and G
        parts = np.empty((N_SLOTS, len(job)))
        for column, loop in {2: Loop.FX, 3: Loop.FY, 6: Loop.OX, 9: Loop.B, 10: Loop.G}.items():
            parts[column] = temporal[job, loop]
        for g, (first, second) in enumerate(((0, 1), (4, 5), (7, 8))):
            parts[first] = inner[job, order, g]
            parts[second] = outer[job, order, g]
        factor = np.take_along_axis(parts, self._column[order].T, axis=0)
        return TemporalCandidates(job, order, self.loop[order].T, factor)
