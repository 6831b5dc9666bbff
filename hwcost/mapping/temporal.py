"""Candidate orders and tilings of the loops that are left to time.

The loops fall into three groups: K (outputs differ, inputs do not), R = FX, FY, C (the reduction) and
P = OX, OY, B (weights do not differ). G, on which every operand depends, is outermost. Each order of the
groups is a candidate, and so is each order in which one group is cut into an inner and an outer part, at up to
`N_CUTS` divisors of its largest loop. Where neither K nor C iterates (depth-wise layers) little of that is left;
there every order of FX, FY, OX and OY is a candidate as well, each also with OY cut. A batch comes outside of all
that, and in a second set of candidates inside, behind OX and OY: without maps it is what weights stay for.

Layers in which the same loops have more than one iteration share one list of candidates, a *family*: loops
without iterations are left out, and so are candidates that are equal without them.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from hwcost.mapping.loops import N_LOOPS, Loop
from hwcost.workload import IntArray

# Parts of the groups and the loops they iterate, innermost first.
_PARTS: dict[str, tuple[Loop, ...]] = {
    "K1": (Loop.K,),
    "K2": (Loop.K,),
    "R1": (Loop.FX, Loop.FY, Loop.C),
    "R2": (Loop.C,),
    "P1": (Loop.OX, Loop.OY),
    "P2": (Loop.OY,),
}
# The parts behind which the images of a batch come.
_BATCH_PARTS = ("P2", "P1")
# The loop a group is cut at.
_CUT_LOOPS = {"K": Loop.K, "R": Loop.C, "P": Loop.OY}
CUT_LOOPS = tuple(_CUT_LOOPS.values())
# How many sizes of an inner part are tried.
N_CUTS = 4
# One slot a loop, and one more where a group is cut.
MAX_SLOTS = N_LOOPS + 1

# A slot iterates a loop from one level to another: level 0 is a single iteration, the last one all of them,
# those in between are cuts.
Slot = tuple[Loop, int, int]


@dataclass(frozen=True, eq=False)
class TemporalNests:
    """Loop nests of a batch, one or more a job: n in total.

    Attributes:
        job: Job of each: (n,).
        loop: Loop of each slot, innermost first: (n_slots, n).
        factor: Its iterations: (n_slots, n).
    """

    job: IntArray
    loop: IntArray
    factor: np.ndarray

    def take(self, index: np.ndarray) -> TemporalNests:
        """The nests of the given indices."""
        return TemporalNests(self.job[index], self.loop[:, index], self.factor[:, index])


@dataclass(frozen=True, eq=False)
class NestFamily:
    """Candidates of all layers in which the same loops iterate, without their numbers of iterations.

    Attributes:
        loops: Loops with more than one iteration.
        n_cuts: Cut sizes of K, C and OY that are tried (1 among them), 0 where the loop does not iterate.
        slot_loop: Loop of each slot, innermost first; short nests end in empty slots of G: (n_candidates, n_slots).
        slot_low: Level a slot starts from: (n_candidates, n_slots).
        slot_high: Level a slot ends at: (n_candidates, n_slots).
        cut_group: Index in `CUT_LOOPS` of the loop that is cut, 0 where none is: (n_candidates,).
        cuts_needed: Cut sizes of it that a layer must have for the candidate to exist: (n_candidates,).
    """

    loops: tuple[Loop, ...]
    n_cuts: tuple[int, int, int]
    slot_loop: IntArray
    slot_low: IntArray
    slot_high: IntArray
    cut_group: IntArray
    cuts_needed: IntArray

    @property
    def n_candidates(self) -> int:
        """How many nests."""
        return len(self.slot_loop)

    @property
    def n_slots(self) -> int:
        """Slots of the longest nest."""
        return self.slot_loop.shape[1]

    def exists(self, cuts: IntArray) -> np.ndarray | None:
        """Which candidates jobs have: cuts (n, 3) -> (n_candidates, n) bool; None for all."""
        fewest = cuts.min(axis=0)
        if (self.cuts_needed <= fewest[self.cut_group]).all():
            return None
        result: np.ndarray = self.cuts_needed[:, None] <= cuts.T[self.cut_group]
        return result

    def nests(self, levels: Levels, candidate: IntArray, job: IntArray) -> TemporalNests:
        """Fills candidates in.

        Args:
            levels: Of the jobs.
            candidate: Which one: (n,).
            job: For which job: (n,).
        """
        loop = self.slot_loop[candidate].T
        high = levels.values[self.slot_high[candidate].T, loop, job]
        low = levels.values[self.slot_low[candidate].T, loop, job]
        return TemporalNests(job, loop, high / low)


@dataclass(frozen=True, eq=False)
class Levels:
    """Iterations at each level of each loop of some jobs of one family.

    Attributes:
        values: Level 0 is 1, the last one of a loop all its iterations: (n_levels, 8, n_jobs).
        cuts: Cut sizes of K, C and OY each job has: (n_jobs, 3).
    """

    values: np.ndarray
    cuts: IntArray

    @classmethod
    def of(cls, family: NestFamily, temporal: IntArray, tables: IntArray) -> Levels:
        """From iterations (n_jobs, 8) and their `cut_tables` (3, n_jobs, N_CUTS)."""
        values = np.ones((N_CUTS + 1, N_LOOPS, len(temporal)))
        values[1] = temporal.T
        for loop, n, table in zip(CUT_LOOPS, family.n_cuts, tables, strict=True):
            if n:
                values[1:n, loop] = np.maximum(table[:, 1:n], 1).T
                values[n, loop] = temporal[:, loop]
        return cls(values, (tables > 0).sum(axis=2).T)


def cut_tables(temporal: IntArray) -> IntArray:
    """Cut sizes of K, C and OY of each job, 0 where there are fewer: (n_jobs, 8) -> (3, n_jobs, N_CUTS)."""
    return np.stack([_cut_table(temporal[:, loop]) for loop in CUT_LOOPS])


@lru_cache(maxsize=4096)
def _cut_sizes(size: int) -> tuple[int, ...]:
    """Up to N_CUTS proper divisors, evenly spread; 1 among them."""
    divisors = [d for d in range(1, size) if size % d == 0]
    if len(divisors) <= N_CUTS:
        return tuple(divisors)
    index = np.linspace(0, len(divisors) - 1, N_CUTS).round().astype(int)
    return tuple(divisors[i] for i in index)


def _cut_table(sizes: IntArray) -> IntArray:
    """Cut sizes of each job, 0 where there are fewer: (n_jobs, N_CUTS)."""
    distinct, inverse = np.unique(sizes, return_inverse=True)
    table = np.zeros((len(distinct), N_CUTS), dtype=np.int64)
    for i, size in enumerate(distinct.tolist()):
        cuts = _cut_sizes(size)
        table[i, : len(cuts)] = cuts
    return table[inverse]


def _templates() -> list[tuple[tuple[str, ...], str]]:
    """Orders of parts, and the group that is cut, or nothing."""
    found: list[tuple[tuple[str, ...], str]] = [
        (order, "") for order in itertools.permutations(("K1", "R1", "P1"))
    ]
    for group in "KRP":
        parts = [f"{other}1" for other in "KRP" if other != group]
        for order in itertools.permutations((f"{group}1", f"{group}2", *parts)):
            # adjacent parts are the whole group again
            if order.index(f"{group}2") - order.index(f"{group}1") > 1:
                found.append((order, group))
    return found


def _slots(
    order: tuple[str, ...],
    cut: str,
    which: int,
    loops: frozenset[Loop],
    n_cuts: dict[Loop, int],
    batch_part: str,
) -> tuple[Slot, ...]:
    found: list[Slot] = []
    for part in (*order, *(name for name in _PARTS if name not in order)):
        for loop in (*_PARTS[part], *((Loop.B,) if part == batch_part else ())):
            if loop not in loops:
                continue
            if loop != _CUT_LOOPS[part[0]]:
                found.append((loop, 0, 1))
                continue
            at = which if cut == part[0] else n_cuts[loop]
            low, high = (0, at) if part[1] == "1" else (at, n_cuts[loop])
            if low != high:
                found.append((loop, low, high))
    return (*found, (Loop.G, 0, 1)) if Loop.G in loops else tuple(found)


# Slots, the group that is cut ("" for none), and how many cut sizes a layer must have for it.
_Order = tuple[tuple[Slot, ...], str, int]


def _group_orders(loops: frozenset[Loop], n_cuts: dict[Loop, int]) -> Iterator[_Order]:
    """The templates of groups."""
    for batch_part in _BATCH_PARTS if Loop.B in loops else _BATCH_PARTS[:1]:
        for order, cut in _templates():
            for which in range(n_cuts[_CUT_LOOPS[cut]]) if cut else range(1):
                yield _slots(order, cut, which, loops, n_cuts, batch_part), cut, which + 1


def _loop_orders(loops: frozenset[Loop], n_cuts: dict[Loop, int]) -> Iterator[_Order]:
    """Every order of the single loops of window and map, OY also cut, where neither K nor C iterates."""
    if loops & {Loop.K, Loop.C}:
        return
    n_cut = n_cuts[Loop.OY]
    single = [loop for loop in (Loop.FX, Loop.FY, Loop.OX, Loop.OY) if loop in loops]
    outer = tuple((loop, 0, 1) for loop in (Loop.B, Loop.G) if loop in loops)
    for order in itertools.permutations(single):
        yield (*((loop, 0, n_cut if loop == Loop.OY else 1) for loop in order), *outer), "", 1
    for which in range(1, n_cut):
        inner, rest = (Loop.OY, 0, which), (Loop.OY, which, n_cut)
        others = [(loop, 0, 1) for loop in single if loop != Loop.OY]
        for cut_order in itertools.permutations((*others, inner, rest)):
            # next to each other the parts are no cut
            if cut_order.index(rest) > cut_order.index(inner) + 1:
                yield (*cut_order, *outer), "P", which + 1


@lru_cache(maxsize=4096)
def nest_family(
    loops: tuple[Loop, ...], n_cuts: tuple[int, int, int], stream: tuple[Loop, ...] = ()
) -> NestFamily:
    """The candidates for layers in which some loops iterate.

    Args:
        loops: Those with more than one iteration.
        n_cuts: Cut sizes of K, C and OY that are tried: at least 1 where the loop iterates, else 0.
        stream: Loops that are to run through innermost, where they iterate.
    """
    present = frozenset(loops)
    cuts = dict(zip(CUT_LOOPS, n_cuts, strict=True))
    first = tuple(loop for loop in stream if loop in present)
    # the first template that gives a nest counts
    needed: dict[tuple[Slot, ...], tuple[int, int]] = {}
    for slots, cut, sizes in (*_group_orders(present, cuts), *_loop_orders(present, cuts)):
        if [(slot[0], slot[2]) for slot in slots[: len(first)]] == [
            (loop, cuts.get(loop, 1)) for loop in first
        ]:
            needed.setdefault(slots, ("KRP".index(cut), sizes) if cut else (0, 0))
    n_slots = max(len(slots) for slots in needed)
    padded = [(*slots, *[(Loop.G, 0, 0)] * (n_slots - len(slots))) for slots in needed]
    table = np.array(padded, dtype=np.int64).reshape(len(padded), n_slots, 3)
    group, count = np.array(list(needed.values())).T
    return NestFamily(loops, n_cuts, table[:, :, 0], table[:, :, 1], table[:, :, 2], group, count)
