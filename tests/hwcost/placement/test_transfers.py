"""Moves between cores and from DRAM, derived by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from hwcost import load_accelerator
from hwcost.chip.link import Link, LinkBetween
from hwcost.placement.routes import LEVEL_NAMES
from hwcost.placement.transfers import Transfers
from hwcost.workload import Layer, Op, Workload

# 16 x 64 outputs of 4 bit
WORKLOAD = Workload.from_layers(
    [
        Layer("a", Op.CONV, k=16, c=3, ox=8, oy=8, output_bits=4),
        Layer("b", Op.CONV, k=8, c=16, ox=8, oy=8, input_bits=4, sources=(0,)),
        Layer("p", Op.POOL, g=8, ox=1, oy=1, fx=8, fy=8, stride=8, weight_bits=0, sources=(1,)),
    ]
)


def test_between_compute_cores_the_link_is_the_slowest() -> None:
    move = Transfers(load_accelerator("edge_tpu_quad")).costs(WORKLOAD, 1, 0)
    bits = 16 * 64 * 4
    assert move.latency_cycles.shape == (4, 4)
    assert (np.diag(move.latency_cycles) == 0).all()
    assert move.latency_cycles[0, 1] == bits / 32
    sram = move.energy_pj[0, 1, LEVEL_NAMES.index("sram")]
    assert sram == pytest.approx(bits / 2048 * (416.16 + 378.4))
    assert move.energy_pj[np.arange(4), np.arange(4)].sum() == 0


def test_the_network_input_comes_from_dram() -> None:
    move = Transfers(load_accelerator("edge_tpu_quad")).costs(WORKLOAD, 0, -1)
    bits = 3 * 64 * 8
    assert move.latency_cycles.tolist() == [[bits / 64] * 4]
    assert move.energy_pj[0, 0, LEVEL_NAMES.index("dram")] == pytest.approx(bits / 64 * 1000)
    assert move.energy_pj[0, 0, LEVEL_NAMES.index("sram")] == pytest.approx(bits / 2048 * 378.4)


def test_a_core_with_activations_in_dram_has_paid() -> None:
    single = Transfers(load_accelerator("edge_tpu_like"))
    assert single.costs(WORKLOAD, 0, -1).latency_cycles.tolist() == [[0.0]]
    assert single.costs(WORKLOAD, 1, 0).energy_pj.sum() == 0
    # pooling reads them from DRAM
    move = single.costs(WORKLOAD, 2, 1)
    assert move.latency_cycles.tolist() == [[8 * 64 * 8 / 64]]
    assert move.energy_pj[0, 0, LEVEL_NAMES.index("dram")] == pytest.approx(8 * 64 * 8 / 64 * 700)


def test_a_pair_with_a_link_of_its_own_uses_it() -> None:
    quad = load_accelerator("edge_tpu_quad")
    names = [core.name for core in quad.compute_cores]
    own = LinkBetween((names[1], names[3]), Link(128, 0.5))
    move = Transfers(replace(quad, links_between=(own,))).costs(WORKLOAD, 1, 0)
    bits = 16 * 64 * 4
    link = LEVEL_NAMES.index("link")
    for sender in range(4):
        for receiver in range(4):
            if sender == receiver:
                continue
            fast = {sender, receiver} == {1, 3}
            assert move.latency_cycles[sender, receiver] == bits / (128 if fast else 32)
            assert move.energy_pj[sender, receiver, link] == (bits * 0.5 if fast else 0)


def test_several_widths_of_one_tensor_at_once() -> None:
    transfers = Transfers(load_accelerator("edge_tpu_quad"))
    found = transfers.costs_of_bits(WORKLOAD, 1, 0, np.array([2, 4, 8]))
    assert found.latency_cycles[:, 0, 1].tolist() == [16 * 64 * b / 32 for b in (2, 4, 8)]
    one = transfers.costs(WORKLOAD, 1, 0)
    assert np.array_equal(found.latency_cycles[1], one.latency_cycles)
    assert np.array_equal(found.energy_pj[1], one.energy_pj)


@pytest.mark.parametrize("chip", ["edge_tpu_quad", "edge_tpu_like", "heterogeneous_quad"])
def test_what_is_remembered_is_that_of_the_tensor_asked_for(chip: str) -> None:
    # as many elements from DRAM, from a layer to a layer, and from a layer to the vector core
    layers = [
        Layer("a", Op.CONV, k=16, c=16, ox=8, oy=8),
        Layer("b", Op.CONV, k=16, c=16, ox=8, oy=8, sources=(0,)),
        Layer("sum", Op.ADD, g=16, ox=8, oy=8, weight_bits=0, sources=(0, 1)),
        Layer("c", Op.CONV, k=8, c=16, ox=8, oy=8, sources=(2,)),
        Layer("d", Op.CONV, k=8, c=8, ox=8, oy=8, sources=(3,)),
    ]
    workload = Workload.from_layers(layers)
    remembering = Transfers(load_accelerator(chip))
    asked = [(0, -1), (1, 0), (2, 0), (2, 1), (3, 2), (4, 3)]
    for widths in ((4, 8), (4,), (8,)):
        for layer, source in asked * 2:
            table = remembering.table(workload, layer, source, widths)
            for at, width in enumerate(widths):
                plain = Transfers(load_accelerator(chip)).costs_of_bits(
                    workload, layer, source, np.array([width])
                )
                assert np.array_equal(table.latency_cycles[:, :, at], plain.latency_cycles[0])
                assert np.array_equal(table.energy_pj[:, :, at], plain.energy_pj[0])
                assert np.allclose(table.total_pj[:, :, at], plain.energy_pj[0].sum(axis=-1), rtol=1e-12)
    assert len(remembering._tables) == 3 * 5  # 2 from 0 and from 1 are alike


def test_an_addition_brings_the_image_once_for_each_operand_that_is_the_image() -> None:
    layers = [
        Layer("a", Op.CONV, k=3, c=3, ox=8, oy=8),
        Layer("sum", Op.ADD, g=3, ox=8, oy=8, weight_bits=0, sources=(0, -1)),
    ]
    workload = Workload.from_layers(layers)
    move = Transfers(load_accelerator("edge_tpu_quad")).costs(workload, 1, -1)
    assert move.latency_cycles.tolist() == [[3 * 64 * 8 / 64]]
    # image, the convolution's output and the sum
    assert workload.activation_memory_bits == 3 * (3 * 64 * 8)
