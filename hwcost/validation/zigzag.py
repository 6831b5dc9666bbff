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
from hwcost.validation.statistics import error_summary, kendall, spearman
from hwcost.validation.table import Row, integer, layer_of, number, read_rows
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
        by_config[row["config"]].append(row)
    return {config: _validate_config(rows, path.name) for config, rows in by_config.items()}


def _validate_config(rows: list[Row], where: str) -> dict[str, Any]:
    setups: dict[_Setup, list[int]] = defaultdict(list)
    for i, row in enumerate(rows):
        setup = _Setup(row["accelerator"], row["array"], row["activations"], row["spatial_mapping_rule"])
        setups[setup].append(i)
    latency, energy, bound = (np.zeros(len(rows)) for _ in range(3))
    for setup, members in setups.items():
        core = core_of(setup.accelerator, setup.activations, setup.rule, setup.array)
        layers = [
            layer_of(
                rows[i],
                str(i),
                where,
                *(integer(rows[i], c, where) for c in ("w_bits", "a_bits", "psum_bits")),
            )
            for i in members
        ]
        workload = Workload.from_layers(layers)
        sizes = np.tile(np.array(core.default_array.sizes), (len(members), 1))
        latency[members] = map_layers(core, workload.cost_rows(), sizes, "latency").latency_cycles
        energy[members] = map_layers(core, workload.cost_rows(), sizes, "energy").energy_pj.sum(axis=1)
        bound[members] = compulsory_dram_cycles(core, workload)
    their_latency = np.array([number(row, "latency_cycles", where) for row in rows])
    their_energy = np.array([number(row, "energy_pj", where) for row in rows])
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


def compulsory_dram_cycles(core: ComputeCore, workload: Workload) -> np.ndarray:
    """Cycles the DRAM port needs to move what lives there once: (n_layers,)."""
    dram = core.memories[-1]
    bits = np.zeros(workload.n_layers)
    if Operand.W in dram.operands:
        bits += workload.weight_elements * workload.weight_bits
    if Operand.I in dram.operands:
        bits += workload.input_elements * workload.input_bits
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
