"""Layers cut over cores in plain Python: which core owns each channel, and what every pair of cores exchanges."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction

# latency, energy, DRAM cycles of so many channels of a layer on a core
PartCost = Callable[[int, int, int], tuple[float, float, float]]


@dataclass(frozen=True)
class OracleTensor:
    """A layer's output (or the network's input): bits of a channel."""

    channels: int
    bits_per_channel: int


@dataclass(frozen=True)
class OracleMemories:
    """Widths in bits per cycle and energy per bit of the activation memories, links and DRAM of a system."""

    read_width: dict[str, float]
    write_width: dict[str, float]
    read_pj: dict[str, float]
    write_pj: dict[str, float]
    link_width: float
    link_pj: float
    granule: int


def owners(channels: int, pes: list[int]) -> list[int]:
    """Core of every channel when cores share a layer in proportion to `pes`, in units of a sixteenth or so."""
    unit = math.ceil(channels / 16)
    n_units = math.ceil(channels / unit)
    found: list[int] = []
    for core in range(len(pes)):
        end = math.floor(Fraction(sum(pes[: core + 1]), sum(pes)) * n_units + Fraction(1, 2)) * unit
        found += [core] * (min(end, channels) - len(found))
    return found


def layer_cost(layer: int, cores: list[int], part: PartCost) -> tuple[float, float]:
    """Latency and energy of a layer whose channel c runs on `cores[c]`."""
    parts = [part(layer, core, cores.count(core)) for core in sorted(set(cores))]
    latency = max(max(cost[0] for cost in parts), sum(cost[2] for cost in parts))
    return latency, sum(cost[1] for cost in parts)


def exchange(
    tensor: OracleTensor, made: list[str], needed: dict[str, set[int]], memories: OracleMemories
) -> tuple[float, float]:
    """Cycles and energy of bringing channels, made at `made[c]`, to all places that need them."""
    sent: dict[tuple[str, str], int] = {}
    for place, channels in needed.items():
        for channel in channels:
            if made[channel] != place:
                pair = made[channel], place
                sent[pair] = sent.get(pair, 0) + tensor.bits_per_channel
    links: dict[frozenset[str], float] = {}
    reads: dict[str, float] = {}
    writes: dict[str, float] = {}
    energy = 0.0
    for (a, b), bits in sent.items():
        width = min(memories.read_width[a], memories.write_width[b])
        if "dram" not in (a, b):
            width = min(width, memories.link_width)
            energy += bits * memories.link_pj
        links[frozenset((a, b))] = links.get(frozenset((a, b)), 0.0) + math.ceil(bits / width)
        reads[a] = reads.get(a, 0.0) + bits
        writes[b] = writes.get(b, 0.0) + bits
        charged = math.ceil(bits / memories.granule) * memories.granule
        energy += charged * (memories.read_pj[a] + memories.write_pj[b])
    cycles = max(links.values(), default=0.0)
    for place, bits in reads.items():
        cycles = max(cycles, math.ceil(bits / memories.read_width[place]))
    for place, bits in writes.items():
        cycles = max(cycles, math.ceil(bits / memories.write_width[place]))
    return cycles, energy
