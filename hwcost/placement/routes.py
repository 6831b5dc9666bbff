"""What moving bits from one place to another takes; places are all cores of an accelerator and its DRAM."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hwcost.chip.accelerator import Accelerator
from hwcost.chip.core import ComputeCore, VectorCore
from hwcost.chip.memory import Memory
from hwcost.mapping.loops import Operand
from hwcost.rounding import round_up
from hwcost.workload import IntArray, Op

Array = np.ndarray
# Levels of the breakdown of a whole network, in this order. Leakage is no cost of a layer or a move: it is added to
# what takes time.
LEVEL_NAMES = ("mac", "register", "sram", "dram", "link", "leakage")


@dataclass(frozen=True, eq=False)
class Routes:
    """Moves between places: compute cores, then vector cores, then DRAM.

    A tensor is read from the sender's activation memory, crosses the link and is written into the receiver's. Where
    one of the two is DRAM its port takes the link's part; where both are, or both are one core, nothing moves.

    Attributes:
        bits_per_cycle: Slowest of read, link and write: (n_places, n_places); infinite where nothing moves.
        read_bits_per_cycle: Of each place's activation memory as a sender: (n_places,).
        write_bits_per_cycle: As a receiver: (n_places,).
        port: What a move occupies and others wait for: (n_places, n_places). One number for each pair of cores,
            `dram_port` for DRAM; -1 where nothing moves.
        dram_port: Number of DRAM's port, the last one.
        read_granule: Bits a read is charged in: (n_places, n_places).
        write_granule: Likewise for the write.
        read_pj: Energy per bit by level of `LEVEL_NAMES`: (n_places, n_places, n_levels).
        write_pj: Likewise for the write.
        link_pj: Likewise for the link.
    """

    bits_per_cycle: Array
    read_bits_per_cycle: Array
    write_bits_per_cycle: Array
    port: IntArray
    dram_port: int
    read_granule: Array
    write_granule: Array
    read_pj: Array
    write_pj: Array
    link_pj: Array

    @property
    def dram(self) -> int:
        """The place that DRAM is."""
        return len(self.port) - 1

    def cycles(self, bits: Array, sender: IntArray | int, receiver: IntArray | int) -> Array:
        """Cycles of moves; all arguments broadcast."""
        return round_up(bits / self.bits_per_cycle[sender, receiver])

    def energy_pj(self, bits: Array, sender: IntArray | int, receiver: IntArray | int) -> Array:
        """Energy of moves by level: the shape of the broadcast arguments and n_levels."""
        bits = np.asarray(bits, dtype=np.float64)[..., None]
        read = self.read_granule[sender, receiver][..., None]
        write = self.write_granule[sender, receiver][..., None]
        return (
            round_up(bits / read) * read * self.read_pj[sender, receiver]
            + round_up(bits / write) * write * self.write_pj[sender, receiver]
            + bits * self.link_pj[sender, receiver]
        )


def place_of(accelerator: Accelerator, op: Op) -> tuple[int, ...]:
    """Places that can run a kind of layer."""
    if op in (Op.CONV, Op.LINEAR):
        return tuple(range(accelerator.n_compute_cores))
    return (accelerator.n_compute_cores + accelerator.vector_core_index(op),)


def find_routes(accelerator: Accelerator) -> Routes:
    """All moves of an accelerator."""
    cores: list[ComputeCore | VectorCore] = [*accelerator.compute_cores, *accelerator.vector_cores]
    senders, receivers = [], []
    for core in cores:
        if isinstance(core, VectorCore):
            senders.append(core.memory)
            receivers.append(core.memory)
        else:
            senders.append(core.memories[core.chain(Operand.O)[-1]])
            receivers.append(core.memories[core.chain(Operand.I)[-1]])
    senders.append(accelerator.dram)
    receivers.append(accelerator.dram)
    n = len(senders)
    width = np.full((n, n), np.inf)
    port = np.full((n, n), -1)
    read_granule, write_granule = np.ones((n, n)), np.ones((n, n))
    read_pj, write_pj, link_pj = (np.zeros((n, n, len(LEVEL_NAMES))) for _ in range(3))
    dram_port = n * (n - 1) // 2
    for i, origin in enumerate(senders):
        for j, target in enumerate(receivers):
            in_dram = (origin.shared, target.shared)
            if i == j or all(in_dram):
                continue
            width[i, j] = min(origin.read_bits_per_cycle, target.write_bits_per_cycle)
            port[i, j] = dram_port
            read_granule[i, j], write_granule[i, j] = origin.read_granule_bits, target.write_granule_bits
            read_pj[i, j, LEVEL_NAMES.index(origin.level)] = origin.read_pj_per_bit
            write_pj[i, j, LEVEL_NAMES.index(target.level)] = target.write_pj_per_bit
            if not any(in_dram):
                link = accelerator.link_between(cores[i].name, cores[j].name)
                width[i, j] = min(width[i, j], link.bits_per_cycle)
                port[i, j] = max(i, j) * (max(i, j) - 1) // 2 + min(i, j)
                link_pj[i, j, LEVEL_NAMES.index("link")] = link.pj_per_bit
    return Routes(
        width, _widths(senders, "read"), _widths(receivers, "write"), port, dram_port, read_granule, write_granule,
        read_pj, write_pj, link_pj,
    )  # fmt: skip


def _widths(memories: list[Memory], direction: str) -> Array:
    return np.array([getattr(memory, f"{direction}_bits_per_cycle") for memory in memories], dtype=np.float64)
