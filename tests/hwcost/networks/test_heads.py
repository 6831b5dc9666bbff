"""Exit heads as layers."""

from __future__ import annotations

import pytest

from hwcost.errors import OfframpError
from hwcost.networks import HEAD_KINDS, early_exit_workload, head_parameters, load_backbone
from hwcost.networks.heads import HeadSite, averages, head_layers, pool_window, separable_convs
from hwcost.networks.precision import PSUM_BITS, Precision
from hwcost.workload import Op, Workload

SIZES = (1, 2, 4, 5, 7, 8, 16, 32)
DEPTHS = {"conv1": 1, "conv2": 2}


def head(kind: str, size: int = 16, channels: int = 24) -> Workload:
    site = HeadSite("exit0", channels, size, input_bits=6, segment=0, batch=1)
    return Workload.from_layers(head_layers(kind, site, -1, 0, 10, weight_bits=3, activation_bits=4))


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("kind", HEAD_KINDS)
def test_every_layer_of_a_head_reads_what_was_written(kind: str, size: int) -> None:
    layers = head(kind, size)
    channels, side, bits = 24, size, 6
    for i in range(layers.n_layers):
        assert layers.sources[i, 0] == i - 1
        assert layers.input_elements[i] == channels * side * side
        assert layers.input_bits[i] == bits
        channels, side, bits = int(layers.g[i] * layers.k[i]), int(layers.ox[i]), int(layers.output_bits[i])
    assert (channels, side, bits) == (10, 1, PSUM_BITS)


@pytest.mark.parametrize(("kind", "depth"), DEPTHS.items())
@pytest.mark.parametrize("size", SIZES)
def test_separable_convolutions_halve_maps_larger_than_4x4(kind: str, depth: int, size: int) -> None:
    convs = separable_convs(kind, size)
    assert len(convs) == depth
    for conv in convs:
        assert conv.in_size == size
        assert conv.stride == (2 if size > 4 else 1)
        assert conv.out_size == len(range(0, size, conv.stride))
        size = conv.out_size
    # What follows is what `fc` has on a map of this size.
    assert pool_window(kind, convs[0].in_size) == pool_window("fc", size)


@pytest.mark.parametrize(("kind", "depth"), DEPTHS.items())
def test_layers_of_a_separable_head(kind: str, depth: int) -> None:
    layers = head(kind, 32)
    pairs = [f"exit0.{part}{number}" for number in range(1, depth + 1) for part in ("depthwise", "pointwise")]
    assert list(layers.names) == [*pairs, "exit0.pool", "exit0.fc"]
    for i, name in enumerate(pairs):
        assert layers.op[i] == Op.CONV
        assert layers.weight_bits[i] == 3
        assert layers.output_bits[i] == 4
        filters = 24 * 3 * 3 if "depthwise" in name else 24 * 24
        assert layers.weight_elements[i] == filters
        assert layers.macs[i] == filters * layers.ox[i] * layers.oy[i]
    # By hand, BatchNorm with two parameters a channel, the classifier with biases.
    separable = depth * (24 * 9 + 2 * 24 + 24 * 24 + 2 * 24)
    assert head_parameters(kind, 24, 16, 10) == separable + (16 * 24 + 1) * 10


@pytest.mark.parametrize("kind", HEAD_KINDS)
def test_batches_multiply_work(kind: str) -> None:
    spec, bits = load_backbone("paper"), Precision((8,) * 12, (8,) * 12)
    one = early_exit_workload(spec, (3,), (kind, "fc"), bits, 32, 10)
    four = early_exit_workload(spec, (3,), (kind, "fc"), bits, 32, 10, batch=4)
    assert (four.operations == 4 * one.operations).all()
    assert (four.weight_elements == one.weight_elements).all()


def test_a_deeper_head_costs_more() -> None:
    sizes = [head(kind).weight_memory_bits for kind in ("gap", "fc", "conv1", "conv2")]
    assert sizes == sorted(sizes)


def test_an_unknown_kind_is_refused() -> None:
    for ask in (averages, lambda kind: separable_convs(kind, 8), lambda kind: pool_window(kind, 8)):
        with pytest.raises(OfframpError, match=r"expected a head kind of .*conv2, got .conv3."):
            ask("conv3")
