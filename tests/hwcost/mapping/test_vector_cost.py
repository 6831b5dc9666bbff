"""Pooling and addition derived by hand."""

from __future__ import annotations

import pytest

from hwcost import load_accelerator
from hwcost.chip.accelerator import Accelerator
from hwcost.mapping.timing import ENERGY_LEVELS
from hwcost.mapping.vector_cost import vector_costs
from hwcost.workload import Layer, Op, Workload


@pytest.fixture(scope="module")
def quad() -> Accelerator:
    return load_accelerator("edge_tpu_quad")


def costs(quad: Accelerator, layer: Layer) -> tuple[float, dict[str, float]]:
    source = Layer("before", Op.CONV, k=layer.g, c=3, ox=layer.ox, oy=layer.oy)
    sources = (0, 0) if layer.op == Op.ADD else (0,)
    rows = Workload.from_layers([source, Layer(**{**layer.__dict__, "sources": sources})]).cost_rows()[1:]
    latency, energy = vector_costs(quad.vector_cores[quad.vector_core_index(layer.op)], rows)
    return float(latency[0]), dict(zip(ENERGY_LEVELS, energy[0].tolist(), strict=True))


def test_pooling(quad: Accelerator) -> None:
    # 16 channels, 8x8 windows to 4x4: 2 x 3 x 3 passes an output position on 8 x 3 x 3 units
    layer = Layer("p", Op.POOL, g=16, ox=4, oy=4, fx=8, fy=8, stride=8, weight_bits=0)
    latency, energy = costs(quad, layer)
    assert latency == 2 * 3 * 3 * 16 + 1
    assert energy["mac"] == pytest.approx(16 * 16 * 64 * 0.1)
    reads = 16 * 1024 * 8 / 576 * 60
    writes = 16 * 16 * 8 / 64 * 75
    assert energy["sram"] == pytest.approx(reads + writes, rel=1e-3)  # reads are charged in granules


def test_addition(quad: Accelerator) -> None:
    layer = Layer("s", Op.ADD, g=24, ox=32, oy=32, weight_bits=0)
    latency, energy = costs(quad, layer)
    assert latency == 24 * 1024 / 64 + 1
    assert energy["mac"] == pytest.approx(24 * 1024 * 0.1)
    assert energy["sram"] == pytest.approx(2 * 24 * 1024 * 8 / 1024 * 60 + 24 * 1024 * 8 / 512 * 75)


def test_sixteen_bit_additions_wait_for_the_port(quad: Accelerator) -> None:
    narrow, _ = costs(quad, Layer("s", Op.ADD, g=24, ox=32, oy=32, weight_bits=0))
    wide, _ = costs(
        quad, Layer("s", Op.ADD, g=24, ox=32, oy=32, weight_bits=0, input_bits=16, output_bits=16)
    )
    assert wide - 1 == 2 * (narrow - 1)
