"""A layer walked cycle by cycle: which tile is in which memory, and what moves when it changes.

Shares no code and no closed form with ``hwcost``. Two accounts are kept side by side: ``walked`` (every tile with
the elements it really has, padding and idle PEs left out) and ``charged`` (as the document says: the events that
were walked, each with the bits of the average tile).
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, field

from hwcost.chip.core import ComputeCore
from hwcost.chip.memory import Memory
from hwcost.mapping.layer_mapping import LayerMapping
from hwcost.workload import Layer
from tests.reference.tile_moves import Flow, stays
from tests.reference.tile_nest import LOOPS, AverageTile, Indices, LargestTile, Nest, depends


@dataclass
class Walk:
    """Everything counted on the way through one layer."""

    nest: Nest
    average: AverageTile
    largest: LargestTile
    flows: list[Flow] = field(default_factory=list)
    mac_cycles: int = 0
    macs: int = 0
    # most bits ever in one instance of a memory
    occupancy: dict[str, int] = field(default_factory=dict)

    def totals(self, account: str) -> dict[tuple[str, str, str, bool], float]:
        """Sum of an attribute of the flows by (memory, operand, direction, towards the PEs)."""
        sums: dict[tuple[str, str, str, bool], float] = {}
        for flow in self.flows:
            if flow.events:
                sums[flow.key] = sums.get(flow.key, 0) + getattr(flow, account)
        return sums

    def energy_pj(self, account: str) -> dict[str, float]:
        """By level; ``account`` is ``charged`` or ``walked``."""
        levels = {"mac": self.macs * self.nest.core.mac_energy_pj}
        for flow in self.flows:
            levels[flow.memory.level] = levels.get(flow.memory.level, 0.0) + getattr(
                flow, f"{account}_energy_pj"
            )
        return levels


def walk(core: ComputeCore, layer: Layer, mapping: LayerMapping) -> Walk:
    """Walks a layer under a mapping."""
    nest = Nest(layer.unpadded(), core, mapping)
    result = Walk(nest, AverageTile(nest), LargestTile(nest))
    _count_macs(result)
    for operand in ("W", "I", "O"):
        chain = nest.chain(operand)
        _walk_pes(result, operand, chain[0])
        for i in range(len(chain) - 1):
            _walk_link(result, operand, chain[i], chain[i + 1], accumulates=i == 0)
    _count_occupancy(result)
    return result


def _count_macs(result: Walk) -> None:
    nest = result.nest
    for at in nest.steps():
        result.macs += math.prod(nest.active_pes(loop, at) for loop in LOOPS)
        result.mac_cycles += 1


def _flow(
    result: Walk,
    memory: Memory,
    operand: str,
    write: bool,
    prefix: int,
    towards_pe: bool = False,
    finished: bool = True,
) -> Flow:
    flow = Flow(memory, operand, write, towards_pe, finished)
    flow.average_bits = result.average.elements(memory, operand, prefix) * result.nest.bits(operand, finished)
    flow.average_instances = result.average.instances(memory)
    result.flows.append(flow)
    return flow


def _move(result: Walk, flow: Flow, at: Indices, prefix: int, window: int) -> None:
    bits = result.nest.bits(flow.operand, flow.finished)
    held = result.nest.elements(flow.memory, flow.operand, at, prefix)
    flow.events += 1
    flow.windows.append(window)
    flow.walked_bits += sum(n * count * bits for n, count in held.items())
    flow.walked_granules += sum(math.ceil(n * bits / flow.granule) * count for n, count in held.items())
    flow.worst_instance_bits += max(held, default=0) * bits


def _walk_pes(result: Walk, operand: str, memory: Memory) -> None:
    nest = result.nest
    if operand != "O":
        reads = _flow(result, memory, operand, False, 0, towards_pe=True)
        for stay in stays(nest, operand, 0):
            _move(result, reads, stay.at, 0, stay.end - stay.start)
        return
    writes = _flow(result, memory, "O", True, 0, towards_pe=True, finished=False)
    reads = _flow(result, memory, "O", False, 0, towards_pe=True, finished=False)
    begun: set[Indices] = set()
    tells = [j for j, (loop, _) in enumerate(nest.slots) if depends("O", loop)]
    for at in nest.steps():
        word = tuple(at[j] for j in tells)
        # an accumulator register is read every cycle, a larger memory only where there is a sum already
        if memory.level == "register" or word in begun:
            _move(result, reads, at, 0, 1)
        begun.add(word)
        _move(result, writes, at, 0, 1)


def _walk_link(result: Walk, operand: str, lower: Memory, upper: Memory, accumulates: bool) -> None:
    nest = result.nest
    prefix = nest.prefix(lower, operand)

    def pair(source: Memory, target: Memory, finished: bool) -> tuple[Flow, Flow]:
        return (
            _flow(result, source, operand, False, prefix, finished=finished),
            _flow(result, target, operand, True, prefix, finished=finished),
        )

    done, spilled, back = pair(lower, upper, True), pair(lower, upper, False), pair(upper, lower, False)
    down = pair(upper, lower, True)
    doubled = is_double_buffered(result, lower)
    # the PEs of a systolic array are through with a tile one after another, the last one so much later
    unrolled = {name: unroll for name, _, unroll in nest.mapping.spatial}
    later = sum(unrolled[name] - 1 for name in nest.core.systolic_dimensions if name in lower.per_dimensions)
    for stay in stays(nest, operand, prefix):
        whole = stay.end - stay.start
        window = whole if doubled else min(whole, stay.last_pass + later)
        moves = down if operand != "O" else spilled if stay.returns else done
        for flow in (*moves, *(back if operand == "O" and stay.seen else ())):
            _move(result, flow, stay.at, prefix, window)


def tile_bits(result: Walk, memory: Memory, operand: str) -> int:
    """Bits of an element as the memory has to hold it.

    Outputs are unfinished where they accumulate and where tiles come that will be fetched back.
    """
    nest = result.nest
    chain = nest.chain(operand)
    place = chain.index(memory)
    finished = operand != "O" or (
        place > 0 and not any(s.returns for s in stays(nest, "O", nest.prefix(chain[place - 1], "O")))
    )
    return nest.bits(operand, finished)


def is_double_buffered(result: Walk, memory: Memory) -> bool:
    """Whether the largest tiles of all its operands fill at most half of a memory."""
    filled = 0
    for operand in [o.name for o in memory.operands]:
        prefix = result.nest.prefix(memory, operand)
        filled += result.largest.elements(memory, operand, prefix) * tile_bits(result, memory, operand)
    return math.isinf(memory.size_bits) or 2 * filled <= memory.size_bits


def _count_occupancy(result: Walk) -> None:
    nest = result.nest
    for memory in nest.core.memories:
        most = 0
        for operand in [o.name for o in memory.operands]:
            prefix = nest.prefix(memory, operand)
            sizes: Counter[int] = Counter()
            for stay in stays(nest, operand, prefix):
                sizes |= nest.elements(memory, operand, stay.at, prefix)
            most += max(sizes, default=0) * tile_bits(result, memory, operand)
        result.occupancy[memory.name] = most
