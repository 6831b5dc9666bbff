"""The published Stream rows, and the systems they are run on."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from hwcost.errors import OfframpError
from hwcost.mapping.loops import Loop, Operand
from hwcost.mapping.mapper import map_layers
from hwcost.validation.stream import stream_accelerator, validate_stream
from hwcost.workload import Layer, Op, Workload


def test_every_ratio_is_within_a_factor_of_two_and_networks_keep_their_order(reference_dir: Path) -> None:
    found = validate_stream(reference_dir / "stream_networks.csv", reference_dir / "layers.csv")
    for part in found["configs"].values():
        assert 0.5 <= part["latency_ratio"] <= 2
        assert 0.5 <= part["energy_ratio"] <= 2
    assert found["same_order"]


def test_a_depthwise_layer_runs_at_one_mac_a_cycle_on_a_k_by_c_array() -> None:
    core = stream_accelerator("tpu_like_quad_core", "layer_fused", "table").compute_cores[0]
    layer = Workload.from_layers([Layer("dw", Op.CONV, g=32, ox=8, oy=8, fx=3, fy=3)])
    found = map_layers(core, layer.cost_rows(), np.array([core.default_array.sizes]), "latency")
    assert found.latency_cycles[0] >= 32 * 8 * 8 * 9
    assert all(Loop.G not in dimension.loops for dimension in core.dimensions)


@pytest.mark.parametrize(
    "name", ["edge_tpu_like_quad_core", "tpu_like_quad_core", "meta_prototype_quad_core"]
)
def test_weights_have_a_memory_on_the_chip_and_activations_their_home(name: str) -> None:
    for schedule, home in (("layer_fused", "sram"), ("layer_by_layer", "dram")):
        for core in stream_accelerator(name, schedule, "table").compute_cores:
            chain = [core.memories[i] for i in core.chain(Operand.W)]
            assert any(memory.level == "sram" for memory in chain)
            assert core.memories[core.chain(Operand.O)[-1]].level == home


@pytest.mark.parametrize(
    ("name", "schedule"), [("abacus_quad_core", "layer_fused"), ("tpu_like_quad_core", "at_random")]
)
def test_what_is_not_known_is_refused(name: str, schedule: str) -> None:
    with pytest.raises(OfframpError, match="table: "):
        stream_accelerator(name, schedule, "table")
