"""What a network costs on a simulated accelerator, for its model card: as a study counts it."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import numpy.typing as npt

from hwcost.chip.accelerator_file import load_accelerator
from hwcost.chip.allocation_text import parse_allocation
from hwcost.evaluate import evaluate
from hwcost.networks import early_exit_workload
from hwcost.workload import Workload
from models.architecture import Architecture
from models.backbone import Backbone

FloatArray = npt.NDArray[np.float64]


@dataclasses.dataclass(frozen=True)
class Placement:
    """What a network runs on.

    Attributes:
        accelerator: Name of a preset or a TOML file.
        allocation: PE array of each compute core, such as `8x8x4x4`, separated by commas or spaces; None for the
            accelerator's default arrays.
        level: Name of the voltage and frequency level; None for the nominal one.
        mapping: What the layer-to-core mapping minimises: `latency`, `energy` or `edp`.
    """

    accelerator: str = "edge_tpu_quad"
    allocation: str | None = None
    level: str | None = None
    mapping: str = "edp"


@dataclasses.dataclass(frozen=True, eq=False)
class SimulatedCost:
    """Simulated cost of one image.

    Attributes:
        accelerator: Its name.
        pe_arrays: Of each compute core.
        level: Name of the voltage and frequency level.
        latency_cycles: (n_exits,) up to and including each exit, heads that were passed included, in cycles of the
            nominal clock whatever the level.
        energy_pj: (n_exits,) the same for energy.
        macs: (n_exits,) multiply-accumulates executed up to and including each exit.
        static_latency_cycles: Of the static 8-bit network with an `fc` head on the default arrays at the nominal
            level.
        static_energy_pj: The same for energy.
    """

    accelerator: str
    pe_arrays: tuple[str, ...]
    level: str
    latency_cycles: FloatArray
    energy_pj: FloatArray
    macs: npt.NDArray[np.int64]
    static_latency_cycles: float
    static_energy_pj: float

    def mean_over_static(self, exit_ratios: npt.ArrayLike) -> tuple[float, float, float]:
        """Mean latency, energy and energy-latency product relative to the static network.

        Args:
            exit_ratios: (n_exits,) shares of images that leave at each exit.
        """
        ratios = np.asarray(exit_ratios, dtype=np.float64)
        latency, energy = self.latency_cycles, self.energy_pj
        return (
            float(ratios @ latency) / self.static_latency_cycles,
            float(ratios @ energy) / self.static_energy_pj,
            float(ratios @ (latency * energy)) / (self.static_latency_cycles * self.static_energy_pj),
        )

    def to_dict(self) -> dict[str, Any]:
        """JSON values."""
        return {
            "accelerator": self.accelerator,
            "pe_arrays": list(self.pe_arrays),
            "level": self.level,
            "latency_cycles": self.latency_cycles.tolist(),
            "energy_pj": self.energy_pj.tolist(),
            "macs": self.macs.tolist(),
            "static_latency_cycles": self.static_latency_cycles,
            "static_energy_pj": self.static_energy_pj,
        }


def simulated_cost(
    architecture: Architecture, spec: Backbone, image_size: int, classes: int, placement: Placement
) -> SimulatedCost:
    """Simulates a network and its static reference.

    Args:
        architecture: Exits, heads and bits.
        spec: The backbone.
        image_size: Side of the image in pixels.
        classes: Number of logits.
        placement: What it runs on.

    Raises:
        OfframpError: When the accelerator, an array or the level is unknown, or a layer fits none of its cores.
    """
    chip = load_accelerator(placement.accelerator)
    allocation = parse_allocation(chip, placement.allocation, "--allocation")[None]
    # Arrays over the chip's own budget come from a study that was given a larger one.
    chip = dataclasses.replace(chip, pe_budget=max(chip.pe_budget, int(chip.n_pes(allocation).sum())))
    level = chip.nominal_level if placement.level is None else chip.level_index(placement.level)
    chosen = _workload(architecture, spec, image_size, classes)
    costs = evaluate(chosen, chip, allocation, placement.mapping, levels=np.array([level]))
    static = _workload(Architecture.static(spec.n_blocks), spec, image_size, classes)
    default, nominal = np.array([chip.default_allocation]), np.array([chip.nominal_level])
    reference = evaluate(static, chip, default, placement.mapping, levels=nominal)
    # Cycles of different clocks do not compare: all are told in those of the nominal one.
    longer = chip.levels[chip.nominal_level].clock_hz / chip.levels[level].clock_hz
    return SimulatedCost(
        accelerator=chip.name,
        pe_arrays=tuple(c[i].label for c, i in zip(chip.catalogues, allocation[0], strict=True)),
        level=chip.levels[level].name,
        latency_cycles=np.asarray(costs.latency_cycles[0], dtype=np.float64) * longer,
        energy_pj=np.asarray(costs.energy_pj[0], dtype=np.float64),
        macs=segment_macs(architecture, spec, image_size, classes).cumsum(),
        static_latency_cycles=float(reference.latency_cycles[0, -1]),
        static_energy_pj=float(reference.energy_pj[0, -1]),
    )


def segment_macs(
    architecture: Architecture, spec: Backbone, image_size: int, classes: int
) -> npt.NDArray[np.int64]:
    """(n_exits,) multiply-accumulates of one image in each segment, its head included."""
    workload = _workload(architecture, spec, image_size, classes)
    per_segment = np.zeros(architecture.n_exits, dtype=np.int64)
    np.add.at(per_segment, workload.segment, workload.macs)
    return per_segment


def _workload(architecture: Architecture, spec: Backbone, image_size: int, classes: int) -> Workload:
    exits, heads, precision = architecture.exits, architecture.heads, architecture.precision()
    return early_exit_workload(spec, exits, heads, precision, image_size, classes)
