"""Backbones as tables without bits; the paper's makes the rows it always made."""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hwcost.errors import OfframpError
from hwcost.networks import HEAD_KINDS, Precision, early_exit_workload, load_backbone, uniform_precision
from hwcost.networks.precision import PSUM_BITS
from hwcost.networks.trunk import STEM, BlockOutput, Trunk, TrunkLayer, spec_trunk, trunk_of, trunk_workload
from hwcost.workload import Op, Workload

BITS = st.sampled_from((2, 3, 4, 6, 8))


def assert_equal(found: Workload, expected: Workload) -> None:
    assert found.names == expected.names
    for field in fields(Workload):
        np.testing.assert_array_equal(getattr(found, field.name), getattr(expected, field.name), field.name)


@settings(max_examples=60, deadline=None)
@given(
    data=st.data(),
    width=st.sampled_from((0.25, 0.5, 1.0)),
    size=st.sampled_from((1, 8, 24, 32, 33, 64)),
    batch=st.sampled_from((1, 3)),
)
def test_the_papers_rows_are_those_it_always_had(
    data: st.DataObject, width: float, size: int, batch: int
) -> None:
    spec = load_backbone("paper").scaled(width)
    exits = tuple(sorted(data.draw(st.sets(st.sampled_from(spec.mounting_points)))))
    heads = tuple(data.draw(st.sampled_from(HEAD_KINDS)) for _ in range(len(exits) + 1))
    bits = [tuple(data.draw(BITS) for _ in range(spec.n_blocks)) for _ in range(2)]
    precision = Precision(bits[0], bits[1], data.draw(BITS), data.draw(BITS))
    expected = early_exit_workload(spec, exits, heads, precision, size, 10, batch)
    assert_equal(trunk_workload(spec_trunk(spec, size), exits, heads, precision, 10, batch), expected)


def gated() -> Trunk:
    """A convolution, an element-wise function, a gate from its pooled output, an addition across two blocks."""
    size = {"ox": 8, "oy": 8, "ix": 8, "iy": 8}
    return Trunk(
        "gated", 3, 8,
        (
            TrunkLayer("stem", Op.CONV, STEM, (-1,), k=4, c=3, fx=3, fy=3, **size),
            TrunkLayer("b0.conv", Op.CONV, 0, (0,), k=4, c=4, quantized=False, **size),
            TrunkLayer("b0.act", Op.POOL, 0, (1,), g=4, **size),
            TrunkLayer("b0.pool", Op.POOL, 0, (2,), g=4, fx=8, fy=8, stride=8, ix=8, iy=8),
            TrunkLayer("b0.mul", Op.ADD, 0, (3, 2), g=4, **size),
            TrunkLayer("b1.add", Op.ADD, 1, (4, 0), g=4, **size),
        ),
        (BlockOutput(4, 8, 4), BlockOutput(4, 8, 5)),
        (0,),
    )  # fmt: skip


def test_bits_of_functions_gates_and_long_skips() -> None:
    workload = trunk_workload(gated(), (0,), ("gap", "fc"), Precision((4, 3), (6, 2), 8, 8), 10)
    at = {name: i for i, name in enumerate(workload.names)}
    order = [
        "stem",
        "b0.conv",
        "b0.act",
        "b0.pool",
        "b0.mul",
        "exit0.pool",
        "exit0.fc",
        "b1.add",
        "final.pool",
    ]
    assert list(workload.names[:9]) == order
    assert workload.segment.tolist() == [0] * 7 + [1] * 3
    # What a function reads is not quantized: it comes as wide as the accumulator.
    assert workload.output_bits[at["b0.conv"]] == workload.input_bits[at["b0.act"]] == PSUM_BITS
    assert workload.output_bits[at["b0.act"]] == workload.output_bits[at["b0.pool"]] == 6
    assert workload.sources[at["b0.mul"]].tolist() == [at["b0.pool"], at["b0.act"]]
    # The skip of block 1 comes from the stem, at 8 bit; a head lies between.
    assert workload.sources[at["b1.add"]].tolist() == [at["b0.mul"], at["stem"]]
    assert workload.input_bits[at["b1.add"]] == 8
    assert workload.output_bits[at["b1.add"]] == 2
    assert workload.weight_bits.tolist()[:2] == [8, 4]
    assert workload.sources[at["exit0.pool"], 0] == at["b0.mul"]


def test_a_block_without_layers_passes_its_input_on() -> None:
    trunk = gated()
    trunk = replace(trunk, layers=trunk.layers[:5], blocks=(trunk.blocks[0], replace(trunk.blocks[1], row=4)))
    workload = trunk_workload(trunk, (0,), ("gap", "gap"), uniform_precision(2), 10)
    mul, final = workload.names.index("b0.mul"), workload.names.index("final.pool")
    assert workload.sources[final, 0] == mul


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"blocks": ()}, "at least one block"),
        ({"mounting_points": (1,)}, "mounting points in 0..0"),
        ({"mounting_points": (0, 0)}, "mounting points"),
        ({"layers": gated().layers[::-1]}, "order of blocks"),
        ({"layers": (replace(gated().layers[0], sources=(0,)),)}, "rows before 0"),
    ],
)
def test_broken_tables_are_refused(change: dict[str, object], text: str) -> None:
    with pytest.raises(OfframpError, match=text):
        replace(gated(), **change)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("exits", "heads", "n", "text"),
    [((1,), ("fc", "fc"), 2, "exits"), ((0,), ("fc",), 2, "2 heads"), ((), ("fc",), 3, "2 blocks of gated")],
)
def test_designs_of_another_backbone_are_refused(
    exits: tuple[int, ...], heads: tuple[str, ...], n: int, text: str
) -> None:
    with pytest.raises(OfframpError, match=text):
        trunk_workload(gated(), exits, heads, uniform_precision(n), 10)


def test_a_trunk_is_of_one_image_size() -> None:
    assert trunk_of(gated(), 8) == gated()
    spec = load_backbone("paper")
    assert trunk_of(spec, 48) == spec_trunk(spec, 48)
    with pytest.raises(OfframpError, match="images of 8 pixels for gated, got 32"):
        trunk_of(gated(), 32)
