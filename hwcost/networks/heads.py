"""Exit heads as layers.

`fc`: max-pooling to 4x4, flattened to 16C, one linear layer. `fc_hidden`: the same pooling, 16C -> 8C, ReLU6,
8C -> classes. `gap`: global average pooling, C -> classes. `conv1`, `conv2`: one or two depth-wise separable
convolutions (3x3 depth-wise, 1x1 point-wise, C channels throughout, BatchNorm and ReLU6 behind both), then as `fc`:
depth and layer type of a branch are what AEBNAS (arXiv 2512.10671) searches. Each halves the map while that is larger
than 4x4, so a head on a large early map stays cheap. They do not end in global average pooling: the few channels of
early blocks then carry too little.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from hwcost.errors import OfframpError
from hwcost.networks.precision import PSUM_BITS
from hwcost.workload import Layer, Op

HEAD_KINDS = ("fc", "fc_hidden", "gap", "conv1", "conv2")
POOLED_SIZE = 4
SEPARABLE_KERNEL = 3
_DEPTHS = {"conv1": 1, "conv2": 2}


@dataclass(frozen=True)
class PoolWindow:
    """A square pooling window without padding; sizes in elements."""

    kernel: int
    stride: int
    out_size: int

    @property
    def is_identity(self) -> bool:
        """Whether the map already has the wanted size, so that no layer is needed."""
        return self.kernel == 1


@dataclass(frozen=True)
class SeparableSpec:
    """One depth-wise separable convolution of a head; sizes in elements, padding keeps the size at stride 1.

    Attributes:
        in_size: Side of the map it reads.
        stride: Of the depth-wise convolution.
        out_size: Side of the map it makes.
    """

    in_size: int
    stride: int
    out_size: int


def separable_convs(kind: str, in_size: int) -> tuple[SeparableSpec, ...]:
    """The separable convolutions of a head on a square map of `in_size`, in order; none for most kinds."""
    _check_kind(kind)
    convs = []
    for _ in range(_DEPTHS.get(kind, 0)):
        stride = 2 if in_size > POOLED_SIZE else 1
        out_size = -(-in_size // stride)
        convs.append(SeparableSpec(in_size, stride, out_size))
        in_size = out_size
    return tuple(convs)


def averages(kind: str) -> bool:
    """Whether a head pools by the mean over the whole map, which makes values that must be quantized anew."""
    _check_kind(kind)
    return kind == "gap"


def pool_window(kind: str, in_size: int) -> PoolWindow:
    """The pooling of a head mounted on a square map of `in_size`; that of `conv1` and `conv2` follows them.

    Maps of at most 4x4 are not pooled by `fc` and `fc_hidden`. Where 4 does not divide the size, windows
    of one size overlap so that exactly 4x4 outputs cover the map.
    """
    for conv in separable_convs(kind, in_size):
        in_size = conv.out_size
    if averages(kind):
        return PoolWindow(in_size, in_size, 1)
    out_size = min(POOLED_SIZE, in_size)
    stride = in_size // out_size
    return PoolWindow(in_size - (out_size - 1) * stride, stride, out_size)


def _check_kind(kind: str) -> None:
    if kind not in HEAD_KINDS:
        raise OfframpError(f"expected a head kind of {', '.join(HEAD_KINDS)}, got {kind!r}")


def linear_sizes(kind: str, channels: int, in_size: int, classes: int) -> list[tuple[int, int]]:
    """Inputs and outputs of a head's linear layers, in order."""
    window = pool_window(kind, in_size)
    features = channels * window.out_size**2
    if kind == "fc_hidden":
        return [(features, 8 * channels), (8 * channels, classes)]
    return [(features, classes)]


def head_parameters(kind: str, channels: int, in_size: int, classes: int) -> int:
    """Trainable parameters of a head, biases and two per BatchNorm channel included."""
    separable = channels * SEPARABLE_KERNEL**2 + 2 * channels + channels**2 + 2 * channels
    linear = sum((inputs + 1) * outputs for inputs, outputs in linear_sizes(kind, channels, in_size, classes))
    return separable * len(separable_convs(kind, in_size)) + linear


