"""Which designs break a constraint for certain, before any of them is trained."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from hwcost.errors import OfframpError
from study.bounds import Bounds
from study.genome import Genome, SearchSpace
from study.hardware import HardwareCosts
from study.metrics import HardwareView

FORESEEN = 384
"""Random designs that have most of a space's layers; mapped in one call, a layer takes half the time."""


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
        """The same of many designs, costed in one call."""
        return [self.one(genomes[0])] if len(genomes) == 1 else self.look_at(genomes)[1]

    def look_at(self, genomes: Sequence[Genome]) -> tuple[HardwareView, list[bool]]:
        """What many designs cost, in one call, and whether they break no bound for certain."""
        allocations = np.array([genome.allocation for genome in genomes])
        levels = np.array([genome.level for genome in genomes])
        costs = self.hardware.stage_costs_of([g.architecture for g in genomes], allocations, levels)
        view = self.hardware.view(costs, allocations)
        return view, self.bounds.met_before_training(view).tolist()

    def foresee(self, space: SearchSpace, rng: np.random.Generator, count: int = FORESEEN) -> None:
        """Costs the layers of random designs at once, to be looked up later; nothing depends on it."""
        with contextlib.suppress(OfframpError):  # what cannot be costed is told by the design that needs it
            self.look_at([space.decode(space.random(rng)) for _ in range(count)])
