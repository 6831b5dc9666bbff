"""What designs cost on the accelerator, and whether they meet the constraints; no network is built for it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
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
from study.config import ConstraintConfig, StudyConfig

CONSTRAINTS = ("worst_latency", "weight_memory")


@dataclass(frozen=True)
class StaticCost:
    """What the fixed reference costs: no early exit, 8 bit, `fc` final head, default allocation.

    Attributes:
        latency_cycles: Of one inference.
        energy_pj: Of one inference.
        weight_memory_bits: All weights.
    """

    latency_cycles: float
    energy_pj: float
    weight_memory_bits: int

    @property
    def edp_pj_cycles(self) -> float:
        """Energy x latency."""
        return self.latency_cycles * self.energy_pj


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
        self.static_architecture = Architecture.static(spec.n_blocks)
        costs = self.stage_costs(self.static_architecture, np.array([accelerator.default_allocation]))
        self.static = StaticCost(
            latency_cycles=float(costs.latency_cycles[0, -1]),
            energy_pj=float(costs.energy_pj[0, -1]),
            weight_memory_bits=int(costs.weight_memory_bits),
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

    def stage_costs(self, architecture: Architecture, allocations: np.ndarray) -> StageCosts:
        """Cost up to and including each exit, for allocations (n_designs, n_cores) of one network."""
        return self._model.evaluate(self.workload(architecture), allocations, self._mapping)

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
        return self._model.evaluate(batch, allocations, self._mapping, levels=levels)

    def layer_report(self, architecture: Architecture, allocation: tuple[int, ...]) -> LayerReport:
        """Cost and place of every layer of one design."""
        workload, row = self.workload(architecture), np.array(allocation)
        return layer_report(workload, self.accelerator, row, self._mapping, self._model)

    def violations(self, costs: StageCosts, bounds: ConstraintConfig) -> np.ndarray:
        """By how much each design is over each bound, relative to the bound; at most 0 where it is met.

        Returns:
            (n_designs, n_constraints) in the order of `CONSTRAINTS`.
        """
        worst = costs.worst_latency_cycles / (bounds.worst_latency * self.static.latency_cycles)
        memory = costs.weight_memory_bits / (bounds.weight_memory * self.static.weight_memory_bits)
        return np.stack([worst, np.broadcast_to(memory, worst.shape)], axis=1) - 1.0
