"""Exit heads as layers.

`fc`: max-pooling to 4x4, flattened to 16C, one linear layer. `fc_hidden`: the same pooling, 16C -> 8C, ReLU6,
8C -> classes. `gap`: global average pooling, C -> classes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from hwcost.errors import OfframpError
from hwcost.networks.precision import PSUM_BITS
from hwcost.workload import Layer, Op

HEAD_KINDS = ("fc", "fc_hidden", "gap")
POOLED_SIZE = 4


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


def pool_window(kind: str, in_size: int) -> PoolWindow:
    """The pooling of a head on a square map of `in_size`.

    Maps of at most 4x4 are not pooled by `fc` and `fc_hidden`. Where 4 does not divide the size, windows
    of one size overlap so that exactly 4x4 outputs cover the map.
    """
    _check_kind(kind)
    if kind == "gap":
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
    """Trainable parameters of a head, biases included."""
    return sum((inputs + 1) * outputs for inputs, outputs in linear_sizes(kind, channels, in_size, classes))


@dataclass(frozen=True)
class HeadSite:
    """Where a head is mounted: the map it reads and the exit it makes."""

    prefix: str
    channels: int
    in_size: int
    input_bits: int
    segment: int
    batch: int


def head_layers(
    kind: str,
    site: HeadSite,
    source: int,
    first_index: int,
    classes: int,
    weight_bits: int,
    activation_bits: int,
) -> Sequence[Layer]:
    """The layers of a head.

    Args:
        kind: One of `HEAD_KINDS`.
        site: The map it reads.
        source: Index of the layer whose output it reads.
        first_index: Index its first layer will have in the workload.
        classes: Number of logits.
        weight_bits: Bits of its weights.
        activation_bits: Bits of what `gap` averages and of the hidden layer.

    Returns:
        Layers in execution order; the last one yields the logits at accumulator width.
    """
    window = pool_window(kind, site.in_size)
    layers: list[Layer] = []
    bits = site.input_bits
    if not window.is_identity:
        pooled_bits = activation_bits if kind == "gap" else bits
        layers.append(
            Layer(
                f"{site.prefix}.pool",
                Op.POOL,
                g=site.channels,
                ox=window.out_size,
                oy=window.out_size,
                fx=window.kernel,
                fy=window.kernel,
                stride=window.stride,
                b=site.batch,
                weight_bits=0,
                input_bits=bits,
                output_bits=pooled_bits,
                psum_bits=PSUM_BITS,
                segment=site.segment,
                head=True,
                sources=(source,),
            )
        )
        source, bits = first_index, pooled_bits
    sizes = linear_sizes(kind, site.channels, site.in_size, classes)
    for i, (inputs, outputs) in enumerate(sizes):
        is_last = i == len(sizes) - 1
        layers.append(
            Layer(
                f"{site.prefix}.{'fc' if is_last else 'hidden'}",
                Op.LINEAR,
                k=outputs,
                c=inputs,
                b=site.batch,
                weight_bits=weight_bits,
                input_bits=bits,
                output_bits=PSUM_BITS if is_last else activation_bits,
                psum_bits=PSUM_BITS,
                segment=site.segment,
                head=True,
                sources=(source,),
            )
        )
        source, bits = first_index + len(layers) - 1, activation_bits
    return layers
