"""What each layer of one design costs and where it runs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hwcost.chip.accelerator import Accelerator
from hwcost.evaluate import CostModel, check_allocations
from hwcost.mapping.layer_mapping import describe_mapping
from hwcost.placement.transfers import LEVEL_NAMES, cores_for
from hwcost.workload import Op, Workload


@dataclass(frozen=True, eq=False)
class LayerReport:
    """One entry a layer, in execution order.

    Attributes:
        names: Of the layers.
        core: Name of the core.
        pe_array: Label of its array, empty on a vector core.
        spatial: How the array is unrolled, e.g. `K8 C8 OX4 OY4`; empty on a vector core.
        macs: Multiply-accumulates: (n_layers,).
        start_cycle: When the layer begins (its transfers included): (n_layers,).
        latency_cycles: With its transfers: (n_layers,).
        energy_pj: With its transfers: (n_layers,).
        energy_by_level_pj: (n_layers, n_levels).
        level_names: Names of the levels.
    """

    names: tuple[str, ...]
    core: tuple[str, ...]
    pe_array: tuple[str, ...]
    spatial: tuple[str, ...]
    macs: np.ndarray
    start_cycle: np.ndarray
    latency_cycles: np.ndarray
    energy_pj: np.ndarray
    energy_by_level_pj: np.ndarray
    level_names: tuple[str, ...]


def layer_report(
    workload: Workload,
    accelerator: Accelerator,
    allocation: np.ndarray,
    mapping_objective: str = "edp",
    model: CostModel | None = None,
) -> LayerReport:
    """Costs of every layer of one design.

    Args:
        workload: The network.
        accelerator: The hardware.
        allocation: Catalogue index per compute core: (n_compute_cores,).
        mapping_objective: As for `evaluate`.
        model: A cost model of the same accelerator whose layer costs are used; made when not given.
    """
    model = model or CostModel(accelerator)
    chosen = check_allocations(accelerator, np.asarray(allocation)[None, :])
    schedule = model.schedule(workload, chosen, mapping_objective)
    latency = schedule.latency_cycles[0]
    by_level = schedule.energy_pj[0]
    rows = workload.cost_rows()
    cores, arrays, spatial = [], [], []
    for i in range(workload.n_layers):
        option = int(schedule.core[0, i])
        cores.append(cores_for(accelerator, Op(workload.op[i]))[option].name)
        if not workload.has_weights[i]:
            arrays.append("")
            spatial.append("")
            continue
        array = accelerator.catalogue[chosen[0, option]]
        arrays.append(array.label)
        core = accelerator.compute_cores[option]
        spatial.append(describe_mapping(core, rows[i], array, mapping_objective).spatial_label)
    return LayerReport(
        names=workload.names,
        core=tuple(cores),
        pe_array=tuple(arrays),
        spatial=tuple(spatial),
        macs=workload.macs,
        start_cycle=np.concatenate([[0.0], latency.cumsum()[:-1]]),
        latency_cycles=latency,
        energy_pj=by_level.sum(axis=1),
        energy_by_level_pj=by_level,
        level_names=LEVEL_NAMES,
    )
