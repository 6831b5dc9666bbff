"""A simulation as tables for people."""

from __future__ import annotations

from hwcost.mapping.loops import Operand
from hwcost.simulation import Simulation

_OPERANDS = {Operand.W: "weights", Operand.I: "inputs", Operand.O: "outputs"}


def simulation_text(simulation: Simulation) -> str:
    """Tables of layers, exits, cores and operands, and what memory, area and clock are."""
    parts = (_layers(simulation), _exits(simulation), _cores(simulation), _operands(simulation))
    return "\n\n".join("\n".join(lines) for lines in (*parts, _footer(simulation)))


def _layers(simulation: Simulation) -> list[str]:
    report = simulation.layers
    lines = [
        f"{'layer':18s}{'core':14s}{'array':10s}{'unrolled':20s}{'MACs':>12s}{'cycles':>11s}{'energy pJ':>15s}"
    ]
    lines += [
        f"{name:18s}{report.core[i]:14s}{report.pe_array[i]:10s}{report.spatial[i]:20s}{report.macs[i]:12d}"
        f"{report.latency_cycles[i]:11.0f}{report.energy_pj[i]:15.0f}"
        for i, name in enumerate(report.names)
    ]
    return lines


def _exits(simulation: Simulation) -> list[str]:
    costs = simulation.costs
    # levels in which nothing is used are left out
    used = [i for i in range(len(costs.level_names)) if costs.energy_by_level_pj[0, -1, i] > 0]
    heads = "".join(f"{costs.level_names[i] + ' pJ':>15s}" for i in used)
    lines = [f"{'up to exit':12s}{'cycles':>11s}{'us':>10s}{'energy pJ':>15s}{'uJ':>10s}{heads}"]
    last = simulation.workload.n_segments - 1
    for k in range(last + 1):
        by_level = "".join(f"{costs.energy_by_level_pj[0, k, i]:15.0f}" for i in used)
        label = f"{k} (worst)" if k == last else str(k)
        lines.append(
            f"{label:12s}{costs.latency_cycles[0, k]:11.0f}{costs.latency_s[0, k] * 1e6:10.1f}"
            f"{costs.energy_pj[0, k]:15.0f}{costs.energy_j[0, k] * 1e6:10.2f}{by_level}"
        )
    return lines


def _cores(simulation: Simulation) -> list[str]:
    report = simulation.layers
    lines = [f"{'core':14s}{'layers':>8s}{'cycles':>11s}{'energy pJ':>15s}"]
    lines += [
        f"{name:14s}{n:8d}{cycles:11.0f}{energy:15.0f}"
        for name, (n, cycles, energy) in report.by_core().items()
    ]
    return lines


def _operands(simulation: Simulation) -> list[str]:
    report = simulation.layers
    totals = report.operand_energy_pj.sum(axis=0)
    lines = [f"{'operand':14s}{'energy pJ':>15s}"]
    lines += [f"{name:14s}{totals[operand]:15.0f}" for operand, name in _OPERANDS.items()]
    lines.append(
        f"{'other':14s}{report.other_energy_pj.sum():15.0f}  (MACs, transfers between cores, leakage)"
    )
    return lines


def _footer(simulation: Simulation) -> list[str]:
    costs, chip = simulation.costs, simulation.accelerator
    level = chip.levels[chip.level]
    at = f"level {level.name!r}, {level.volts:g} V and " if len(chip.levels) > 1 else ""
    area = simulation.area_mm2
    overlap = ["cores overlap: cycles of a layer are what it adds to the end of all before it"]
    return [
        *(overlap if simulation.mode == "fused" else []),
        f"{chip.name}: {simulation.mode}, weights {simulation.weights}, mapped for {simulation.objective}; "
        f"{at}an assumed {chip.clock_hz / 1e6:g} MHz",
        f"memory for weights {int(costs.weight_memory_bits) / 8192:.1f} KiB, for activations at once "
        f"{int(costs.activation_memory_bits) / 8192:.1f} KiB; "
        f"{'area not described' if area is None else f'area {area:.3g} mm2'}",
    ]
