"""Single layers on single cores against `zigzag_layers.csv`."""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from hwcost.chip.accelerator_file import load_accelerator
from hwcost.chip.core import ArrayDimension, ComputeCore, PeArray
from hwcost.errors import OfframpError
from hwcost.mapping.loops import Loop, Operand
from hwcost.mapping.mapper import map_layers
from hwcost.mapping.nest import touched
from hwcost.validation.statistics import error_summary, kendall, spearman
from hwcost.validation.table import Row, layer_of, read_rows
from hwcost.workload import Workload

COLUMNS = ("config", "accelerator", "array", "activations", "spatial_mapping_rule", "uid", "B", "K", "C", "G",
           "OX", "OY", "FX", "FY", "stride", "w_bits", "a_bits", "psum_bits", "latency_cycles",
           "energy_pj")  # fmt: skip
_RULES = ("depthwise_g_on_d1", "depthwise_ox_oy_only", "auto")
# A preset's name with another width of the DRAM port at the same energy an access.
_DRAM_SUFFIX = re.compile(r"^(.*)_dram(\d+)$")


@dataclass(frozen=True)
class _Setup:
    """What a core is in one row of the table."""

    accelerator: str
    array: str
    activations: str
    rule: str


def validate_zigzag(path: Path) -> dict[str, Any]:
    """Errors and rank correlations per config.

    Latency errors are relative to the reference or, where that is larger, to the compulsory DRAM bits over the
    port's width; `raw_mape` is relative to the reference as it is.
    """
    by_config: dict[str, list[Row]] = defaultdict(list)
    for row in read_rows(path, COLUMNS):
        by_config[row.text("config")].append(row)
    return {config: _validate_config(rows) for config, rows in by_config.items()}


def _validate_config(rows: list[Row]) -> dict[str, Any]:
    their_latency = np.array([row.positive("latency_cycles") for row in rows])
    their_energy = np.array([row.positive("energy_pj") for row in rows])
    setups: dict[_Setup, list[int]] = defaultdict(list)
    for i, row in enumerate(rows):
        names = (row.text(c) for c in ("accelerator", "array", "activations", "spatial_mapping_rule"))
        setups[_Setup(*names)].append(i)
    latency, energy, bound = (np.zeros(len(rows)) for _ in range(3))
    for setup, members in setups.items():
        core = core_of(setup.accelerator, setup.activations, setup.rule, setup.array)
        bits = [[rows[i].integer(c) for c in ("w_bits", "a_bits", "psum_bits")] for i in members]
        layers = [layer_of(rows[i], rows[i].where, *widths) for i, widths in zip(members, bits, strict=True)]
        workload = Workload.from_layers(layers)
        sizes = np.tile(np.array(core.default_array.sizes), (len(members), 1))
        fastest = map_layers(core, workload.cost_rows(), sizes, "latency", must_fit=False).latency_cycles
        _check_fit(core, workload, fastest)
        latency[members] = fastest
        energy[members] = map_layers(core, workload.cost_rows(), sizes, "energy").energy_pj.sum(axis=1)
        bound[members] = compulsory_dram_cycles(core, workload)
    reference = np.maximum(their_latency, bound)
    return {
        "n": len(rows),
        "latency": {
            **error_summary(latency, reference),
            "raw_mape": error_summary(latency, their_latency)["mape"],
            "spearman": spearman(latency, their_latency),
            "kendall": kendall(latency, their_latency),
        },
        "energy": {
            **error_summary(energy, their_energy),
            "raw_mape": error_summary(energy, their_energy)["mape"],
            "spearman": spearman(energy, their_energy),
            "kendall": kendall(energy, their_energy),
        },
        "reference_below_port": int((their_latency < bound).sum()),
    }


def _check_fit(core: ComputeCore, workload: Workload, latency: np.ndarray) -> None:
    for name, cycles in zip(workload.names, latency, strict=True):
        if not np.isfinite(cycles):
            raise OfframpError(
                f"{name}: expected a layer that a core {core.name!r} of {core.default_array.label} can run, got one "
                "with more bits at a PE than a memory holds; remove the row"
            )


def compulsory_dram_cycles(core: ComputeCore, workload: Workload) -> np.ndarray:
    """Cycles the DRAM port needs to move what lives there once: (n_layers,).

    Of the inputs those that lie under a window: fewer than the map where strides are longer than windows.
    """
    dram = core.memories[-1]
    bits = np.zeros(workload.n_layers)
    columns = touched(workload.ox, workload.fx, workload.stride, workload.ix)
    lines = touched(workload.oy, workload.fy, workload.stride, workload.iy)
    if Operand.W in dram.operands:
        bits += workload.weight_elements * workload.weight_bits
    if Operand.I in dram.operands:
        bits += workload.b * workload.g * workload.c * columns * lines * workload.input_bits
    if Operand.O in dram.operands:
        bits += workload.output_elements * workload.output_bits
    return bits / dram.read_bits_per_cycle


def core_of(accelerator: str, activations: str, rule: str, array: str) -> ComputeCore:
    """A preset's core with another array, home of the activations, unrolling rule or DRAM width.

    Raises:
        OfframpError: One of them is unknown.
    """
    match = _DRAM_SUFFIX.match(accelerator)
    core = load_accelerator(match.group(1) if match else accelerator).compute_cores[0]
    if activations not in ("onchip", "dram"):
        raise OfframpError(f"expected activations onchip or dram, got {activations!r}")
    if rule not in _RULES:
        raise OfframpError(f"expected a spatial_mapping_rule of {', '.join(_RULES)}, got {rule!r}")
    dram = replace(core.memories[-1], operands=(Operand.W,) if activations == "onchip" else tuple(Operand))
    if match:
        width = int(match.group(2))
        dram = replace(dram, read_bits_per_cycle=width, write_bits_per_cycle=width)
    sizes = PeArray.parse(array)
    return replace(
        core,
        memories=(*core.memories[:-1], dram),
        dimensions=tuple(_dimension(dimension, rule) for dimension in core.dimensions),
        catalogue=(sizes,),
        default_array=sizes,
    )


def _dimension(dimension: ArrayDimension, rule: str) -> ArrayDimension:
    if rule == "auto":
        return replace(dimension, loops=tuple(loop for loop in Loop if loop != Loop.B))
    if rule == "depthwise_ox_oy_only":
        return replace(dimension, loops=tuple(loop for loop in dimension.loops if loop != Loop.G))
    return dimension
