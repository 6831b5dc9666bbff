"""The mapping chosen for one layer on one array, spelled out so that it can be checked by walking it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hwcost.chip.core import ComputeCore, PeArray
from hwcost.mapping.candidates import Candidates
from hwcost.mapping.loops import Loop, Operand
from hwcost.mapping.mapper import map_layers, spell_out
from hwcost.mapping.timing import ENERGY_LEVELS, flow_energy_pj, port_cycles
from hwcost.workload import IntArray


@dataclass(frozen=True)
class Access:
    """Traffic of one operand through one side of one memory, over the whole layer.

    Attributes:
        memory: Name of the memory.
        operand: W, I or O.
        direction: `read` or `write`.
        towards_pe: Whether the other end are the PEs.
        bits_per_event: Per instance and event (average over edge tiles).
        instances: Instances that take part (average).
        events: How often.
        energy_pj: Charged for it.
    """

    memory: str
    operand: str
    direction: str
    towards_pe: bool
    bits_per_event: float
    instances: float
    events: float
    energy_pj: float

    @property
    def total_bits(self) -> float:
        """Bits over all instances and events."""
        return self.bits_per_event * self.instances * self.events


@dataclass(frozen=True)
class LayerMapping:
    """How a layer runs on an array and what it costs there.

    Attributes:
        spatial: Per array dimension its name, the loop it unrolls and the PEs used.
        temporal: Loops in time and their iterations, innermost first; iterations of 1 are left out.
        held: Per (memory name, operand letter) how many entries of `temporal`, from the innermost, are held there.
        accesses: All traffic.
        latency_cycles: Of the layer, without transfers between cores.
        energy_pj: By level.
        level_names: Names of the levels.
        mac_cycles: Time the PEs need: the product of the loops in time, or more (compute models).
        fill_cycles: Before the first MAC.
        drain_cycles: Behind the last MAC.
        port_cycles: Busy cycles by `memory.port`.
    """

    spatial: tuple[tuple[str, str, int], ...]
    temporal: tuple[tuple[str, int], ...]
    held: dict[tuple[str, str], int]
    accesses: tuple[Access, ...]
    latency_cycles: float
    energy_pj: tuple[float, ...]
    level_names: tuple[str, ...]
    mac_cycles: float
    fill_cycles: float
    drain_cycles: float
    port_cycles: dict[str, float]

    @property
    def spatial_label(self) -> str:
        """Unrolled loops, e.g. `K8 C8 OX4 OY4`; dimensions with one PE in use are left out."""
        return " ".join(f"{loop}{unroll}" for _, loop, unroll in self.spatial if unroll > 1)


def describe_mapping(core: ComputeCore, row: IntArray, array: PeArray, objective: str) -> LayerMapping:
    """Spells out the best mapping of a layer.

    Args:
        core: The core.
        row: One row of `Workload.cost_rows()`.
        array: The array the core is built with.
        objective: latency, energy or edp.
    """
    return describe_mappings(core, row[None, :], np.array([array.sizes], dtype=np.int64), objective)[0]


def describe_mappings(
    core: ComputeCore, rows: IntArray, arrays: IntArray, objective: str
) -> list[LayerMapping]:
    """Spells out the best mapping of each row; arguments as for `hwcost.mapping.mapper.map_layers`."""
    described: dict[int, LayerMapping] = {}
    for index, found in spell_out(core, map_layers(core, rows, arrays, objective).winners):
        for chosen, row in enumerate(index.tolist()):
            described[row] = layer_mapping(core, found, chosen)
    return [described[row] for row in range(len(rows))]


def layer_mapping(core: ComputeCore, found: Candidates, chosen: int) -> LayerMapping:
    """One candidate, whether it is the best or not.

    Args:
        core: The core.
        found: Candidates that were spelled out.
        chosen: Index of the one meant.
    """
    job = found.nests.job[chosen]
    spatial = found.jobs.spatial

    def one(values: np.ndarray) -> float:
        return float(values[chosen])

    loops = found.nests.loop[:, chosen]
    factors = np.rint(found.nests.factor[:, chosen]).astype(np.int64)
    used = np.flatnonzero(factors > 1)
    accesses = tuple(
        Access(
            core.memories[flow.memory].name,
            flow.operand.name,
            "write" if flow.write else "read",
            flow.towards_pe,
            one(flow.bits),
            one(flow.instances),
            one(flow.events),
            one(flow_energy_pj(core, flow)),
        )
        for flow in found.traffic.flows
        if one(flow.events) > 0
    )
    return LayerMapping(
        spatial=tuple(
            (dimension.name, Loop(int(loop)).name, int(unroll))
            for dimension, loop, unroll in zip(
                core.dimensions, spatial.loop[job], spatial.unroll[job], strict=True
            )
        ),
        temporal=tuple((Loop(int(loops[i])).name, int(factors[i])) for i in used),
        held={
            (core.memories[m].name, Operand(operand).name): int((used < prefix[chosen]).sum())
            for (m, operand), prefix in found.tiling.prefix.items()
        },
        accesses=accesses,
        latency_cycles=one(found.latency_cycles),
        energy_pj=tuple(float(value) for value in found.energy_pj[chosen]),
        level_names=ENERGY_LEVELS,
        mac_cycles=one(found.nest.compute_cycles),
        fill_cycles=one(found.traffic.fill_cycles),
        drain_cycles=one(found.traffic.drain_cycles),
        port_cycles={
            f"{core.memories[m].name}.{side}": one(cycles)
            for (m, side), cycles in port_cycles(core, found.traffic).items()
        },
    )
