"""Layers on cores against a walk over their tiles, cycle by cycle, in plain Python.

What is compared, and where edge tiles may differ, is said in ``oracle_checks``.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import replace

import pytest
from hypothesis import assume, given, reject, settings
from hypothesis import strategies as st

from hwcost.errors import OfframpError
from hwcost.mapping.loops import Loop
from hwcost.workload import Layer, Op
from tests.hwcost.oracle_checks import (
    check,
    check_charged,
    check_fits,
    conv,
    core_of,
    depthwise,
    describe,
    describe_order,
    fitting_mappings,
    linear,
)
from tests.reference.tile_nest import LOOPS, Nest
from tests.reference.tile_walker import walk

MOST_CYCLES = 700  # so that a walk takes a tenth of a second
PRESETS = (
    "edge_tpu_like",
    "edge_tpu_quad",
    "tpu_like",
    "eyeriss_like",
    "tesla_npu_like",
    "ascend_like",
    "meta_prototype",
)
HAND = [
    ("edge_tpu_like", "8x8x4x4", 1, conv(16, 16, 8, 3, output_bits=4)),
    ("edge_tpu_like", "8x8x4x4", 1, depthwise(20, 7, 3, 2, pad=True, weight_bits=4)),
    ("edge_tpu_like", "4x4x2x2", 4096, conv(12, 10, 7, 3, pad=True, input_bits=6)),
    ("edge_tpu_quad", "8x8x4x4", 1, conv(24, 40, 9, input_bits=4, output_bits=6)),
    ("edge_tpu_quad", "4x4x4x4", 512, conv(24, 16, 8, 3, 2, weight_bits=3)),
    ("edge_tpu_quad", "16x4x4x4", 512, linear(50, 130, weight_bits=2)),
    ("tpu_like", "16x16", 1, conv(16, 16, 4, 3)),
    ("tpu_like", "8x8", 16384, conv(20, 19, 5, 2, weight_bits=6, output_bits=2)),
    ("tpu_like", "4x8", 1, linear(40, 100, input_bits=3)),
    ("tpu_like", "8x8", 1, depthwise(17, 6, 5, pad=True)),
    ("eyeriss_like", "6x3", 64, conv(9, 6, 6, 3)),
    ("eyeriss_like", "4x5", 64, conv(9, 5, 6, 3, pad=True, weight_bits=4)),
    ("eyeriss_like", "7x3", 1, depthwise(12, 7, 3, 2, pad=True)),
    ("tesla_npu_like", "8x4x4", 16, conv(16, 12, 8, 3, b=2)),
    ("tesla_npu_like", "3x5x2", 64, conv(14, 11, 7, 1, 2, input_bits=2)),
    ("ascend_like", "4x4x2x2", 512, conv(16, 24, 4, 3, output_bits=16)),
    ("ascend_like", "3x5x2x3", 512, conv(6, 7, 5, 3, 3, g=2, output_bits=3)),
    ("meta_prototype", "8x2x4x4", 256, conv(24, 12, 8, 3)),
    ("meta_prototype", "5x3x3x2", 1024, linear(61, 47, b=3, weight_bits=4)),
]


@pytest.mark.parametrize(("preset", "array", "shrink", "layer"), HAND)
@pytest.mark.parametrize("objective", ["latency", "edp"])
def test_chosen_layers(preset: str, array: str, shrink: int, layer: Layer, objective: str) -> None:
    core = core_of(preset, shrink)
    check(core, layer, describe(core, layer, array, objective))


@st.composite
def small_layers(draw: st.DrawFn, even: bool = False) -> Layer:
    """A layer of any kind; `even`: sizes and steps are powers of two, and nothing is padded."""
    kind = draw(st.sampled_from(["conv", "depthwise", "pointwise", "grouped", "linear"]))
    channels = st.sampled_from([1, 2, 4, 8, 16]) if even else st.integers(1, 24)
    side = draw(st.sampled_from([1, 2, 4, 8]) if even else st.integers(1, 9))
    window = 1 if kind in ("pointwise", "linear") else draw(st.sampled_from([2, 4] if even else [2, 3, 5]))
    bits = st.sampled_from([2, 3, 4, 6, 8])
    more = {
        "weight_bits": draw(bits),
        "input_bits": draw(bits),
        "output_bits": draw(st.sampled_from([2, 4, 8, 16])),
        "b": draw(st.sampled_from([1, 1, 1, 2])),
    }
    k, c = draw(channels), draw(channels)
    if kind == "linear":
        return linear(2 * k, 4 * c, **more)
    stride = draw(st.sampled_from([1, 1, 2] if even else [1, 1, 2, 3]))
    pad = False if even else draw(st.booleans())
    if kind == "depthwise":
        return depthwise(k, side, window, stride, pad, **more)
    groups = draw(st.sampled_from([2, 4])) if kind == "grouped" else 1
    return conv(k, c, side, window, stride, pad, g=groups, **more)


def walkable(layer: Layer, sizes: list[int]) -> bool:
    macs = math.prod(getattr(layer, loop.lower()) for loop in LOOPS)
    return macs <= MOST_CYCLES * math.prod(sizes)


def check_any(
    preset: str, layer: Layer, sizes: list[int], shrink: int, registers: int, objective: str
) -> None:
    core = core_of(preset, shrink, registers)
    sizes = sizes[: len(core.dimensions)]
    assume(walkable(layer, sizes))
    try:
        mapping = describe(core, layer, "x".join(map(str, sizes)), objective)
    except OfframpError:  # shrunk too far
        reject()
    assume(mapping.mac_cycles <= MOST_CYCLES)
    check(core, layer, mapping)


@settings(max_examples=120, deadline=None, derandomize=True)
@given(
    preset=st.sampled_from(PRESETS),
    layer=small_layers(),
    sizes=st.lists(st.integers(1, 6), min_size=4, max_size=4),
    shrink=st.sampled_from([1, 64, 512, 4096]),
    registers=st.sampled_from([1, 1, 4]),
    objective=st.sampled_from(["latency", "energy", "edp"]),
)
def test_any_layer(
    preset: str, layer: Layer, sizes: list[int], shrink: int, registers: int, objective: str
) -> None:
    check_any(preset, layer, sizes, shrink, registers, objective)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    preset=st.sampled_from(PRESETS),
    layer=small_layers(even=True),
    sizes=st.lists(st.sampled_from([1, 2, 4]), min_size=4, max_size=4),
    shrink=st.sampled_from([1, 64, 512, 4096]),
    objective=st.sampled_from(["latency", "energy", "edp"]),
)
def test_sizes_that_divide(preset: str, layer: Layer, sizes: list[int], shrink: int, objective: str) -> None:
    check_any(preset, layer, sizes, shrink, 1, objective)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    preset=st.sampled_from(PRESETS),
    layer=small_layers(),
    sizes=st.lists(st.integers(1, 6), min_size=4, max_size=4),
    shrink=st.sampled_from([1, 64, 512, 4096]),
    registers=st.sampled_from([1, 4]),
    which=st.integers(0, 10**6),
)
def test_any_mapping(
    preset: str, layer: Layer, sizes: list[int], shrink: int, registers: int, which: int
) -> None:
    # not only those that are best: their stalls are longer
    core = core_of(preset, shrink, registers)
    sizes = sizes[: len(core.dimensions)]
    assume(walkable(layer, sizes))
    mappings = fitting_mappings(core, layer, "x".join(map(str, sizes)))
    assume(mappings)
    mapping = mappings[which % len(mappings)]()
    assume(mapping.mac_cycles <= MOST_CYCLES)
    check(core, layer, mapping)


def test_a_stream_is_there_when_first_used() -> None:
    # 36 words of 256 weights, 32 cycles each over DRAM, behind 144 cycles of inputs: the last one comes in cycle
    # 1296 at the earliest. OX, OY lie between it and the others: it is first used in MAC cycle 305 of 576, so 271
    # cycles follow, and 30 + 3 to leave the array.
    core, layer = core_of("tpu_like"), conv(32, 32, 4, 3)
    mapping = describe_order(core, layer, "16x16", ["FX", "FY", "C", "OX", "OY", "K"])
    assert mapping.latency_cycles == 144 + 36 * 32 + 271 + 30 + 3
    check(core, layer, mapping)


def test_a_second_stream_is_there_when_first_used() -> None:
    # the same with C above OX, OY
    core, layer = core_of("tpu_like"), conv(16, 32, 4, 3)
    check(core, layer, describe_order(core, layer, "16x16", ["FX", "FY", "OX", "OY", "C"]))


@pytest.mark.parametrize(
    ("c", "width", "behind"),
    [
        # 8 cycles an event, every 16: the last PE hands its output over 7 + 7 cycles after the first one
        (16, 64, 0),
        # 16 cycles an event, every 16: one more than there are from the first PE's hand-over on, in 7 of 8 events
        (16, 32, 7),
        # 8 cycles an event, every 4: the port is busy 64 cycles from cycle 4 on, 8 of them behind the last of 32 MACs
        (4, 64, 4 + 8 * 8 - 8 - 32),
    ],
)
def test_outputs_leave_a_systolic_array_one_after_another(c: int, width: int, behind: int) -> None:
    # OX | K on 8x8 PEs: 64 outputs of 8 bit for each of 8 rows, each summed up over C in its PE
    core = core_of("tpu_quad")
    rows, columns = (
        replace(d, loops=(loop,)) for d, loop in zip(core.dimensions, (Loop.OX, Loop.K), strict=True)
    )
    memories = tuple(
        replace(memory, write_bits_per_cycle=width) if memory.name == "activation_sram" else memory
        for memory in core.memories
    )
    core, layer = replace(core, dimensions=(rows, columns), memories=memories), conv(8, c, 8)
    mapping = describe_order(core, layer, "8x8", ["C", "OY"])
    # the first 8 weights come in a cycle, the others while they run; 14 cycles of skew
    assert mapping.latency_cycles == 1 + c * 8 + behind + 64 * 8 // width + 14
    check(core, layer, mapping)


def test_least_energy_among_mappings_that_fit() -> None:
    layer = conv(3, 6, 6, 3, 2, pad=True, g=2, weight_bits=4, input_bits=4, output_bits=2)
    core = core_of("eyeriss_like", 4096)
    by = {objective: describe(core, layer, "3x2", objective) for objective in ("latency", "energy")}
    assert by["latency"].latency_cycles <= by["energy"].latency_cycles < math.inf


@pytest.mark.parametrize("objective", ["latency", "energy", "edp"])
def test_a_layer_without_a_mapping_that_fits_is_refused(objective: str) -> None:
    # 5x5 positions at once: 75 sums of 16 bits and more are in the array, 512 bits in the memory they go through
    layer = conv(9, 12, 5, pad=True, weight_bits=4, input_bits=4, output_bits=16)
    with pytest.raises(OfframpError, match="fits no memory"):
        describe(core_of("ascend_like", 4096), layer, "3x3x5x5", objective)


def test_finished_outputs_fill_less_of_a_memory() -> None:
    # the register holds FX, FY: outputs come finished. 9x9 of them with 8 bits and 9x9 inputs with 3 bits are 891
    # bits, less than half of 2048: the next tile is moved while this one is in use.
    layer = depthwise(22, 9, 3, pad=True, weight_bits=2, input_bits=3)
    core = core_of("tesla_npu_like", 4096, registers=4)
    check(core, layer, describe(core, layer, "1x3x5", "energy"))


def test_the_largest_tile_fits() -> None:
    # K 8 over 3 PEs: 3, 3, 2. Weights for 3 x 11 x 2 positions of 8 bits are 528 bits, 16 more than the memory
    layer = conv(8, 11, 3, fx=2, fy=1, oy=8, stride=2, b=2, ix=6, iy=15, output_bits=4)
    core = core_of("edge_tpu_quad", 512)
    check_fits(walk(core, layer, describe(core, layer, "3x3x4x5", "energy")))


def test_whole_numbers_are_not_rounded_up() -> None:
    # inputs: 23 x 64 x 4 bits over 64 and 256 bits a cycle; the first weights cross three memories
    core, layer = core_of("meta_prototype"), conv(15, 23, 8, weight_bits=3, input_bits=4, output_bits=4)
    mapping = describe(core, layer, "1x5x4x4", "energy")
    assert mapping.fill_cycles == 92 + 23 + 3
    check(core, layer, mapping)


def test_every_mac_is_done_once() -> None:
    core = core_of("eyeriss_like")
    layer = conv(3, 4, 3, 2, b=2)
    nest = Nest(layer.unpadded(), core, describe(core, layer, "2x3", "latency"))
    done: set[tuple[int, ...]] = set()
    for at in nest.steps():
        here = list(itertools.product(*(nest.values(loop, {}, at, 0) for loop in LOOPS)))
        assert len(here) == math.prod(nest.active_pes(loop, at) for loop in LOOPS) <= 6
        assert not done.intersection(here)
        done.update(here)
    assert done == set(itertools.product(*(range(nest.size(loop)) for loop in LOOPS)))


def test_a_walk_counted_by_hand() -> None:
    # 2 -> 2 channels on 2x1 pixels, one PE at a time, C before OX before K: 8 cycles. Each of 4 weights is fetched
    # for both pixels, as its register holds one; sums stay for both C, so each of 4 outputs leaves once.
    core = core_of("edge_tpu_quad")
    layer = replace(Layer("tiny", Op.CONV, k=2, c=2, ox=2), output_bits=4)
    described = describe(core, layer, "1x1x1x1", "latency")
    mapping = replace(described, temporal=(("C", 2), ("OX", 2), ("K", 2)))
    held = {("weight_register", "W"): 0, ("psum_register", "O"): 1, ("weight_sram", "W"): 2}
    mapping = replace(mapping, held={key: held.get(key, 3) for key in described.held})
    moved = walk(core, layer, mapping).totals("walked_bits")
    assert moved == {
        ("dram", "W", "read", False): 4 * 8,
        ("weight_sram", "W", "write", False): 4 * 8,
        ("weight_sram", "W", "read", False): 8 * 8,
        ("weight_register", "W", "write", False): 8 * 8,
        ("weight_register", "W", "read", True): 8 * 8,
        ("activation_sram", "I", "read", True): 8 * 8,
        ("psum_register", "O", "write", True): 8 * 16,
        ("psum_register", "O", "read", True): 8 * 16,
        ("psum_register", "O", "read", False): 4 * 4,
        ("activation_sram", "O", "write", False): 4 * 4,
    }


def test_a_wrong_tile_is_noticed() -> None:
    core = core_of("edge_tpu_quad", 512)
    layer = conv(24, 16, 8, 3, 2, weight_bits=3)
    mapping = describe(core, layer, "4x4x4x4", "latency")
    key = ("psum_register", "O")
    assert mapping.held[key] < len(mapping.temporal)
    wrong = replace(mapping, held={**mapping.held, key: mapping.held[key] + 1})
    with pytest.raises(AssertionError):
        check_charged(walk(core, layer, wrong), mapping)
