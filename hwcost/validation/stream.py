"""Whole networks on several cores against `stream_networks.csv`."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from hwcost.chip.accelerator import Accelerator
from hwcost.chip.accelerator_file import accelerator_names, load_accelerator
from hwcost.chip.core import ArrayDimension, ComputeCore
from hwcost.cost_model import LayerCostTable
from hwcost.errors import OfframpError
from hwcost.evaluate import CostModel
from hwcost.mapping.loops import Loop, Operand
from hwcost.placement.fused import schedule_fused
from hwcost.placement.fused_plan import fused_plan
from hwcost.placement.routes import find_routes
from hwcost.placement.weight_memory import weight_memory
from hwcost.validation.table import LAYER_COLUMNS, Row, layer_of, read_rows
from hwcost.workload import Workload
from hwcost.workload_batch import WorkloadBatch

COLUMNS = ("config", "network", "accelerator", "schedule", "w_bits", "a_bits", "psum_bits", "latency_cycles",
           "energy_pj")  # fmt: skip
SCHEDULES = ("layer_by_layer", "layer_fused")
# Stream's mappings cut every convolution by `OY, all`: a tile is one output row.
_TILE_ROWS = 1


def validate_stream(path: Path, layers_path: Path | None) -> dict[str, Any]:
    """Ours over theirs per config, and whether networks come in the same order on each system and schedule.

    The layer table has no residual sources: additions are left out, layers form a chain. `layer_fused` rows run in
    mode `fused` with tiles of one row, as Stream cuts them, `layer_by_layer` rows layer by layer.
    """
    rows = read_rows(path, COLUMNS)
    if layers_path is None:
        raise OfframpError(f"{path.name} needs layers.csv beside it; add it")
    networks: dict[str, list[Row]] = defaultdict(list)
    for row in read_rows(layers_path, ("net", "name", "op", *LAYER_COLUMNS)):
        if row.text("op") != "linear":
            networks[row.text("net")].append(row)
    configs: dict[str, Any] = {}
    ours: dict[tuple[str, str], list[tuple[float, float]]] = defaultdict(list)
    for row in rows:
        network, schedule = row.text("network"), row.text("schedule")
        if network not in networks:
            raise OfframpError(
                f"{row.where}: expected a network of {layers_path.name}, got {network!r}; add its layers"
            )
        accelerator = stream_accelerator(row.text("accelerator"), schedule, row.where)
        latency, energy = _evaluate(accelerator, _chain(networks[network], row), schedule)
        theirs = row.positive("latency_cycles"), row.positive("energy_pj")
        config = row.text("config")
        configs[row.where if config in configs else config] = {
            "latency_ratio": latency / theirs[0],
            "energy_ratio": energy / theirs[1],
        }
        ours[row.text("accelerator"), schedule].append((latency, theirs[0]))
    order = all(
        (np.argsort([pair[0] for pair in pairs]) == np.argsort([pair[1] for pair in pairs])).all()
        for pairs in ours.values()
    )
    return {"n": len(rows), "configs": configs, "same_order": bool(order)}


def stream_accelerator(name: str, schedule: str, where: str) -> Accelerator:
    """The preset of a system as Stream runs it.

    Stream takes the dataflow of a core as it is (`K` on a dimension is `K` for a depth-wise layer too, which has a
    single one per group), so no dimension unrolls channel groups: on a K x C array a depth-wise layer runs at one
    MAC a cycle. Its core files have weights in the activation memory where there is no other on the chip
    (`stream/inputs/examples/hardware/cores/tpu_like.yaml` of June 2025), and tiles find them there. Layer by
    layer, it brings all activations through DRAM.

    Raises:
        OfframpError: There is no preset of that system, or the schedule is unknown.
    """
    preset = name.removesuffix("_core").replace("_like_", "_")
    if preset not in accelerator_names():
        known = ", ".join(n for n in accelerator_names() if n.endswith("_quad"))
        raise OfframpError(f"{where}: no preset for accelerator {name!r}; there are {known}")
    if schedule not in SCHEDULES:
        raise OfframpError(f"{where}: expected a schedule of {' or '.join(SCHEDULES)}, got {schedule!r}")
    accelerator = load_accelerator(preset)
    through_dram = schedule == "layer_by_layer"
    cores = tuple(_stream_core(core, through_dram) for core in accelerator.compute_cores)
    return replace(accelerator, compute_cores=cores)


def _stream_core(core: ComputeCore, through_dram: bool) -> ComputeCore:
    dimensions = []
    for dimension in core.dimensions:
        loops = tuple(loop for loop in dimension.loops if loop != Loop.G)
        dimensions.append(ArrayDimension(dimension.name, loops or dimension.loops))
    memories = list(core.memories)
    if weight_memory(core) is None:
        outer = next(i for i in reversed(core.chain(Operand.I)) if not memories[i].shared)
        memories[outer] = replace(memories[outer], operands=(*memories[outer].operands, Operand.W))
    for i, memory in enumerate(memories):
        if memory.shared and through_dram:
            memories[i] = replace(memory, operands=tuple(Operand))
    return replace(core, dimensions=tuple(dimensions), memories=tuple(memories))


def _evaluate(accelerator: Accelerator, workload: Workload, schedule: str) -> tuple[float, float]:
    """Latency and energy of the whole network on the default arrays."""
    allocation = np.array([accelerator.default_allocation])
    if schedule == "layer_by_layer":
        costs = CostModel(accelerator).evaluate(workload, allocation)
        return float(costs.latency_cycles[0, -1]), float(costs.energy_pj[0, -1])
    batch = WorkloadBatch.of(workload)
    table, routes = LayerCostTable(accelerator), find_routes(accelerator)
    plan = fused_plan(table, routes, batch, allocation, "edp", _TILE_ROWS)
    found = schedule_fused([plan], "edp")
    return float(found.latency_cycles.sum()), float(found.energy_pj.sum())


def _chain(rows: list[Row], config: Row) -> Workload:
    bits = [config.integer(column) for column in ("w_bits", "a_bits", "psum_bits")]
    layers = [
        replace(layer_of(row, row.text("name"), bits[0], bits[1], bits[2]), sources=(i - 1,))
        for i, row in enumerate(rows)
    ]
    return Workload.from_layers(layers)
