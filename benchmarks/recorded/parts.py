"""What each part of the space is worth: exits, bits and PE arrays searched alone, in pairs and together."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations

import numpy as np

from benchmarks.recorded.searches import Player, play
from benchmarks.recorded.space import PARTS, Part
from benchmarks.recorded.table_study import TableStudy

LOSSES = (0.002, 0.01)
"""Accuracy given away, as fractions of 1: none that matters, and a point."""


@dataclass(frozen=True)
class PartResult:
    """Searches of one part of the space.

    Attributes:
        networks: In that part.
        trained: Mean number of networks a search trained.
        volume: Mean hypervolume over the best of the whole table.
        volume_std: Standard deviation over seeds.
        least_products: Mean, over seeds, of the least mean energy-latency product over the static reference's, by
            accuracy given away.
    """

    networks: int
    trained: float
    volume: float
    volume_std: float
    least_products: dict[str, float]


def subsets() -> list[tuple[Part, ...]]:
    """Each part, each pair, all of them."""
    return [chosen for size in range(1, len(PARTS) + 1) for chosen in combinations(PARTS, size)]


def search_part(study: TableStudy, searched: tuple[Part, ...], evaluations: int, seeds: range) -> PartResult:
    """Our search on a part of the space, the rest as in the static reference."""
    part = study.only(searched)
    plays = [play(part, Player(), evaluations, seed, to_the_end=False) for seed in seeds]
    volumes = [float(p.derived[-1]) for p in plays]
    return PartResult(
        networks=len(part.architectures),
        trained=float(np.mean([len(p.networks) for p in plays])),
        volume=float(np.mean(volumes)),
        volume_std=float(np.std(volumes)),
        least_products={
            f"{loss:g}": float(np.mean([part.least_product(set(p.networks), loss) for p in plays]))
            for loss in LOSSES
        },
    )
