"""PE allocations: one array of its catalogue per compute core, together within a budget of MAC units."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations_with_replacement, product

import numpy as np

from hwcost.errors import OfframpError


@dataclass(frozen=True)
class AllocationSpace:
    """Which allocations there are, and how genes become one of them.

    Attributes:
        n_pes: Per compute core the MAC units of each array of its catalogue, ascending: (n_cores, n_arrays of the
            core).
        default: Catalogue index per compute core of the accelerator as it is described, (n_cores,).
        groups: Compute cores that are equal but for their array; each core is in exactly one group. The cores of
            a group have one catalogue.
        budget: MAC units over all compute cores together.
        searched: False where every design has the default allocation.
    """

    n_pes: tuple[tuple[int, ...], ...]
    default: tuple[int, ...]
    groups: tuple[tuple[int, ...], ...]
    budget: int
    searched: bool = True

    def __post_init__(self) -> None:
        if len(self.n_pes) != self.n_cores:
            raise OfframpError(
                f"expected a catalogue for each of {self.n_cores} cores, got {len(self.n_pes)}"
            )
        for counts in self.n_pes:
            if list(counts) != sorted(counts) or not counts:
                raise OfframpError(f"expected a catalogue sorted by MAC units, got {list(counts)}; sort it")
        if sorted(core for group in self.groups for core in group) != list(range(self.n_cores)):
            raise OfframpError(
                f"expected every one of {self.n_cores} cores in one group, got {self.groups}; mend the groups"
            )
        for group in self.groups:
            if any(self.n_pes[core] != self.n_pes[group[0]] for core in group):
                raise OfframpError(f"expected one catalogue for the equal cores {group}; mend the groups")
        least = sum(counts[0] for counts in self.n_pes)
        if self.budget < max(least, self.pes(self.default)):
            raise OfframpError(
                f"expected a PE budget of at least {max(least, self.pes(self.default))} MAC units for the default "
                f"allocation on {self.n_cores} cores, got {self.budget}; raise hardware.pe_budget"
            )

    @property
    def n_cores(self) -> int:
        """Compute cores that take an array."""
        return len(self.default)

    @property
    def n_choices(self) -> tuple[int, ...]:
        """Values each core's gene can take, (n_cores,)."""
        return tuple(len(counts) if self.searched else 1 for counts in self.n_pes)

    def pes(self, allocation: Sequence[int]) -> int:
        """MAC units of an allocation.

        Raises:
            ValueError: It is not of so many cores.
            IndexError: A core's catalogue has no such array.
        """
        return sum(counts[index] for counts, index in zip(self.n_pes, allocation, strict=True))

    def decode(self, genes: Sequence[int]) -> tuple[int, ...]:
        """The allocation that genes stand for; it always meets the budget.

        A core gets the array its gene asks for; while the sum is over the budget, the core with the most MAC
        units (the first of several) of those that can steps down to the next smaller count of its catalogue.
        Every legal allocation is its own code, so the encoding reaches all of them.
        """
        if not self.searched:
            return self.default
        indices = list(genes)
        while self.pes(indices) > self.budget:
            # The budget allows the least of every core, so one of them is above its least.
            above = [core for core, counts in enumerate(self.n_pes) if counts[indices[core]] > counts[0]]
            largest = max(above, key=lambda core: self.n_pes[core][indices[core]])
            counts = self.n_pes[largest]
            indices[largest] = max(i for i, n in enumerate(counts) if n < counts[indices[largest]])
        return self.canonical(indices)

    def encode(self, allocation: Sequence[int]) -> tuple[int, ...]:
        """Genes that decode to this allocation."""
        return tuple(allocation) if self.searched else (0,) * self.n_cores

    def canonical(self, allocation: Sequence[int]) -> tuple[int, ...]:
        """The same allocation with the arrays of equal cores sorted: swapping equal cores changes nothing."""
        result = list(allocation)
        for group in self.groups:
            for core, index in zip(group, sorted(allocation[core] for core in group), strict=True):
                result[core] = index
        return tuple(result)

    def all(self) -> np.ndarray:
        """Every allocation within the budget once, up to the order of equal cores, (n_allocations, n_cores)."""
        if not self.searched:
            return np.array([self.default], dtype=np.int64)
        per_group = [
            list(combinations_with_replacement(range(len(self.n_pes[group[0]])), len(group)))
            for group in self.groups
        ]
        rows = []
        for choice in product(*per_group):
            row = np.empty(self.n_cores, dtype=np.int64)
            for group, indices in zip(self.groups, choice, strict=True):
                row[list(group)] = indices
            if self.pes(row.tolist()) <= self.budget:
                rows.append(row)
        return np.array(rows, dtype=np.int64)