@dataclass(frozen=True)
class HeadSite:
    """Where a head is mounted: the map it reads and the exit it makes; bits may be arrays (n_designs,)."""

    prefix: str
    channels: int
    in_size: int
    input_bits: Any
    segment: int
    batch: int


def head_layers(
    kind: str,
    site: HeadSite,
    source: int,
    first_index: int,
    classes: int,
    weight_bits: Any,
    activation_bits: Any,
) -> Sequence[Layer]:
    """The layers of a head.

    Args:
        kind: One of `HEAD_KINDS`.
        site: The map it reads.
        source: Index of the layer whose output it reads.
        first_index: Index its first layer will have in the workload.
        classes: Number of logits.
        weight_bits: Bits of its weights: a number, or an array (n_designs,) on the way into a batch.
        activation_bits: Bits of what is averaged, of the hidden layer and of separable convolutions.

    Returns:
        Layers in execution order; the last one yields the logits at accumulator width.
    """
    window = pool_window(kind, site.in_size)
    base = Layer(
        site.prefix, Op.CONV, b=site.batch, weight_bits=weight_bits, output_bits=activation_bits,
        psum_bits=PSUM_BITS, segment=site.segment, head=True,
    )  # fmt: skip
    layers = _separable_layers(kind, site, base, source, first_index)
    bits = activation_bits if layers else site.input_bits
    source = first_index + len(layers) - 1 if layers else source
    if not window.is_identity:
        pooled_bits = activation_bits if averages(kind) else bits
        layers.append(
            replace(
                base,
                name=f"{site.prefix}.pool",
                op=Op.POOL,
                g=site.channels,
                ox=window.out_size,
                oy=window.out_size,
                fx=window.kernel,
                fy=window.kernel,
                stride=window.stride,
                weight_bits=0,
                input_bits=bits,
                output_bits=pooled_bits,
                sources=(source,),
            )
        )
        source, bits = first_index + len(layers) - 1, pooled_bits
    sizes = linear_sizes(kind, site.channels, site.in_size, classes)
    for i, (inputs, outputs) in enumerate(sizes):
        is_last = i == len(sizes) - 1
        layers.append(
            replace(
                base,
                name=f"{site.prefix}.{'fc' if is_last else 'hidden'}",
                op=Op.LINEAR,
                k=outputs,
                c=inputs,
                input_bits=bits,
                output_bits=PSUM_BITS if is_last else activation_bits,
                sources=(source,),
            )
        )
        source, bits = first_index + len(layers) - 1, activation_bits
    return layers


def _separable_layers(kind: str, site: HeadSite, base: Layer, source: int, first_index: int) -> list[Layer]:
    """Depth-wise and point-wise convolutions of a head, `depthwise1`, `pointwise1`, ..."""
    layers: list[Layer] = []
    bits, channels = site.input_bits, site.channels
    for number, conv in enumerate(separable_convs(kind, site.in_size), start=1):
        sized = replace(base, ox=conv.out_size, oy=conv.out_size)
        depthwise = replace(
            sized,
            name=f"{site.prefix}.depthwise{number}",
            g=channels,
            fx=SEPARABLE_KERNEL,
            fy=SEPARABLE_KERNEL,
            stride=conv.stride,
            ix=conv.in_size,
            iy=conv.in_size,
            input_bits=bits,
            sources=(source,),
        )
        pointwise = replace(
            sized,
            name=f"{site.prefix}.pointwise{number}",
            k=channels,
            c=channels,
            ix=conv.out_size,
            iy=conv.out_size,
            input_bits=base.output_bits,
            sources=(first_index + len(layers),),
        )
        layers += [depthwise, pointwise]
        source, bits = first_index + len(layers) - 1, base.output_bits
    return layers
