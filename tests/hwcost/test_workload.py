"""Workloads check themselves."""

from __future__ import annotations

import numpy as np
import pytest

from hwcost.errors import OfframpError
from hwcost.workload import Layer, Op, Workload


def test_counts_of_a_strided_convolution() -> None:
    layer = Layer("l", Op.CONV, k=16, c=3, ox=8, oy=8, fx=3, fy=3, stride=2, b=2)
    workload = Workload.from_layers([layer])
    assert workload.macs[0] == 2 * 16 * 3 * 64 * 9
    assert workload.weight_elements[0] == 16 * 3 * 9
    assert workload.input_elements[0] == 2 * 3 * 16 * 16
    assert workload.output_elements[0] == 2 * 16 * 64


def test_pooling_and_addition_have_operations_but_no_macs() -> None:
    layers = [
        Layer("a", Op.CONV, k=4, c=3, ox=8, oy=8),
        Layer("p", Op.POOL, g=4, ox=4, oy=4, fx=2, fy=2, stride=2, weight_bits=0, sources=(0,)),
        Layer("s", Op.ADD, g=4, ox=4, oy=4, weight_bits=0, sources=(1, 1)),
    ]
    workload = Workload.from_layers(layers)
    assert workload.macs.tolist() == [4 * 3 * 64, 0, 0]
    assert workload.operations.tolist()[1:] == [4 * 16 * 4, 4 * 16]
    assert workload.input_elements.tolist() == [3 * 64, 4 * 64, 2 * 4 * 16]


def test_activation_memory_counts_what_is_alive_at_once() -> None:
    layers = [
        Layer("a", Op.CONV, k=4, c=3, ox=8, oy=8),  # 3x64 in, 4x64 out
        Layer("b", Op.CONV, k=4, c=4, ox=8, oy=8, sources=(0,)),  # a is kept for s
        Layer("c", Op.CONV, k=4, c=4, ox=8, oy=8, sources=(1,)),  # a, b, c
        Layer("s", Op.ADD, g=4, ox=8, oy=8, weight_bits=0, sources=(2, 0)),  # a, c, s
    ]
    assert Workload.from_layers(layers).activation_memory_bits == 3 * 4 * 64 * 8


def test_arrays_cannot_be_changed() -> None:
    workload = Workload.from_layers([Layer("a", Op.CONV)])
    with pytest.raises(ValueError, match="read-only"):
        workload.k[0] = 5


@pytest.mark.parametrize(
    ("layers", "word"),
    [
        ([], "at least one layer"),
        ([Layer("a", Op.CONV, k=0)], "k of layer 'a'"),
        ([Layer("a", Op.CONV), Layer("a", Op.CONV)], "more than once"),
        ([Layer("a", Op.CONV, weight_bits=0)], "weight_bits"),
        ([Layer("a", Op.POOL, k=2, weight_bits=0)], "k of layer"),
        ([Layer("a", Op.CONV, sources=(0,))], "sources"),
        ([Layer("a", Op.ADD, weight_bits=0)], "two producers"),
        ([Layer("a", Op.CONV, segment=1)], "segments"),
        ([Layer("a", Op.CONV, input_bits=0)], "input_bits"),
    ],
)
def test_refuses_what_makes_no_sense(layers: list[Layer], word: str) -> None:
    with pytest.raises(OfframpError, match=word):
        Workload.from_layers(layers)


def test_equal_layers_have_equal_cost_rows() -> None:
    one = Layer("a", Op.CONV, k=8, c=8, ox=4, oy=4)
    other = Layer("b", Op.CONV, k=8, c=8, ox=4, oy=4, sources=(0,), segment=1, head=True)
    rows = Workload.from_layers([one, other]).cost_rows()
    assert np.array_equal(rows[0], rows[1])
