"""What is known of designs without a trial: what each exit costs, which constraints are met for certain.

Mean latency and mean energy are sums over the exits: of the share of inputs that leave there, which only a trial
tells, times what an input costs up to there, which the simulator tells for many designs in one call.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np

from study.genome import Genome
from study.hardware_check import HardwareCheck
from study.metrics import HardwareView, Objectives


@dataclass(frozen=True, eq=False)
class Costed:
    """Designs and what is known of them.

    Attributes:
        meets: Whether no constraint is broken for certain: (n,) bool.
        exact: Objectives that hardware alone decides, NaN for others: (n, n_objectives).
        at_exits: What an input adds to a mean if it leaves at a slot: (n, n_slots, n_objectives). NaN where a design
            has no exit, and for objectives that are no such mean.
    """

    meets: np.ndarray
    exact: np.ndarray
    at_exits: np.ndarray

    @classmethod
    def of(cls, view: HardwareView, meets: Sequence[bool], objectives: Objectives, clock_hz: float) -> Costed:
        """What the simulator says of designs.

        Args:
            view: Their costs.
            meets: Whether no constraint is broken for certain, one entry a design.
            objectives: In whose units costs are told.
            clock_hz: The nominal one, whose cycles they are counted in.
        """
        costs, metrics = view.costs, objectives.metrics
        exact = np.full((len(meets), len(metrics)), np.nan)
        at_exits = np.full((*costs.exits.shape, len(metrics)), np.nan)
        for column, (metric, unit) in enumerate(zip(metrics, objectives.units(clock_hz), strict=True)):
            if metric.at_exits is not None:
                at_exits[..., column] = np.where(costs.exits, metric.at_exits(view) / unit, np.nan)
            elif metric.hardware is not None and not metric.trained:
                exact[:, column] = metric.hardware(view) / unit
        return cls(np.array(meets), exact, at_exits)

    def first(self, count: int) -> Costed:
        """The first designs."""
        return Costed(self.meets[:count], self.exact[:count], self.at_exits[:count])


class Costing(Protocol):
    """Says what designs cost."""

    @property
    def n_slots(self) -> int:
        """Places of exits: the backbone's mounting points and the end."""
        ...

    def slots(self, genes: Mapping[str, int]) -> list[int]:
        """Slot of every exit of a design, in their order."""
        ...

    def cost(self, designs: np.ndarray) -> Costed:
        """What is known of designs given by their gene indices, (n, n_genes)."""
        ...

    def meet(self, designs: Sequence[Mapping[str, int]]) -> list[bool]:
        """Whether designs, given by their genes, break no constraint for certain."""
        ...


@dataclass(frozen=True, eq=False)
class SimulatedCosting:
    """See `Costing`; asks the simulator.

    Attributes:
        names: Of the genes.
        decode: From genes to the design.
        mounting_points: Blocks an early exit may follow, ascending.
        check: The simulator and the constraints.
        objectives: In whose units costs are told.
    """

    names: Sequence[str]
    decode: Callable[[Mapping[str, int]], Genome]
    mounting_points: tuple[int, ...]
    check: HardwareCheck
    objectives: Objectives

    @property
    def n_slots(self) -> int:
        """See `Costing`."""
        return len(self.mounting_points) + 1

    def slots(self, genes: Mapping[str, int]) -> list[int]:
        """See `Costing`."""
        exits = self.decode(genes).architecture.exits
        return [*(self.mounting_points.index(block) for block in exits), self.n_slots - 1]

    def cost(self, designs: np.ndarray) -> Costed:
        """See `Costing`."""
        genomes = [self.decode(dict(zip(self.names, row, strict=True))) for row in designs.tolist()]
        view, meets = self.check.look_at(genomes)
        return Costed.of(view, meets, self.objectives, self.check.hardware.static.clock_hz)

    def meet(self, designs: Sequence[Mapping[str, int]]) -> list[bool]:
        """See `Costing`."""
        return self.check.many([self.decode(genes) for genes in designs])


def without_constraints(costed: Costed) -> Costed:
    """The same where constraints are not checked beforehand."""
    return replace(costed, meets=np.ones_like(costed.meets))
