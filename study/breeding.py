"""Children of parents: tournament, uniform crossover, mutation; and the neighbours of a design."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Breeder:
    """Draws children as rows of gene indices.

    Attributes:
        counts: Choices of each gene, (n_genes,).
        crossover_probability: Share of children of two parents; the others are mutated copies of one.
        swap_probability: Share of genes a child takes from its second parent.
    """

    counts: np.ndarray
    crossover_probability: float = 0.9
    swap_probability: float = 0.5

    def children(
        self, parents: np.ndarray, rank: np.ndarray, count: int, rng: np.random.Generator
    ) -> np.ndarray:
        """Uniform crossover of two tournament winners, then mutation at one gene on average.

        Args:
            parents: (n_parents, n_genes).
            rank: Of each parent, (n_parents,); the lower one wins a tournament of two.
            count: Children to draw.
            rng: Source of every draw.

        Returns:
            (count, n_genes).
        """
        first, second = (parents[self._tournaments(rank, count, rng)] for _ in range(2))
        crossed = rng.random((count, 1)) < self.crossover_probability
        swapped = rng.random(first.shape) < self.swap_probability
        child = np.where(crossed & swapped, second, first)
        free = self.counts > 1
        mutated = free & (rng.random(first.shape) < 1.0 / max(1, int(free.sum())))
        # One of the other choices, each as likely.
        step = 1 + np.floor(rng.random(first.shape) * np.maximum(self.counts - 1, 1)).astype(child.dtype)
        return np.where(mutated, (child + step) % self.counts, child)

    def neighbours(self, designs: np.ndarray) -> np.ndarray:
        """All designs that differ from one of these in one gene, (n_designs * sum(counts - 1), n_genes)."""
        moved = []
        for gene, count in enumerate(self.counts):
            for step in range(1, int(count)):
                other = designs.copy()
                other[:, gene] = (other[:, gene] + step) % count
                moved.append(other)
        return np.vstack(moved) if moved else designs[:0]

    @staticmethod
    def _tournaments(rank: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
        one, two = rng.integers(len(rank), size=(2, count))
        return np.where(rank[one] <= rank[two], one, two)


def as_rows(designs: Sequence[dict[str, int]], names: Sequence[str]) -> np.ndarray:
    """Gene indices as rows, (n_designs, n_genes)."""
    return np.array([[design[name] for name in names] for design in designs], dtype=np.intp).reshape(
        -1, len(names)
    )
