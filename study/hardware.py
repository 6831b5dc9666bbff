"""What designs cost on the accelerator; no network is built for it.

Latency is counted in cycles of the accelerator's nominal clock, whatever clock a design has: cycles of different
clocks do not compare, time does, and at the nominal level the two are one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from hwcost.chip.accelerator import Accelerator
from hwcost.evaluate import CostModel
from hwcost.networks import (
    EarlyExitGenes,
    EarlyExitGenomes,
    early_exit_batch,
    early_exit_workload,
)
from hwcost.networks.trunk import Backbone
from hwcost.report import LayerReport, layer_report
from hwcost.stage_costs import StageCosts
from hwcost.workload import Workload
from models.architecture import Architecture
from study.config import StudyConfig
from study.genome import Genome
from study.metrics import HardwareView, Metric

MOST_KNOWN = 2048
"""Designs whose costs are remembered; each is a handful of short arrays."""


@dataclass(frozen=True)
class StaticCost:
    """What the fixed reference costs: no early exit, 8 bit, `fc` final head, default allocation, nominal voltage.

    Attributes:
        latency_cycles: Of one inference.
        energy_pj: Of one inference.
        weight_memory_bits: All weights.
        clock_hz: Nominal.
        area_mm2: Of the chip; None where the accelerator states none.
    """

    latency_cycles: float
    energy_pj: float
    weight_memory_bits: int
    clock_hz: float
    area_mm2: float | None = None

    @property
    def edp_pj_cycles(self) -> float:
        """Energy x latency."""
        return self.latency_cycles * self.energy_pj

    @property
    def latency_s(self) -> float:
        """Seconds at the nominal clock."""
        return self.latency_cycles / self.clock_hz

    @property
    def energy_j(self) -> float:
        """Joules."""
        return self.energy_pj * 1e-12

    def of(self, metric: Metric) -> float:
        """The reference's value of a metric in SI units; all its samples leave at the only exit.

        Raises:
            KeyError: The metric is the error, which no cost says, or an area that the accelerator does not state.
        """
        known = {
            "mean_latency": self.latency_s,
            "mean_energy": self.energy_j,
            "mean_edp": self.latency_s * self.energy_j,
            "worst_latency": self.latency_s,
            "weight_memory": float(self.weight_memory_bits),
        }
        if self.area_mm2 is not None:
            known["area"] = self.area_mm2
        return known[metric.name]


class HardwareCosts:
    """The simulator for one backbone, data shape and accelerator; keeps the layer costs it has computed.

    Args:
        spec: The backbone, already scaled and with the data's channels.
        classes: Classes of the data.
        image_size: Pixels, square.
        accelerator: The chip.
        mapping: What the layer-to-core mapping minimises.
    """

    def __init__(
        self,
        spec: Backbone,
        classes: int,
        image_size: int,
        accelerator: Accelerator,
        mapping: Literal["latency", "energy", "edp"],
    ) -> None:
        self._spec = spec
        self._classes = classes
        self._image_size = image_size
        self._mapping = mapping
        self._model = CostModel(accelerator)
        self.accelerator = accelerator
        self._known: dict[tuple[Architecture, tuple[int, ...], int], StageCosts] = {}
        self._nominal_hz = accelerator.levels[accelerator.nominal_level].clock_hz
        self.static_architecture = Architecture.static(spec.n_blocks)
        default = np.array([accelerator.default_allocation])
        costs, area = self.stage_costs(self.static_architecture, default), self._area_mm2(default)
        self.static = StaticCost(
            latency_cycles=float(costs.latency_cycles[0, -1]),
            energy_pj=float(costs.energy_pj[0, -1]),
            weight_memory_bits=int(costs.weight_memory_bits),
            clock_hz=self._nominal_hz,
            area_mm2=None if area is None else float(area[0]),
        )

    @classmethod
    def from_config(
        cls, config: StudyConfig, spec: Backbone, classes: int, accelerator: Accelerator
    ) -> HardwareCosts:
        """The simulator as a study's configuration asks for it."""
        return cls(spec, classes, config.data.image_size, accelerator, config.hardware.mapping)

    def workload(self, architecture: Architecture) -> Workload:
        """The layers of a network with its heads, in execution order."""
        return early_exit_workload(
            self._spec,
            architecture.exits,
            architecture.heads,
            architecture.precision(),
            self._image_size,
            self._classes,
        )

    def stage_costs(
        self, architecture: Architecture, allocations: np.ndarray, levels: np.ndarray | None = None
    ) -> StageCosts:
        """Cost up to and including each exit, for many placements of one network.

        Args:
            architecture: The network.
            allocations: (n_designs, n_cores).
            levels: Index of the accelerator's voltage and frequency level: (n_designs,); None for the nominal one.
        """
        levels = self._levels(levels, allocations)
        costs = self._model.evaluate(self.workload(architecture), allocations, self._mapping, levels=levels)
        return self._in_nominal_cycles(costs)

    def cost_of(self, genome: Genome) -> StageCosts:
        """Cost of one design up to and including each exit; the latest are remembered."""
        return self.costs_of([genome])[0]

    def costs_of(self, genomes: Sequence[Genome]) -> list[StageCosts]:
        """The same of several designs; those with one network in common are costed in one call."""
        found: list[StageCosts | None] = [self._known.get(_place(genome)) for genome in genomes]
        missing: dict[Architecture, list[int]] = {}
        for index, genome in enumerate(genomes):
            if found[index] is None:
                missing.setdefault(genome.architecture, []).append(index)
        for architecture, indices in missing.items():
            costs = self.stage_costs(
                architecture,
                np.array([genomes[i].allocation for i in indices]),
                np.array([genomes[i].level for i in indices]),
            )
            for row, index in enumerate(indices):
                found[index] = self._known[_place(genomes[index])] = costs.take(np.array([row]))
        while len(self._known) > MOST_KNOWN:
            del self._known[next(iter(self._known))]
        return [costs for costs in found if costs is not None]

    def stage_costs_of(
        self, architectures: Sequence[Architecture], allocations: np.ndarray, levels: np.ndarray | None = None
    ) -> StageCosts:
        """Costs of many networks in one call, each on an allocation of its own.

        Args:
            architectures: (n_designs,).
            allocations: (n_designs, n_cores).
            levels: Index of the accelerator's voltage and frequency level: (n_designs,); None for the nominal one.

        Returns:
            Columns are the backbone's mounting points and the final exit; `StageCosts.exits` says which ones a
            network has, `StageCosts.design` picks them.
        """
        genes = [EarlyExitGenes(a.exits, a.heads, a.precision()) for a in architectures]
        genomes = EarlyExitGenomes.of(self._spec, genes)
        batch = early_exit_batch(self._spec, genomes, self._image_size, self._classes)
        levels = self._levels(levels, allocations)
        return self._in_nominal_cycles(self._model.evaluate(batch, allocations, self._mapping, levels=levels))

    def _in_nominal_cycles(self, costs: StageCosts) -> StageCosts:
        """The same costs with latency in cycles of the nominal clock."""
        nominal = np.full_like(costs.clock_hz, self._nominal_hz)
        longer = (nominal / costs.clock_hz)[:, None]
        return replace(costs, latency_cycles=costs.latency_cycles * longer, clock_hz=nominal)

    def _levels(self, levels: np.ndarray | None, allocations: np.ndarray) -> np.ndarray:
        return np.full(len(allocations), self.accelerator.nominal_level) if levels is None else levels

    def layer_report(self, genome: Genome) -> LayerReport:
        """Cost and place of every layer of one design."""
        workload, row = self.workload(genome.architecture), np.array(genome.allocation)
        model = self._model.at_level(genome.level)
        report = layer_report(workload, model.accelerator, row, self._mapping, model)
        longer = self._nominal_hz / model.accelerator.clock_hz
        return replace(
            report, start_cycle=report.start_cycle * longer, latency_cycles=report.latency_cycles * longer
        )

    def view(self, costs: StageCosts, allocations: np.ndarray) -> HardwareView:
        """What constraints look at, of designs on these allocations (n_designs, n_cores)."""
        return HardwareView(costs, self._area_mm2(allocations))

    def _area_mm2(self, allocations: np.ndarray) -> np.ndarray | None:
        """(n_designs,); None where the accelerator states none."""
        area = self.accelerator.area_mm2(allocations)
        # The last digit of a sum depends on how many are summed at once; equal chips must have equal areas.
        return None if area is None else np.round(area, 9)


def _place(genome: Genome) -> tuple[Architecture, tuple[int, ...], int]:
    """What the cost of a design depends on: not its policy."""
    return genome.architecture, genome.allocation, genome.level
