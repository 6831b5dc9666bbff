"""Moving activations between cores, and the network's input from DRAM."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hwcost.chip.accelerator import Accelerator
from hwcost.chip.core import ComputeCore, VectorCore
from hwcost.chip.link import Link
from hwcost.chip.memory import Memory
from hwcost.mapping.loops import Operand
from hwcost.rounding import round_up
from hwcost.workload import IntArray, Op, Workload

Array = np.ndarray
# Levels of the breakdown of a whole network, in this order. Leakage is no cost of a layer or a move: it is added to
# what takes time.
LEVEL_NAMES = ("mac", "register", "sram", "dram", "link", "leakage")


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


@dataclass(frozen=True, eq=False)
class _Route:
    """Everything about moves from one kind of core to another but the amount; free moves have infinite width.

    Attributes:
        bits_per_cycle: (n_from, n_to).
        read_granule: Bits a read is charged in: (n_from, n_to, 1).
        write_granule: Likewise for the write.
        read_pj: Energy per bit at its level: (n_from, n_to, n_levels).
        write_pj: Likewise for the write.
        link_pj: Likewise for the link.
    """

    bits_per_cycle: Array
    read_granule: Array
    write_granule: Array
    read_pj: Array
    write_pj: Array
    link_pj: Array


class Transfers:
    """Costs of moving tensors on one accelerator.

    A tensor that stays on its core costs nothing. It is read from the sender's activation memory, crosses the
    link and is written into the receiver's: bits / slowest of the three, in cycles. Where one of the two memories
    is DRAM (the network's input; cores whose activations live there) there is no link between them, and between
    two cores that both keep activations in DRAM nothing moves: their layers have paid.
    """

    def __init__(self, accelerator: Accelerator) -> None:
        self._accelerator = accelerator
        self._routes: dict[tuple[Op | None, Op], _Route] = {}

    def costs(self, workload: Workload, layer: int, source: int) -> TransferCosts:
        """Cost of moving the output of layer `source` (-1: the network's input) to where `layer` runs."""
        bits = workload.input_bits[layer] if source < 0 else workload.output_bits[source]
        found = self.costs_of_bits(workload, layer, source, np.array([bits]))
        return TransferCosts(found.latency_cycles[0], found.energy_pj[0])

    def costs_of_bits(self, workload: Workload, layer: int, source: int, bits: IntArray) -> TransferCosts:
        """The same for elements of `bits` (n,): arrays (n, n_from, n_to) and (n, n_from, n_to, n_levels)."""
        elements = workload.input_elements[layer] if source < 0 else workload.output_elements[source]
        kind = None if source < 0 else Op(workload.op[source])
        key = kind, Op(workload.op[layer])
        if key not in self._routes:
            self._routes[key] = self._route(*key)
        route = self._routes[key]
        moved = (elements * bits.astype(np.float64))[:, None, None]
        cycles = round_up(moved / route.bits_per_cycle)
        moved = moved[..., None]
        read = round_up(moved / route.read_granule) * route.read_granule * route.read_pj
        write = round_up(moved / route.write_granule) * route.write_granule * route.write_pj
        return TransferCosts(cycles, read + write + moved * route.link_pj)

    def _route(self, sender_op: Op | None, receiver_op: Op) -> _Route:
        receivers = cores_for(self._accelerator, receiver_op)
        senders = cores_for(self._accelerator, sender_op) if sender_op is not None else (None,)
        shape = (len(senders), len(receivers))
        route = _Route(
            np.full(shape, np.inf),
            np.ones((*shape, 1)),
            np.ones((*shape, 1)),
            *(np.zeros((*shape, len(LEVEL_NAMES))) for _ in range(3)),
        )
        for i, sender in enumerate(senders):
            for j, receiver in enumerate(receivers):
                origin = _home(sender, Operand.O) if sender else self._accelerator.dram
                if sender is None:
                    self._connect(route, (i, j), origin, _home(receiver, Operand.I), self._accelerator.link)
                elif sender.name != receiver.name:
                    link = self._accelerator.link_between(sender.name, receiver.name)
                    self._connect(route, (i, j), origin, _home(receiver, Operand.I), link)
        return route

    @staticmethod
    def _connect(route: _Route, at: tuple[int, int], origin: Memory, target: Memory, link: Link) -> None:
        in_dram = (origin.shared, target.shared)
        if all(in_dram):
            return
        widths = [origin.read_bits_per_cycle, target.write_bits_per_cycle]
        route.read_granule[at], route.write_granule[at] = origin.read_granule_bits, target.write_granule_bits
        route.read_pj[(*at, LEVEL_NAMES.index(origin.level))] = origin.read_pj_per_bit
        route.write_pj[(*at, LEVEL_NAMES.index(target.level))] = target.write_pj_per_bit
        if not any(in_dram):
            widths.append(link.bits_per_cycle)
            route.link_pj[(*at, LEVEL_NAMES.index("link"))] = link.pj_per_bit
        route.bits_per_cycle[at] = min(widths)
