"""Pooling and addition on a vector core."""

from __future__ import annotations

import numpy as np

from hwcost.chip.core import VectorCore
from hwcost.mapping.timing import ENERGY_LEVELS
from hwcost.rounding import round_up
from hwcost.workload import COST_COLUMNS, IntArray, Op

Array = np.ndarray


def _column(rows: IntArray, name: str) -> IntArray:
    column: IntArray = rows[:, COST_COLUMNS.index(name)]
    return column


def vector_costs(core: VectorCore, rows: IntArray) -> tuple[Array, Array]:
    """Costs of layers on a vector core.

    Units work on channels and window positions at once, one output position per pass. Latency is the number
    of passes or the busy time of the memory's ports, whichever is longer, and one cycle to write the last
    result. Every operand is read once per use and every result written once.

    Args:
        core: Which; all rows must be of its operation.
        rows: Rows of `Workload.cost_rows()`: (n, n_columns).

    Returns:
        Latency in cycles (n,) and energy in pJ by level of `ENERGY_LEVELS` (n, n_levels).
    """
    channels, ox, oy, b = (_column(rows, name) for name in ("g", "ox", "oy", "b"))
    fx, fy = _column(rows, "fx"), _column(rows, "fy")
    outputs = b * channels * ox * oy
    units = core.unit_sizes
    if core.op == Op.ADD:
        passes = -(-outputs // units[0])
        reads = 2 * outputs
        operations = outputs
    else:
        passes = -(-channels // units[0]) * -(-fx // units[1]) * -(-fy // units[2]) * b * ox * oy
        operations = reads = outputs * fx * fy
    memory = core.memory
    read_bits = reads * _column(rows, "input_bits")
    write_bits = outputs * _column(rows, "output_bits")
    read_cycles = read_bits / memory.read_bits_per_cycle
    write_cycles = write_bits / memory.write_bits_per_cycle
    busy = read_cycles + write_cycles if memory.shared_port else np.maximum(read_cycles, write_cycles)
    latency = round_up(np.maximum(passes, busy)) + 1
    energy = np.zeros((len(rows), len(ENERGY_LEVELS)))
    energy[:, ENERGY_LEVELS.index("mac")] = operations * core.operation_energy_pj
    energy[:, ENERGY_LEVELS.index(memory.level)] = charge(
        read_bits, memory.read_granule_bits, memory.read_pj_per_bit
    ) + charge(write_bits, memory.write_granule_bits, memory.write_pj_per_bit)
    return latency, energy


def charge(bits: Array, granule_bits: float, pj_per_bit: float) -> Array:
    """Energy of moving `bits` once, charged in whole granules."""
    energy: Array = round_up(bits / granule_bits) * granule_bits * pj_per_bit
    return energy
