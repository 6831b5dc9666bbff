"""One design on one chip: everything that is said about it, for people and for programs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hwcost.chip.accelerator import Accelerator
from hwcost.evaluate import CostModel, StageCosts
from hwcost.report import LayerReport, layer_report
from hwcost.workload import IntArray, Workload


@dataclass(frozen=True, eq=False)
class Simulation:
    """A network on an accelerator at one of its levels.

    Attributes:
        workload: The network.
        accelerator: At the level that is meant.
        allocation: Catalogue index per compute core: (n_compute_cores,).
        objective: What the mapping minimises.
        mode: How layers share the cores.
        weights: `streamed` or `resident`.
        costs: Of the one design.
        layers: Of the one design.
    """

    workload: Workload
    accelerator: Accelerator
    allocation: IntArray
    objective: str
    mode: str
    weights: str
    costs: StageCosts
    layers: LayerReport

    @property
    def area_mm2(self) -> float | None:
        """Area of the cores; None where the description has none."""
        area = self.accelerator.area_mm2(self.allocation[None, :])
        return None if area is None else float(area[0])


def simulate(
    workload: Workload,
    accelerator: Accelerator,
    allocation: IntArray,
    objective: str = "edp",
    mode: str = "layer_by_layer",
    weights: str = "streamed",
    level: str | None = None,
) -> Simulation:
    """Costs of one design, by exit and by layer.

    Args:
        workload: The network.
        accelerator: The hardware.
        allocation: Catalogue index per compute core: (n_compute_cores,).
        objective: As for `evaluate`.
        mode: As for `evaluate`.
        weights: As for `evaluate`.
        level: Name of the voltage and frequency level; None for the nominal one.

    Raises:
        OfframpError: As `evaluate`, or there is no such level.
    """
    index = accelerator.nominal_level if level is None else accelerator.level_index(level)
    chip = accelerator.at_level(index)
    model = CostModel(chip)
    chosen = np.asarray(allocation)
    costs = model.evaluate(workload, chosen[None, :], objective, mode, weights)
    layers = layer_report(workload, chip, chosen, objective, model, mode, weights)
    return Simulation(workload, chip, chosen, objective, mode, weights, costs, layers)
