"""PE allocations: one array of the catalogue per compute core, together within a budget of MAC units."""

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
        n_pes: MAC units of each array of the catalogue, (n_arrays,), ascending.
        default: Catalogue index per compute core of the accelerator as it is described, (n_cores,).
        groups: Compute cores that are equal but for their array; each core is in exactly one group.
        budget: MAC units over all compute cores together.
        searched: False where every design has the default allocation.
    """

    n_pes: tuple[int, ...]
    default: tuple[int, ...]
    groups: tuple[tuple[int, ...], ...]
    budget: int
    searched: bool = True

    def __post_init__(self) -> None:
        if list(self.n_pes) != sorted(self.n_pes) or not self.n_pes:
            raise OfframpError(f"expected a catalogue sorted by MAC units, got {list(self.n_pes)}; sort it")
        if sorted(core for group in self.groups for core in group) != list(range(self.n_cores)):
            raise OfframpError(
                f"expected every one of {self.n_cores} cores in one group, got {self.groups}; mend the groups"
            )
        least = self.n_pes[0] * self.n_cores
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
    def n_choices(self) -> int:
        """Values a core's gene can take."""
        return len(self.n_pes) if self.searched else 1

    def pes(self, allocation: Sequence[int]) -> int:
        """MAC units of an allocation."""
        return sum(self.n_pes[index] for index in allocation)

    def decode(self, genes: Sequence[int]) -> tuple[int, ...]:
        """The allocation that genes stand for; it always meets the budget.

        A core gets the array its gene asks for; while the sum is over the budget, the core with the most MAC
        units (the first of several) steps down to the next smaller count. Every legal allocation is its own
        code, so the encoding reaches all of them.
        """
        if not self.searched:
            return self.default
        indices = list(genes)
        while self.pes(indices) > self.budget:
            largest = max(range(len(indices)), key=lambda core: self.n_pes[indices[core]])
            below = [i for i, n in enumerate(self.n_pes) if n < self.n_pes[indices[largest]]]
            indices[largest] = below[-1]
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
            list(combinations_with_replacement(range(len(self.n_pes)), len(group))) for group in self.groups
        ]
        rows = []
        for choice in product(*per_group):
            row = np.empty(self.n_cores, dtype=np.int64)
            for group, indices in zip(self.groups, choice, strict=True):
                row[list(group)] = indices
            if self.pes(row.tolist()) <= self.budget:
                rows.append(row)
        return np.array(rows, dtype=np.int64)
