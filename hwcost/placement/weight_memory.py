"""The memory that weights can wait in on a core."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hwcost.chip.accelerator import Accelerator
from hwcost.chip.core import ComputeCore
from hwcost.chip.memory import Memory
from hwcost.mapping.loops import Operand
from hwcost.placement.design_costs import COLUMN
from hwcost.placement.routes import LEVEL_NAMES
from hwcost.rounding import round_up
from hwcost.workload import IntArray, Op

Array = np.ndarray


def weight_memory(core: ComputeCore) -> Memory | None:
    """The outermost memory of a core's own for weights; None where it has only registers for them."""
    chain = [core.memories[i] for i in core.chain(Operand.W)]
    return next(
        (memory for memory in reversed(chain) if not memory.shared and memory.level != "register"), None
    )


def weight_bits(rows: IntArray) -> Array:
    """Size of the weights of layers: rows without their last axis; 0 where a layer has none."""
    weighted = (rows[..., COLUMN["op"]] == Op.CONV) | (rows[..., COLUMN["op"]] == Op.LINEAR)
    elements = np.prod([rows[..., COLUMN[name]] for name in ("g", "k", "c", "fx", "fy")], axis=0)
    return np.asarray(np.where(weighted, elements * rows[..., COLUMN["weight_bits"]], 0), dtype=np.float64)


def weight_room_bits(accelerator: Accelerator, rows: IntArray) -> Array:
    """What the weight memory of each core can hold of weights: (n_designs or 1, n_cores).

    Where it also holds activations, the largest inputs and outputs of a layer are kept free.

    Args:
        accelerator: Whose cores.
        rows: (n_designs or 1, n_layers, n_columns).
    """
    weighted = weight_bits(rows) > 0

    def largest(sizes: tuple[str, ...], bits: str) -> Array:
        elements = np.prod([rows[..., COLUMN[name]] for name in (*sizes, bits)], axis=0)
        return np.where(weighted, elements, 0).astype(np.float64)

    inputs = largest(("b", "g", "c", "ix", "iy"), "input_bits")
    outputs = largest(("b", "g", "k", "ox", "oy"), "output_bits")
    room = np.zeros((len(rows), accelerator.n_compute_cores))
    for i, core in enumerate(accelerator.compute_cores):
        memory = weight_memory(core)
        if memory is not None:
            taken = inputs * (Operand.I in memory.operands) + outputs * (Operand.O in memory.operands)
            room[:, i] = np.maximum(memory.size_bits - taken.max(axis=1), 0)
    return room


@dataclass(frozen=True, eq=False)
class WeightLoads:
    """Bringing weights from DRAM into the weight memory of a core, before the layer runs.

    Attributes:
        cycles: (n_designs or 1, n_layers, n_cores).
        energy_pj: By level: (n_designs or 1, n_layers, n_cores, n_levels).
    """

    cycles: Array
    energy_pj: Array


def weight_loads(accelerator: Accelerator, bits: Array) -> WeightLoads:
    """Loads of weights of so many bits: (n_designs or 1, n_layers)."""
    n_cores = accelerator.n_compute_cores
    dram = accelerator.dram
    cycles = np.zeros((*bits.shape, n_cores))
    energy = np.zeros((*bits.shape, n_cores, len(LEVEL_NAMES)))
    for i, core in enumerate(accelerator.compute_cores):
        memory = weight_memory(core)
        if memory is None:
            continue
        cycles[..., i] = round_up(bits / min(dram.read_bits_per_cycle, memory.write_bits_per_cycle))
        read, write = dram.read_granule_bits, memory.write_granule_bits
        energy[..., i, LEVEL_NAMES.index(dram.level)] += round_up(bits / read) * read * dram.read_pj_per_bit
        energy[..., i, LEVEL_NAMES.index(memory.level)] += (
            round_up(bits / write) * write * memory.write_pj_per_bit
        )
    return WeightLoads(cycles, energy)
