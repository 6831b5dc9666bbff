"""Which designs break a constraint for certain, before any of them is trained."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from study.bounds import Bounds
from study.genome import Genome
from study.hardware import HardwareCosts

_ON_THE_BOUND = 1e-9  # relative excess below which last digits decide


@dataclass(frozen=True, eq=False)
class HardwareCheck:
    """The constraints of a study on its chip; what depends on training is checked after it.

    Attributes:
        hardware: The simulator.
        bounds: The constraints.
    """

    hardware: HardwareCosts
    bounds: Bounds

    def one(self, genome: Genome) -> bool:
        """Whether no bound is broken for certain."""
        view = self.hardware.view(self.hardware.cost_of(genome), np.array([genome.allocation]))
        return bool(self.bounds.met_before_training(view)[0])

    def many(self, genomes: Sequence[Genome]) -> list[bool]:
        """The same of many designs, costed in one call; the few that are on a bound are looked at alone.

        Sums of many designs differ in the last digits from those of one, which counts, as it is what is recorded.
        """
        if len(genomes) == 1:
            return [self.one(genomes[0])]
        allocations = np.array([genome.allocation for genome in genomes])
        levels = np.array([genome.level for genome in genomes])
        costs = self.hardware.stage_costs_of([g.architecture for g in genomes], allocations, levels)
        excess = self.bounds.before_training(self.hardware.view(costs, allocations))
        worst = np.max([*excess.values(), np.full(len(genomes), -np.inf)], axis=0)
        return [
            self.one(genome) if abs(value) < _ON_THE_BOUND else bool(value <= 0)
            for genome, value in zip(genomes, worst, strict=True)
        ]
