"""Compares a mapping with a walk over its tiles.

Two comparisons. As charged: events are walked, each with the bits of the average tile, as the document counts edge
tiles: must agree with the simulator exactly. As walked: every tile with the elements it really has. That must agree
exactly too wherever edge tiles average out: always, also with sizes that do not divide, except

* inputs under padding: a tile is charged as if it lay inside the map, so the walk moves at most as much;
* memories with an instance per PE along a dimension that unrolls another tensor's loop unevenly (the first tile
  brings the full number of instances, the charge is the average of all): within the largest and the smallest of
  them over the average;
* a filter unrolled unevenly, where windows overlap in one tile and not in the next: the same bounds.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import pytest

from hwcost import load_accelerator
from hwcost.chip.core import ComputeCore, PeArray
from hwcost.chip.memory import Memory
from hwcost.mapping.candidates import all_candidates
from hwcost.mapping.jobs import Jobs
from hwcost.mapping.layer_mapping import LayerMapping, describe_mapping, layer_mapping
from hwcost.mapping.loops import Operand, loop_sizes
from hwcost.mapping.spatial import enumerate_spatial
from hwcost.mapping.systolic import ComputeForm
from hwcost.workload import Layer, Op, Workload
from tests.reference.tile_clock import Clock, clock, deadline_bound_cycles
from tests.reference.tile_moves import Flow
from tests.reference.tile_nest import LOOPS, Nest, depends
from tests.reference.tile_walker import Walk, walk

SMALLEST_SRAM_BITS = 512


def core_of(preset: str, shrink: int = 1, registers: int = 1) -> ComputeCore:
    """A core with smaller memories and larger registers; what is a home keeps its size."""
    core = load_accelerator(preset).compute_cores[0]
    homes = {core.chain(operand)[-1] for operand in Operand}

    def size(i: int, memory: Memory) -> float:
        if memory.level == "register":
            return memory.size_bits * registers
        return memory.size_bits if i in homes else max(memory.size_bits // shrink, SMALLEST_SRAM_BITS)

    memories = tuple(replace(memory, size_bits=size(i, memory)) for i, memory in enumerate(core.memories))
    return replace(core, memories=memories)


def describe(core: ComputeCore, layer: Layer, array: str, objective: str) -> LayerMapping:
    row = Workload.from_layers([layer]).cost_rows()[0]
    return describe_mapping(core, row, PeArray.parse(array), objective)


def fitting_mappings(core: ComputeCore, layer: Layer, array: str) -> list[Callable[[], LayerMapping]]:
    """Every mapping that fits, whatever the mapper would choose; spelled out when called."""
    rows = Workload.from_layers([layer]).cost_rows()
    sizes = np.array([PeArray.parse(array).sizes], dtype=np.int64)
    form = ComputeForm.of(core, rows, sizes)
    spatial = enumerate_spatial(loop_sizes(form.rows), sizes, form.dimensions)
    return [
        partial(layer_mapping, core, part, int(i))
        for part in all_candidates(core, Jobs.of(core, form, spatial), form.stream)
        for i in np.flatnonzero(np.isfinite(part.latency_cycles))
    ]


def describe_order(core: ComputeCore, layer: Layer, array: str, loops: list[str]) -> LayerMapping:
    """The first mapping that fits with a given order of the loops."""
    mappings = (spelled() for spelled in fitting_mappings(core, layer, array))
    return next(mapping for mapping in mappings if [loop for loop, _ in mapping.temporal] == loops)


def conv(
    k: int, c: int, side: int, window: int = 1, stride: int = 1, pad: bool = False, **more: Any
) -> Layer:
    """Square; without padding unless asked for; other fields of the layer by name."""
    covered = 0 if pad else (side - 1) * stride + window
    sizes = {"ox": side, "oy": side, "fx": window, "fy": window, "ix": covered, "iy": covered}
    named: dict[str, Any] = {**sizes, **more}
    return Layer("conv", Op.CONV, k=k, c=c, stride=stride, **named)


def depthwise(
    channels: int, side: int, window: int, stride: int = 1, pad: bool = False, **more: int
) -> Layer:
    return conv(1, 1, side, window, stride, pad, **{"g": channels, **more})


def linear(k: int, c: int, **more: Any) -> Layer:
    return replace(Layer("linear", Op.LINEAR, k=k, c=c), **more)


def check_charged(walked: Walk, mapping: LayerMapping) -> None:
    """MACs, cycles, events, bits and energy: equal."""
    layer = walked.nest.layer
    assert walked.macs == math.prod(walked.nest.size(loop) for loop in LOOPS)
    assert walked.mac_cycles == mapping.mac_cycles
    for account, attribute in (
        ("events", "events"),
        ("charged_bits", "total_bits"),
        ("charged_energy_pj", "energy_pj"),
    ):
        theirs: dict[tuple[str, str, str, bool], float] = {}
        for access in mapping.accesses:
            key = (access.memory, access.operand, access.direction, access.towards_pe)
            theirs[key] = theirs.get(key, 0.0) + getattr(access, attribute)
        ours = {key: float(value) for key, value in walked.totals(account).items()}
        assert theirs == pytest.approx(ours, rel=1e-9), (account, layer)
    levels = walked.energy_pj("charged")
    assert set(levels) <= set(mapping.level_names)
    expected = [levels.get(name, 0.0) for name in mapping.level_names]
    assert list(mapping.energy_pj) == pytest.approx(expected, rel=1e-9)


def check_latency(timed: Clock, mapping: LayerMapping) -> None:
    """Parts and sum of the latency: equal; never below a bound."""
    assert (timed.fill, timed.drain) == (mapping.fill_cycles, mapping.drain_cycles)
    busy = {name: float(port.busy) for name, port in timed.ports.items() if port.busy}
    assert {name: value for name, value in mapping.port_cycles.items() if value} == pytest.approx(busy)
    assert mapping.latency_cycles == timed.latency_cycles
    assert mapping.latency_cycles >= timed.bound_cycles
    pes = math.prod(unroll for _, _, unroll in mapping.spatial)
    assert mapping.latency_cycles >= timed.walk.macs / pes
    for name, port in timed.ports.items():
        # the instance that is never an edge moves most
        assert mapping.latency_cycles >= port.worst_busy, name


def unroll_range(nest: Nest, loop: str) -> tuple[float, float]:
    """Fewest and most PEs at work along a loop, over their average."""
    spans = [range(factor) if name == loop else range(1) for name, factor in nest.slots]
    active = [nest.active_pes(loop, at) for at in itertools.product(*spans)]
    average = sum(active) / len(active)
    return min(active) / average, max(active) / average


def uneven_loops(nest: Nest, flow: Flow) -> list[str]:
    """Loops whose edge tiles do not average out in a flow."""
    found = []
    for dimension, loop, unroll in nest.mapping.spatial:
        instances = dimension in flow.memory.per_dimensions and not depends(flow.operand, loop)
        filter_of_inputs = flow.operand == "I" and loop in ("FX", "FY")
        if nest.size(loop) % unroll and (instances or filter_of_inputs):
            found.append(loop)
    return found


def check_walked(walked: Walk, latency_cycles: float) -> None:
    """The real tiles against the charge, and against what they let be the fastest."""
    nest, layer = walked.nest, walked.nest.layer
    padded = any(
        extent < (outputs - 1) * layer.stride + window
        for extent, outputs, window in ((layer.ix, layer.ox, layer.fx), (layer.iy, layer.oy, layer.fy))
    )
    for flow in (flow for flow in walked.flows if flow.events):
        charged, moved = float(flow.charged_bits), flow.walked_bits
        ranges = [unroll_range(nest, loop) for loop in uneven_loops(nest, flow)]
        least, most = (math.prod(r[i] for r in ranges) for i in (0, 1))
        assert moved <= charged * most * (1 + 1e-9), flow.key
        if padded and flow.operand == "I":
            continue
        assert moved >= charged * least * (1 - 1e-9), flow.key
        if not ranges:
            # rounding up to granules: less than one for each event and instance, on either side
            granules = flow.events * flow.average_instances * math.ceil(flow.average_bits / flow.granule)
            unrolled = [u for d, _, u in nest.mapping.spatial if d in flow.memory.per_dimensions]
            assert abs(flow.walked_granules - granules) < flow.events * math.prod(unrolled)
    if not padded and all(nest.size(loop) % unroll == 0 for _, loop, unroll in nest.mapping.spatial):
        assert walked.energy_pj("walked") == pytest.approx(walked.energy_pj("charged"), rel=1e-9)
        assert latency_cycles >= deadline_bound_cycles(clock(walked))


def check_fits(walked: Walk) -> None:
    """The largest tiles, not the average ones, in every memory."""
    for memory in walked.nest.core.memories:
        assert walked.occupancy[memory.name] <= memory.size_bits, memory.name


def check(core: ComputeCore, layer: Layer, mapping: LayerMapping) -> None:
    walked = walk(core, layer, mapping)
    check_charged(walked, mapping)
    check_latency(clock(walked), mapping)
    check_walked(walked, mapping.latency_cycles)
    check_fits(walked)
