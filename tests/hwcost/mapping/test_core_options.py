"""What a core's description may choose: compute model, MAC energy by precision, double buffering."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from hwcost import load_accelerator
from hwcost.chip.core import ComputeCore, PeArray
from hwcost.errors import OfframpError
from hwcost.mapping.candidates import all_candidates
from hwcost.mapping.layer_mapping import LayerMapping, describe_mapping
from hwcost.mapping.mapper import map_layers
from hwcost.workload import Layer, Op, Workload
from tests.hwcost.mapping.strategies import jobs_of

LAYERS = (
    Layer("conv", Op.CONV, k=20, c=6, ox=9, oy=9, fx=3, fy=3),
    Layer("pointwise", Op.CONV, k=16, c=32, ox=8, oy=8, weight_bits=4),
    Layer("depthwise", Op.CONV, g=12, ox=8, oy=8, fx=3, fy=3),
    Layer("linear", Op.LINEAR, k=40, c=100),
)


def tpu(**changes: object) -> ComputeCore:
    core: ComputeCore = replace(load_accelerator("tpu_like").compute_cores[0], **changes)  # type: ignore[arg-type]
    return core


def row_of(layer: Layer) -> np.ndarray:
    return Workload.from_layers([layer]).cost_rows()[0]


def describe(core: ComputeCore, layer: Layer, array: tuple[int, ...] = (8, 4)) -> LayerMapping:
    return describe_mapping(core, row_of(layer), PeArray(array), "latency")


def with_wide_ports(core: ComputeCore) -> ComputeCore:
    return replace(
        core,
        memories=tuple(
            replace(memory, read_bits_per_cycle=10**9, write_bits_per_cycle=10**9) for memory in core.memories
        ),
    )


@pytest.mark.parametrize("layer", LAYERS, ids=lambda layer: layer.name)
@pytest.mark.parametrize(("dataflow", "loads"), [("ws", 2), ("is", 2), ("os", 1)])
def test_a_systolic_array_that_never_waits_takes_its_pipeline(
    layer: Layer, dataflow: str, loads: int
) -> None:
    core = with_wide_ports(tpu(compute_model=f"systolic_{dataflow}"))
    mapping = describe(core, layer)
    depth, positions = layer.c * layer.fx * layer.fy, layer.ox * layer.oy
    tall, wide, streamed = {
        "ws": (depth, layer.k, positions),
        "is": (depth, positions, layer.k),
        "os": (positions, layer.k, depth),
    }[dataflow]
    folds = math.ceil(tall / 8) * math.ceil(wide / 4)
    pipeline = layer.g * (folds * (loads * 8 + 4 + streamed - 2) - 1)
    assert mapping.mac_cycles == pipeline
    # a cycle at most for each of the links in and out
    assert pipeline <= mapping.latency_cycles <= pipeline + 5


@pytest.mark.parametrize("layer", LAYERS, ids=lambda layer: layer.name)
@pytest.mark.parametrize("dataflow", ["ws", "is", "os"])
def test_the_streamed_loop_runs_innermost(layer: Layer, dataflow: str) -> None:
    core = tpu(compute_model=f"systolic_{dataflow}")
    streamed = {"ws": "OX", "is": "K", "os": "C"}[dataflow]
    mapping = describe(core, layer)
    if streamed in [loop for loop, _ in mapping.temporal]:
        assert mapping.temporal[0][0] == streamed
    allowed = {"ws": ["C", "K"], "is": ["C", "OX"], "os": ["OX", "K"]}[dataflow]
    assert all(
        loop == one for (_, loop, unroll), one in zip(mapping.spatial, allowed, strict=True) if unroll > 1
    )


@pytest.mark.parametrize("dataflow", ["ws", "is", "os"])
def test_inputs_of_the_matrix_form_are_the_map_at_home(dataflow: str) -> None:
    layer = LAYERS[0].unpadded()
    mapping = describe(tpu(compute_model=f"systolic_{dataflow}"), layer)
    for access in mapping.accesses:
        if (access.memory, access.operand) == ("dram", "I"):
            assert access.bits_per_event <= layer.c * layer.ix * layer.iy * layer.input_bits


def test_systolic_models_need_rows_and_columns() -> None:
    with pytest.raises(OfframpError, match="two array dimensions"):
        replace(load_accelerator("edge_tpu_like").compute_cores[0], compute_model="systolic_ws")


def test_mac_energy_by_bit_product() -> None:
    # 4 x 8 bits: half the energy of 8 x 8
    row = row_of(LAYERS[1])[None, :]
    constant, scaled = (
        map_layers(tpu(mac_energy_scaling=one), row, np.array([[8, 4]]), "energy").energy_pj[0, 0]
        for one in ("constant", "bit_product")
    )
    assert constant == pytest.approx(16 * 32 * 64 * 0.04)
    assert scaled == pytest.approx(constant / 2)


def buffered(mode: str) -> ComputeCore:
    core = load_accelerator("edge_tpu_quad_dram").compute_cores[0]
    return replace(
        core,
        memories=tuple(
            replace(memory, double_buffering=mode, size_bits=memory.size_bits // 64)
            if memory.level == "sram"
            else memory
            for memory in core.memories
        ),
    )


@pytest.mark.parametrize("mode", ["always", "never"])
def test_prescribed_double_buffering_is_never_faster(mode: str) -> None:
    rows = np.stack([row_of(layer) for layer in LAYERS])
    arrays = np.tile([8, 8, 4, 4], (len(rows), 1))
    automatic, prescribed = (
        map_layers(buffered(one), rows, arrays, "latency").latency_cycles for one in ("auto", mode)
    )
    assert (automatic <= prescribed).all()


def test_always_leaves_half_and_never_overlaps() -> None:
    rows = np.stack([row_of(layer) for layer in LAYERS])
    arrays = np.tile([8, 8, 4, 4], (len(rows), 1))
    for mode in ("always", "never"):
        core = buffered(mode)
        prescribed = [i for i, memory in enumerate(core.memories) if memory.level == "sram"]
        for found in all_candidates(core, jobs_of(core, rows, arrays)[0]):
            for m in prescribed:
                double = found.tiling.double_buffered[m][found.tiling.fits]
                assert double.all() if mode == "always" else not double.any()
