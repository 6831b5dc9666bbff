"""Latency of a walked layer: ports, fill, drain and stalls, event by event.

The conventions are those of docs/cost-model.md (section 7); nothing is shared with ``hwcost``.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass, field
from fractions import Fraction

from hwcost.chip.memory import Memory
from tests.reference.tile_moves import Flow, stays
from tests.reference.tile_nest import Indices, depends
from tests.reference.tile_walker import Walk


@dataclass
class Port:
    """What goes through one port of one instance of a memory, in cycles."""

    busy: Fraction = Fraction(0)
    worst_busy: Fraction = Fraction(0)
    outside: Fraction = Fraction(0)  # of `busy`, during fill and drain
    late: Fraction = Fraction(0)  # first tile behind the PEs, and events that take longer than they may


@dataclass
class Clock:
    """Latency and its parts, in cycles."""

    walk: Walk
    fill: int = 0
    drain: int = 0
    systolic: int = 0
    ports: dict[str, Port] = field(default_factory=dict)

    @property
    def stall(self) -> Fraction:
        """Of the worst port."""
        n = self.walk.mac_cycles
        return max((max(p.busy - p.outside - n, p.late) for p in self.ports.values()), default=Fraction(0))

    @property
    def latency_cycles(self) -> int:
        """As the document defines it."""
        stall = max(Fraction(0), self.stall)
        return math.ceil(self.fill + self.walk.mac_cycles + stall + self.drain + self.systolic)

    @property
    def bound_cycles(self) -> Fraction:
        """No schedule is faster: every MAC has its cycle and every port moves its bits."""
        return max(Fraction(self.walk.mac_cycles), *(p.busy for p in self.ports.values()))


def clock(walk: Walk) -> Clock:
    """Times a walked layer."""
    result = Clock(walk)
    spatial = {name: unroll for name, _, unroll in walk.nest.mapping.spatial}
    result.systolic = sum(spatial[name] - 1 for name in walk.nest.core.systolic_dimensions)
    for flow in walk.flows:
        port = result.ports.setdefault(_port_name(flow), Port())
        cycles = flow.average_bits / flow.width
        port.busy += flow.events * cycles
        port.worst_busy += Fraction(flow.worst_instance_bits, flow.width)
        # the first fill or the last drain of a tile are accounted for on their own
        counted = flow.windows if flow.towards_pe else flow.windows[1:]
        port.late += sum((max(Fraction(0), cycles - window) for window in counted), Fraction(0))
    for operand in ("I", "W"):
        _fill(result, operand)
    _drain(result)
    return result


def _port_name(flow: Flow) -> str:
    if flow.towards_pe and flow.memory.level == "register":
        return f"{flow.memory.name}.pe_{'write' if flow.write else 'read'}"
    return _side(flow.memory, flow.write)


def _side(memory: Memory, write: bool) -> str:
    return f"{memory.name}.{'shared' if memory.shared_port else 'write' if write else 'read'}"


def _pass(result: Clock, operand: str, source: Memory, target: Memory, prefix: int) -> int:
    """Moves one average tile between two memories while no MAC runs; returns its cycles."""
    walk = result.walk
    bits = walk.nest.bits(operand)
    read = walk.average.elements(source, operand, prefix) * bits / source.read_bits_per_cycle
    written = walk.average.elements(target, operand, prefix) * bits / target.write_bits_per_cycle
    result.ports[_side(source, False)].outside += read
    result.ports[_side(target, True)].outside += written
    return math.ceil(max(read, written))


def _fill_prefix(result: Clock, operand: str, lower: Memory) -> int:
    """What must be in a memory before the first MAC: one word of a stream, the whole tile otherwise."""
    nest = result.walk.nest
    return 0 if nest.chain(operand)[0].level == "register" else nest.prefix(lower, operand)


def _fill(result: Clock, operand: str) -> None:
    chain = result.walk.nest.chain(operand)
    for i in reversed(range(len(chain) - 1)):
        result.fill += _pass(result, operand, chain[i + 1], chain[i], _fill_prefix(result, operand, chain[i]))
        if chain[0].level == "register":
            lag = _first_lag(result, operand, chain[i], chain[i + 1])
            result.ports[_side(chain[i + 1], False)].late += lag


def _drain(result: Clock) -> None:
    chain = result.walk.nest.chain("O")
    for i in range(len(chain) - 1):
        result.drain += _pass(result, "O", chain[i], chain[i + 1], 0)


def _first_lag(result: Clock, operand: str, lower: Memory, upper: Memory) -> Fraction:
    """How far the first tile of a stream falls behind the PEs, its first word (in the fill) left out.

    Weights are followed word by word. Windows of inputs overlap: they are looked at whenever a loop of the tile has
    run through once; all its words have been asked for when the last new one has.
    """
    walk = result.walk
    nest = walk.nest
    prefix = nest.prefix(lower, operand)
    first = stays(nest, operand, prefix)[0]
    words = [w for w in stays(nest, operand, 0) if not w.seen and w.end <= first.end]

    def cycles(slots: int) -> Fraction:
        return walk.average.elements(upper, operand, slots) * nest.bits(operand) / upper.read_bits_per_cycle

    if operand == "W":
        return max(number * cycles(0) - word.start for number, word in enumerate(words))
    worst = Fraction(0)
    for j in range(1, prefix + 1):
        if depends(operand, nest.slots[j - 1][0]):
            last = [word for word in words if not any(word.at[j:])][-1]
            worst = max(worst, cycles(j) - cycles(0) - last.start)
    return worst


def deadline_bound_cycles(timed: Clock) -> Fraction:
    """No order of transfers is faster, whatever is prefetched: what is needed in a cycle has passed the port before.

    Weights are needed when the PEs first use them in a stay of their tile; what is loaded before the first MAC is
    needed in cycle 0. Counted with the elements the tiles really have.
    """
    walk = timed.walk
    nest = walk.nest
    worst = Fraction(0)
    chain = nest.chain("W")
    words = stays(nest, "W", 0)
    for lower, upper in itertools.pairwise(chain):
        width = upper.read_bits_per_cycle
        passed = Fraction(0)
        inputs = nest.chain("I")
        if upper in inputs[1:]:
            below = inputs[inputs.index(upper) - 1]
            passed += (
                walk.average.elements(upper, "I", _fill_prefix(timed, "I", below)) * nest.bits("I") / width
            )
        tiles = iter(stays(nest, "W", nest.prefix(lower, "W")))
        tile = next(tiles)
        here: set[Indices] = set()
        for word in words:
            while word.start >= tile.end:
                tile = next(tiles)
                here.clear()
            if word.tile in here:
                continue
            here.add(word.tile)
            elements = nest.elements(upper, "W", word.at, 0)
            passed += Fraction(max(elements, default=0) * nest.bits("W"), width)
            worst = max(worst, passed + walk.mac_cycles - word.start)
    return worst
