"""Activations that are to stay on the chip."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest

from hwcost import Accelerator, evaluate, layer_report, load_accelerator
from hwcost.capacity import activations_fit, check_activations_fit
from hwcost.chip.core import ComputeCore
from hwcost.errors import OfframpError
from hwcost.networks import early_exit_workload, load_backbone, uniform_precision
from hwcost.workload import Layer, Op, Workload


def test_the_largest_layer_that_does_not_fit_is_named() -> None:
    workload = early_exit_workload(load_backbone("paper"), (), ("gap",), uniform_precision(12), 128, 10)
    # 192 channels in and 192 out at 128x128: 6144 KiB of 2048
    with pytest.raises(OfframpError, match=r"'b4.depthwise'.*2048 KiB.*6144 KiB.*dram"):
        check_activations_fit(load_accelerator("edge_tpu_quad"), workload)
    check_activations_fit(load_accelerator("edge_tpu_quad_dram"), workload)


def layer(channels: int) -> Workload:
    """64 channels in and some out at 128x128: 8 Mbit and 131072 bits for each one out; a core has 16 Mbit."""
    return Workload.from_layers([Layer("l", Op.CONV, k=channels, c=64, ox=128, oy=128)])


def test_exactly_full_is_allowed() -> None:
    quad = load_accelerator("edge_tpu_quad")
    check_activations_fit(quad, layer(64))
    with pytest.raises(OfframpError):
        check_activations_fit(quad, layer(65))


def test_inputs_and_outputs_in_memories_of_their_own_need_not_fit_together() -> None:
    core = load_accelerator("edge_tpu_quad").compute_cores[0]
    sram = next(memory for memory in core.memories if memory.name == "activation_sram")
    parts = [
        replace(sram, name=operand.name, operands=(operand,), size_bits=sram.size_bits / 2)
        for operand in sram.operands
    ]
    rest = [memory for memory in core.memories if memory.name != "activation_sram"]
    apart = replace(core, memories=(*rest[:-1], *parts, rest[-1]))
    assert [bool(activations_fit(apart, layer(k).cost_rows())[0]) for k in (1, 64, 65)] == [True, True, False]
    # less out leaves no room for more in
    shared = replace(core, memories=(*rest[:-1], sram, rest[-1]))
    wide = Workload.from_layers([Layer("l", Op.CONV, k=1, c=65, ox=128, oy=128)]).cost_rows()
    assert activations_fit(shared, wide).all()
    assert not activations_fit(apart, wide).any()


def with_one_small_core() -> Accelerator:
    """The heterogeneous system with 128 KiB of activation memory on the core for depth-wise layers."""
    chip = load_accelerator("heterogeneous_quad")

    def shrunk(core: ComputeCore) -> ComputeCore:
        memories = tuple(
            replace(memory, size_bits=128 * 8192) if memory.name == "activation_sram" else memory
            for memory in core.memories
        )
        return replace(core, memories=memories)

    cores = tuple(shrunk(core) if core.name == "depthwise" else core for core in chip.compute_cores)
    return replace(chip, compute_cores=cores)


@pytest.mark.parametrize("objective", ["latency", "energy", "edp"])
def test_a_layer_runs_only_where_its_activations_fit(objective: str) -> None:
    small, chip = with_one_small_core(), load_accelerator("heterogeneous_quad")
    workload = early_exit_workload(load_backbone("paper"), (0, 4), ("fc",) * 3, uniform_precision(12), 32, 10)
    allocation = np.array(chip.default_allocation)
    fits = {core.name: activations_fit(core, workload.cost_rows()) for core in small.compute_cores}
    assert not fits["depthwise"][workload.has_weights].all()
    assert fits["depthwise"][workload.has_weights].any()
    report = layer_report(workload, small, allocation, objective)
    for i in np.flatnonzero(workload.has_weights):
        assert fits[report.core[i]][i]
    assert "depthwise" in report.core
    with_all, with_less = (
        evaluate(workload, accelerator, allocation[None, :], objective) for accelerator in (chip, small)
    )
    values = {
        "latency": [c.worst_latency_cycles[0] for c in (with_all, with_less)],
        "energy": [c.energy_pj[0, -1] for c in (with_all, with_less)],
        "edp": [c.worst_latency_cycles[0] * c.energy_pj[0, -1] for c in (with_all, with_less)],
    }[objective]
    assert all(a <= b * (1 + 1e-9) for a, b in itertools.pairwise(values))
