"""A simulation as JSON for programs."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from hwcost.mapping.loops import Operand
from hwcost.simulation import Simulation


def simulation_json(simulation: Simulation) -> dict[str, Any]:
    """Everything `python -m hwcost.simulate` knows; units are in the names, unknown values are null."""
    costs, chip = simulation.costs, simulation.accelerator
    level = chip.levels[chip.level]
    exits = [_exit(simulation, k) for k in range(simulation.workload.n_segments)]
    return {
        "accelerator": chip.name,
        "pe_arrays": [
            catalogue[index].label
            for catalogue, index in zip(chip.catalogues, simulation.allocation, strict=True)
        ],
        "objective": simulation.objective,
        "mode": simulation.mode,
        "weights": simulation.weights,
        "level": level.name,
        "volts": level.volts,
        "clock_hz": chip.clock_hz,
        "area_mm2": simulation.area_mm2,
        "weight_memory_bits": int(costs.weight_memory_bits),
        "activation_memory_bits": int(costs.activation_memory_bits),
        "worst_case": {key: value for key, value in exits[-1].items() if key != "exit"},
        "exits": exits,
        "layers": [_layer(simulation, i) for i in range(simulation.workload.n_layers)],
    }


def _exit(simulation: Simulation, k: int) -> dict[str, Any]:
    costs, report = simulation.costs, simulation.layers
    n = int(np.searchsorted(simulation.workload.segment, k, side="right"))
    return {
        "exit": k,
        "latency_cycles": float(costs.latency_cycles[0, k]),
        "latency_s": float(costs.latency_s[0, k]),
        "energy_pj": float(costs.energy_pj[0, k]),
        "energy_j": float(costs.energy_j[0, k]),
        **_by_level(costs.level_names, costs.energy_by_level_pj[0, k]),
        **_by_operand(report.operand_energy_pj[:n].sum(axis=0), float(report.other_energy_pj[:n].sum())),
        "cores": [
            {"core": name, "layers": layers, "latency_cycles": cycles, "energy_pj": energy}
            for name, (layers, cycles, energy) in report.by_core(n).items()
        ],
    }


def _layer(simulation: Simulation, i: int) -> dict[str, Any]:
    workload, report = simulation.workload, simulation.layers
    return {
        "name": report.names[i],
        "segment": int(workload.segment[i]),
        "head": bool(workload.head[i]),
        "core": report.core[i],
        "pe_array": report.pe_array[i],
        "spatial": report.spatial[i],
        "macs": int(report.macs[i]),
        "start_cycle": float(report.start_cycle[i]),
        "latency_cycles": float(report.latency_cycles[i]),
        "energy_pj": float(report.energy_pj[i]),
        **_by_level(report.level_names, report.energy_by_level_pj[i]),
        **_by_operand(report.operand_energy_pj[i], float(report.other_energy_pj[i])),
    }


def _by_level(names: tuple[str, ...], values: np.ndarray) -> dict[str, float]:
    return {f"energy_{name}_pj": float(value) for name, value in zip(names, values, strict=True)}


def _by_operand(values: np.ndarray, other: float) -> dict[str, float | None]:
    found = {f"energy_operand_{operand.name.lower()}_pj": float(values[operand]) for operand in Operand}
    found["energy_operand_none_pj"] = other
    return {key: value if math.isfinite(value) else None for key, value in found.items()}
