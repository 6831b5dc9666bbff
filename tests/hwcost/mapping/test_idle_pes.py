"""Mappers that are free to leave PEs idle."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from hwcost import load_accelerator
from hwcost.chip.core import ComputeCore, PeArray
from hwcost.mapping.layer_mapping import describe_mapping
from hwcost.mapping.mapper import map_layers
from hwcost.mapping.objective import OBJECTIVES, scores
from hwcost.mapping.spatial import enumerate_spatial
from hwcost.workload import Layer, Op, Workload
from tests.hwcost.mapping.strategies import layers

PRESETS = ("edge_tpu_quad", "tpu_like", "tesla_npu_like")
SIZES = st.lists(st.integers(1, 6), min_size=4, max_size=4)


def score(core: ComputeCore, layer: Layer, sizes: list[int], objective: str) -> float:
    rows = Workload.from_layers([layer]).cost_rows()
    costs = map_layers(core, rows, np.array([sizes[: len(core.dimensions)]]), objective)
    return float(scores(costs.latency_cycles, costs.energy_pj.sum(axis=1), objective)[0][0])


@settings(max_examples=30, deadline=None, derandomize=True)
@given(
    preset=st.sampled_from(PRESETS),
    layer=layers(),
    sizes=SIZES,
    more=st.lists(st.integers(0, 3), min_size=4, max_size=4),
    objective=st.sampled_from(OBJECTIVES),
)
def test_more_pes_never_cost_more(
    preset: str, layer: Layer, sizes: list[int], more: list[int], objective: str
) -> None:
    # not only the MAC-bound latency: a larger array can do all that a smaller one does
    core = replace(load_accelerator(preset).compute_cores[0], idle_pes=True)
    larger = [size + extra for size, extra in zip(sizes, more, strict=True)]
    assert score(core, layer, larger, objective) <= score(core, layer, sizes, objective) * (1 + 1e-9)


@settings(max_examples=30, deadline=None, derandomize=True)
@given(preset=st.sampled_from(PRESETS), layer=layers(), sizes=SIZES, objective=st.sampled_from(OBJECTIVES))
def test_idle_pes_are_used_where_that_is_better(
    preset: str, layer: Layer, sizes: list[int], objective: str
) -> None:
    full = load_accelerator(preset).compute_cores[0]
    free = replace(full, idle_pes=True)
    assert score(free, layer, sizes, objective) <= score(full, layer, sizes, objective) * (1 + 1e-9)


def test_ten_channels_on_eight_pes_take_five_and_five() -> None:
    core = replace(load_accelerator("edge_tpu_quad").compute_cores[0], idle_pes=True)
    row = Workload.from_layers([Layer("pw", Op.CONV, k=10, c=1, ox=4, oy=4)]).cost_rows()[0]
    mapping = describe_mapping(core, row, PeArray((8, 1, 4, 4)), "latency")
    assert mapping.spatial_label == "K5 OX4 OY4"
    assert mapping.mac_cycles == 2


def test_splits_do_not_depend_on_the_array() -> None:
    core = load_accelerator("tpu_like").compute_cores[0]
    sizes = np.array([[1, 1, 20, 7, 1, 1, 1, 1]])

    def splits(array: tuple[int, int]) -> set[tuple[int, ...]]:
        found = enumerate_spatial(sizes, np.array([array]), core.dimensions, idle=True)
        return {tuple(row) for row in found.unroll.tolist()}

    # 20 over at most 9: 7 7 6, 5 5 5 5, 4, 3, 2, 1; 7 over at most 3: 3 3 1, 2, 1
    assert splits((9, 3)) == {(k, c) for k in (7, 5, 4, 3, 2, 1) for c in (3, 2, 1)}
    assert splits((9, 3)) < splits((12, 3)) < splits((12, 8))
