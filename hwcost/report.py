"""What each layer of one design costs and where it runs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hwcost.chip.accelerator import Accelerator
from hwcost.evaluate import CostModel, check_allocations
from hwcost.mapping.layer_mapping import describe_mappings
from hwcost.mapping.loops import Operand
from hwcost.placement.routes import LEVEL_NAMES
from hwcost.placement.schedule import Schedule
from hwcost.placement.transfers import cores_for
from hwcost.workload import IntArray, Op, Workload

Array = np.ndarray
# Places of a layer that runs on all compute cores, in the order of the options behind the single cores.
SHARED_PLACES = ("all equally", "all by PEs")


@dataclass(frozen=True, eq=False)
class LayerReport:
    """One entry a layer, in execution order.

    Attributes:
        names: Of the layers.
        core: Name of the core; of `SHARED_PLACES` where a layer is split over all compute cores.
        pe_array: Label of its array, empty on a vector core and where a layer is split.
        spatial: How the array is unrolled, e.g. `K8 C8 OX4 OY4`; empty where there is no array, and where other
            than whole layers with streamed weights are mapped.
        macs: Multiply-accumulates: (n_layers,).
        start_cycle: When the layer begins (its transfers included): (n_layers,). Where cores overlap, the end of all
            layers before it.
        latency_cycles: With its transfers; where cores overlap, what it adds to the end: (n_layers,).
        energy_pj: With its transfers: (n_layers,).
        energy_by_level_pj: (n_layers, n_levels).
        level_names: Names of the levels.
        operand_energy_pj: Energy in memories by operand W, I, O, without transfers: (n_layers, 3).
    """

    names: tuple[str, ...]
    core: tuple[str, ...]
    pe_array: tuple[str, ...]
    spatial: tuple[str, ...]
    macs: IntArray
    start_cycle: Array
    latency_cycles: Array
    energy_pj: Array
    energy_by_level_pj: Array
    level_names: tuple[str, ...]
    operand_energy_pj: Array

    @property
    def other_energy_pj(self) -> Array:
        """Energy of no operand's memories: MACs, transfers between cores, leakage: (n_layers,)."""
        return np.asarray(self.energy_pj - self.operand_energy_pj.sum(axis=1))

    def by_core(self, n_layers: int | None = None) -> dict[str, tuple[int, float, float]]:
        """Per place the number of layers, the sum of their cycles and of their energy in pJ.

        Args:
            n_layers: Of the first so many layers; all by default.
        """
        places: dict[str, tuple[int, float, float]] = {}
        for i, place in enumerate(self.core[:n_layers]):
            n, cycles, energy = places.get(place, (0, 0.0, 0.0))
            own = float(self.latency_cycles[i]), float(self.energy_pj[i])
            places[place] = n + 1, cycles + own[0], energy + own[1]
        return places


def layer_report(
    workload: Workload,
    accelerator: Accelerator,
    allocation: IntArray,
    mapping_objective: str = "edp",
    model: CostModel | None = None,
    mode: str = "layer_by_layer",
    weights: str = "streamed",
) -> LayerReport:
    """Costs of every layer of one design.

    Args:
        workload: The network.
        accelerator: The hardware, at the voltage and frequency level that is meant.
        allocation: Catalogue index per compute core: (n_compute_cores,).
        mapping_objective: As for `evaluate`.
        model: A cost model of the same accelerator whose layer costs are used; made when not given.
        mode: As for `evaluate`.
        weights: As for `evaluate`.
    """
    model = model or CostModel(accelerator)
    chosen = check_allocations(accelerator, np.asarray(allocation)[None, :])
    schedule = model.schedule(workload, chosen, mapping_objective, mode, weights, operands=True)
    described = mode == "layer_by_layer" and weights == "streamed"
    place, arrays, spatial = [], [], [""] * workload.n_layers
    for i in range(workload.n_layers):
        option = int(schedule.core[0, i])
        cores = cores_for(accelerator, Op(workload.op[i]))
        label = ""
        if option >= len(cores):
            name = SHARED_PLACES[option - len(cores)]
        else:
            name = cores[option].name
            if workload.has_weights[i]:
                label = accelerator.compute_cores[option].catalogue[chosen[0, option]].label
        place.append(name)
        arrays.append(label)
    if described:
        spatial = _unrollings(workload, accelerator, schedule.core[0], chosen[0], mapping_objective)
    latency, by_level = schedule.latency_cycles[0], schedule.energy_pj[0]
    return LayerReport(
        names=workload.names,
        core=tuple(place),
        pe_array=tuple(arrays),
        spatial=tuple(spatial),
        macs=workload.macs,
        start_cycle=np.concatenate([[0.0], latency.cumsum()[:-1]]),
        latency_cycles=latency,
        energy_pj=by_level.sum(axis=1),
        energy_by_level_pj=by_level,
        level_names=LEVEL_NAMES,
        operand_energy_pj=_operands(schedule, workload.n_layers),
    )


def _unrollings(
    workload: Workload, accelerator: Accelerator, placed: IntArray, allocation: IntArray, objective: str
) -> list[str]:
    """How each layer's array is unrolled, empty where it has none; layers of equal cores are mapped at once."""
    rows = workload.cost_rows()
    labels = [""] * workload.n_layers
    groups: dict[str, list[int]] = {}
    for i in np.flatnonzero(workload.has_weights).tolist():
        groups.setdefault(accelerator.compute_cores[placed[i]].group, []).append(i)
    for layers in groups.values():
        core = accelerator.compute_cores[placed[layers[0]]]
        arrays = np.array([core.catalogue[allocation[placed[i]]].sizes for i in layers], dtype=np.int64)
        for i, mapping in zip(layers, describe_mappings(core, rows[layers], arrays, objective), strict=True):
            labels[i] = mapping.spatial_label
    return labels


def _operands(schedule: Schedule, n_layers: int) -> Array:
    if schedule.operand_energy_pj is None:
        return np.full((n_layers, len(Operand)), np.nan)
    return np.asarray(schedule.operand_energy_pj[0])
