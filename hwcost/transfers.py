"""Moving activations between cores, and the network's input from DRAM."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hwcost.accelerator import Accelerator
from hwcost.core import ComputeCore, VectorCore
from hwcost.loops import Operand
from hwcost.memory import Memory
from hwcost.vector_cost import charge
from hwcost.workload import Op, Workload

Array = np.ndarray
# Levels of the breakdown of a whole network, in this order.
LEVEL_NAMES = ("mac", "register", "sram", "dram", "link")


def cores_for(accelerator: Accelerator, op: Op) -> tuple[ComputeCore | VectorCore, ...]:
    """Cores that can run a kind of layer: all compute cores, or the vector core of the operation."""
    if op in (Op.CONV, Op.LINEAR):
        return accelerator.compute_cores
    return (accelerator.vector_cores[accelerator.vector_core_index(op)],)


def _home(core: ComputeCore | VectorCore, operand: Operand) -> Memory:
    if isinstance(core, VectorCore):
        return core.memory
    return core.memories[core.chain(operand)[-1]]


@dataclass(frozen=True, eq=False)
class TransferCosts:
    """Costs of bringing one source of a layer to the core that runs it.

    Attributes:
        latency_cycles: (n_from, n_to); n_from is 1 for the network's input.
        energy_pj: By level of `LEVEL_NAMES`: (n_from, n_to, n_levels).
    """

    latency_cycles: Array
    energy_pj: Array


def transfer_costs(accelerator: Accelerator, workload: Workload, layer: int, source: int) -> TransferCosts:
    """Cost of moving the output of layer `source` (-1: the network's input) to where `layer` runs.

    A tensor that stays on its core costs nothing. It is read from the sender's activation memory, crosses the
    link and is written into the receiver's: bits / slowest of the three, in cycles. Where one of the two memories
    is DRAM (the network's input; cores whose activations live there) there is no link between them, and between
    two cores that both keep activations in DRAM nothing moves: their layers have paid.
    """
    receivers = cores_for(accelerator, Op(workload.op[layer]))
    if source < 0:
        bits = float(workload.input_elements[layer] * workload.input_bits[layer])
        senders: tuple[ComputeCore | VectorCore, ...] = ()
    else:
        bits = float(workload.output_elements[source] * workload.output_bits[source])
        senders = cores_for(accelerator, Op(workload.op[source]))
    shape = (max(1, len(senders)), len(receivers))
    latency = np.zeros(shape)
    energy = np.zeros((*shape, len(LEVEL_NAMES)))
    for j, receiver in enumerate(receivers):
        target = _home(receiver, Operand.I)
        for i in range(shape[0]):
            origin = _home(senders[i], Operand.O) if senders else accelerator.dram
            stays = bool(senders) and senders[i].name == receiver.name
            if not stays:
                latency[i, j], energy[i, j] = _move(accelerator, origin, target, bits)
    return TransferCosts(latency, energy)


def _move(accelerator: Accelerator, origin: Memory, target: Memory, bits: float) -> tuple[float, Array]:
    """Cycles and energy by level of moving bits from one memory to another."""
    energy = np.zeros(len(LEVEL_NAMES))
    in_dram = (origin.level == "dram", target.level == "dram")
    if all(in_dram):
        return 0.0, energy
    widths = [origin.read_bits_per_cycle, target.write_bits_per_cycle]
    amount = np.array(bits)
    energy[LEVEL_NAMES.index(origin.level)] += charge(
        amount, origin.read_granule_bits, origin.read_pj_per_bit
    )
    energy[LEVEL_NAMES.index(target.level)] += charge(
        amount, target.write_granule_bits, target.write_pj_per_bit
    )
    if not any(in_dram):
        widths.append(accelerator.link.bits_per_cycle)
        energy[LEVEL_NAMES.index("link")] = bits * accelerator.link.pj_per_bit
    return float(np.ceil(bits / min(widths))), energy
