"""Cycles and energy of candidates from their flows."""

from __future__ import annotations

import numpy as np

from hwcost.chip.core import ComputeCore
from hwcost.chip.memory import MEMORY_LEVELS
from hwcost.mapping.loops import Operand
from hwcost.mapping.nest import Nest
from hwcost.mapping.spatial import SpatialMappings, skew_cycles
from hwcost.mapping.traffic import Flow, Traffic
from hwcost.rounding import round_up

Array = np.ndarray
# Levels of a core's energy breakdown, in this order.
ENERGY_LEVELS = ("mac", *MEMORY_LEVELS)

# `mac_energy_pj` of a core whose energy scales with precision is that of 8 x 8 bits.
REFERENCE_BIT_PRODUCT = 64.0

# A port: memory index and what it serves.
Port = tuple[int, str]


def port_of(core: ComputeCore, flow: Flow) -> Port:
    """The port a flow goes through; a register has ports of its own towards the PEs."""
    memory = core.memories[flow.memory]
    side = "pe_" if flow.towards_pe and memory.level == "register" else ""
    if memory.shared_port and not side:
        return flow.memory, "shared"
    return flow.memory, side + ("write" if flow.write else "read")


def _width(core: ComputeCore, flow: Flow) -> float:
    memory = core.memories[flow.memory]
    return memory.write_bits_per_cycle if flow.write else memory.read_bits_per_cycle


def port_cycles(core: ComputeCore, traffic: Traffic) -> dict[Port, Array]:
    """Cycles each port is busy, all flows of an instance together: (n,)."""
    busy: dict[Port, Array] = {}
    for flow in traffic.flows:
        port = port_of(core, flow)
        busy[port] = busy.get(port, 0.0) + flow.bits * flow.events / _width(core, flow)
    return busy


def latency_cycles(core: ComputeCore, nest: Nest, spatial: SpatialMappings, traffic: Traffic) -> Array:
    """L = first fill + MAC cycles + worst port stall + last drain + systolic drain: (n,)."""
    total = nest.compute_cycles
    busy: dict[Port, Array] = {}
    late: dict[Port, Array] = {}
    for flow in traffic.flows:
        port, width = port_of(core, flow), _width(core, flow)
        cycles = flow.bits / width
        # what moves before the first or after the last MAC does not compete with the rest
        inside = cycles * flow.events - np.minimum(flow.hidden_bits / width, cycles * flow.events)
        busy[port] = busy.get(port, 0.0) + inside
        excess = np.maximum(cycles - flow.window, 0.0)
        repeats = flow.events if flow.towards_pe else np.maximum(flow.events - 1, 0.0)
        late[port] = late.get(port, 0.0) + excess * repeats
    for (upper, _), stall in traffic.first_tile_stall.items():
        port = (upper, "shared" if core.memories[upper].shared_port else "read")
        late[port] = late[port] + stall
    worst = np.zeros_like(total)
    for port, cycles in busy.items():
        worst = np.maximum(worst, np.maximum(cycles - total, late[port]))
    pipeline = nest.per_candidate(skew_cycles(core, spatial))
    result: Array = round_up(traffic.fill_cycles + total + worst + traffic.drain_cycles + pipeline)
    return result


def flow_energy_pj(core: ComputeCore, flow: Flow) -> Array:
    """Energy of a flow: every access is charged in whole granules of the port."""
    memory = core.memories[flow.memory]
    granule = memory.write_granule_bits if flow.write else memory.read_granule_bits
    per_bit = memory.write_pj_per_bit if flow.write else memory.read_pj_per_bit
    charged = round_up(flow.bits / granule) * granule
    energy: Array = charged * per_bit * flow.instances * flow.events
    return energy


def energy_pj(core: ComputeCore, mac_pj: Array, traffic: Traffic) -> Array:
    """Energy by level of `ENERGY_LEVELS`: (n, n_levels); `mac_pj` is that of all MACs (n,)."""
    levels = [np.zeros_like(mac_pj) for _ in ENERGY_LEVELS]
    levels[0] = mac_pj
    for flow in traffic.flows:
        level = ENERGY_LEVELS.index(core.memories[flow.memory].level)
        levels[level] = levels[level] + flow_energy_pj(core, flow)
    return np.stack(levels, axis=1)


def mac_energy_pj(core: ComputeCore, macs: Array, weight_bits: Array, input_bits: Array) -> Array:
    """Energy of all MACs of layers, as the core's `mac_energy_scaling` says: (n,)."""
    energy: Array = macs * core.mac_energy_pj
    if core.mac_energy_scaling == "bit_product":
        energy = energy * (weight_bits * input_bits / REFERENCE_BIT_PRODUCT)
    return energy


def operand_energy_pj(core: ComputeCore, traffic: Traffic) -> Array:
    """Energy of the memories by operand W, I, O: (n, 3)."""
    parts = [
        sum(flow_energy_pj(core, f) for f in traffic.flows if f.operand == operand) for operand in Operand
    ]
    return np.stack(parts, axis=1)


def dram_cycles(core: ComputeCore, traffic: Traffic, n: int) -> Array:
    """Cycles the busiest port of the shared DRAM is busy, 0 without it: (n,)."""
    busiest = np.zeros(n)
    for (m, _), cycles in port_cycles(core, traffic).items():
        if core.memories[m].shared:
            busiest = np.maximum(busiest, cycles)
    return busiest
