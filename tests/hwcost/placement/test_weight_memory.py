"""Room for weights, and what loading them costs."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from hwcost.chip.accelerator_file import load_accelerator
from hwcost.mapping.loops import Operand
from hwcost.placement.routes import LEVEL_NAMES
from hwcost.placement.weight_memory import weight_bits, weight_loads, weight_memory, weight_room_bits
from hwcost.workload import Layer, Op, Workload

LAYERS = Workload.from_layers(
    [
        Layer("conv", Op.CONV, k=4, c=3, ox=8, oy=8, fx=3, fy=3, weight_bits=5),
        Layer("dw", Op.CONV, g=4, ox=8, oy=8, fx=3, fy=3, weight_bits=2, sources=(0,)),
        Layer("pool", Op.POOL, g=4, fx=8, fy=8, stride=8, weight_bits=0, sources=(1,)),
    ]
)


def test_bits_are_counted_by_hand() -> None:
    assert weight_bits(LAYERS.cost_rows()).tolist() == [4 * 3 * 9 * 5, 4 * 9 * 2, 0]


def test_registers_are_no_room() -> None:
    assert weight_memory(load_accelerator("tpu_quad").compute_cores[0]) is None
    memory = weight_memory(load_accelerator("edge_tpu_quad").compute_cores[0])
    assert memory is not None
    assert memory.name == "weight_sram"


def test_activations_in_the_same_memory_have_precedence() -> None:
    accelerator = load_accelerator("edge_tpu_quad")
    rows = LAYERS.cost_rows()[None]
    assert weight_room_bits(accelerator, rows).tolist() == [[262_144] * 4]
    core = accelerator.compute_cores[0]
    memories = [m for m in core.memories if m.name != "weight_sram"]
    shared = tuple(
        replace(m, operands=(*m.operands, Operand.W)) if m.name == "activation_sram" else m for m in memories
    )
    accelerator = replace(accelerator, compute_cores=(replace(core, memories=shared),))
    # the depth-wise layer has 4 maps of 8 x 8 bytes at both ends, the first layer 3 and 4
    assert weight_room_bits(accelerator, rows).tolist() == [[16_777_216 - 2 * 4 * 64 * 8]]


def test_a_load_reads_dram_and_writes_the_memory() -> None:
    loads = weight_loads(load_accelerator("edge_tpu_quad"), np.array([[1000.0]]))
    # 1000 bits are 15.6 words of 64: 16 cycles, 1024 bits charged
    assert loads.cycles[0, 0].tolist() == [16] * 4
    energy = dict(zip(LEVEL_NAMES, loads.energy_pj[0, 0, 0], strict=True))
    assert energy["dram"] == pytest.approx(16 * 1000)
    assert energy["sram"] == pytest.approx(1024 / 512 * 52.01)
    assert sum(energy.values()) == pytest.approx(energy["dram"] + energy["sram"])
