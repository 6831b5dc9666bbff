"""An early-exit network as a workload: backbone, exits, heads and bits become rows; nothing is trained."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from hwcost.errors import OfframpError
from hwcost.networks.backbone import BackboneSpec, BlockSpec
from hwcost.networks.heads import HeadSite, head_layers
from hwcost.networks.precision import FIXED_BITS, PSUM_BITS, Precision
from hwcost.workload import Layer, Op, Workload


def early_exit_workload(
    spec: BackboneSpec,
    exits: tuple[int, ...],
    heads: tuple[str, ...],
    precision: Precision,
    image_size: int,
    classes: int,
    batch: int = 1,
) -> Workload:
    """Lays an early-exit network out in execution order.

    Each exit's head follows its block directly; segment k is everything behind exit k - 1 up to and including
    head k. The final head is always there, so there are `len(exits) + 1` segments.

    Args:
        spec: The backbone.
        exits: Blocks an early exit follows, ascending, of `spec.mounting_points`.
        heads: Kind of each exit's head, the final head last.
        precision: Bits.
        image_size: Side of the square image in pixels.
        classes: Number of classes.
        batch: Images at once.

    Raises:
        OfframpError: Exits, heads or bits do not fit the backbone.
    """
    _check(spec, exits, heads, precision)
    mounted: dict[int, tuple[str, ...]] = {
        block: (kind,) for block, kind in zip((*exits, spec.n_blocks - 1), heads, strict=True)
    }
    bits = NetworkBits(
        precision.weight_bits,
        precision.activation_bits,
        precision.head_weight_bits,
        precision.head_activation_bits,
    )
    return Workload.from_layers(lay_out(spec, mounted, bits, image_size, classes, batch).layers)


@dataclass(frozen=True)
class NetworkBits:
    """Bits of one network as numbers, or of many as arrays (n_designs,); as in `Precision`."""

    weight: Sequence[Any]
    activation: Sequence[Any]
    head_weight: Any
    head_activation: Any


@dataclass(frozen=True)
class Layout:
    """Layers in execution order.

    Attributes:
        layers: The rows; their bits are numbers or arrays, as the bits they were made from.
        head: Per layer the exit it is the head of and its kind; None in the trunk.
    """

    layers: list[Layer]
    head: list[tuple[int, str] | None]


def lay_out(
    spec: BackboneSpec,
    mounted: dict[int, tuple[str, ...]],
    bits: NetworkBits,
    image_size: int,
    classes: int,
    batch: int,
) -> Layout:
    """Rows of a backbone with heads.

    Args:
        spec: The backbone.
        mounted: Kinds of heads behind each block that has any, in order; the last block among them.
        bits: Of all blocks and heads.
        image_size: Side of the square image in pixels.
        classes: Number of classes.
        batch: Images at once.
    """
    side = -(-image_size // spec.stem_stride)
    stem = Layer(
        "stem",
        Op.CONV,
        k=spec.stem_channels,
        c=spec.in_channels,
        ox=side,
        oy=side,
        ix=image_size,
        iy=image_size,
        fx=spec.stem_kernel,
        fy=spec.stem_kernel,
        stride=spec.stem_stride,
        b=batch,
        weight_bits=FIXED_BITS,
        input_bits=FIXED_BITS,
        output_bits=FIXED_BITS,
        psum_bits=PSUM_BITS,
    )
    layers, head = [stem], [None]  # type: tuple[list[Layer], list[tuple[int, str] | None]]
    input_bits: Any = FIXED_BITS
    trunk = segment = 0  # trunk: index of the layer whose output the next block reads
    in_size = side
    for i, (block, size) in enumerate(zip(spec.blocks, spec.out_sizes(image_size), strict=True)):
        own = _BlockBits(bits.weight[i], input_bits, bits.activation[i])
        layers.extend(_block_layers(block, f"b{i}", in_size, own, segment, batch, trunk, len(layers)))
        head.extend([None] * (len(layers) - len(head)))
        trunk = len(layers) - 1
        in_size, input_bits = size, bits.activation[i]
        is_last = i == spec.n_blocks - 1
        for kind in mounted.get(i, ()):
            prefix = "final" if is_last else f"exit{i}"
            if len(mounted[i]) > 1:
                prefix = f"{prefix}.{kind}"
            site = HeadSite(prefix, block.out_channels, size, input_bits, segment, batch)
            weight_bits = FIXED_BITS if is_last else bits.head_weight
            activation_bits = FIXED_BITS if is_last else bits.head_activation
            layers.extend(head_layers(kind, site, trunk, len(layers), classes, weight_bits, activation_bits))
            head.extend([(segment, kind)] * (len(layers) - len(head)))
        segment += i in mounted
    return Layout(layers, head)


@dataclass(frozen=True)
class _BlockBits:
    weight: Any
    input: Any
    activation: Any


def _block_layers(
    block: BlockSpec,
    prefix: str,
    in_size: int,
    bits: _BlockBits,
    segment: int,
    batch: int,
    source: int,
    first_index: int,
) -> list[Layer]:
    """Expansion, depth-wise convolution, projection, addition on a map of side `in_size`."""
    size = -(-in_size // block.stride)
    layers: list[Layer] = []
    expanded = block.expanded_channels
    base = Layer(
        prefix,
        Op.CONV,
        b=batch,
        weight_bits=bits.weight,
        input_bits=bits.activation,
        output_bits=bits.activation,
        psum_bits=PSUM_BITS,
        segment=segment,
    )
    block_source, input_bits = source, bits.input
    if block.has_expand:
        layers.append(
            replace(
                base,
                name=f"{prefix}.expand",
                k=expanded,
                c=block.in_channels,
                ox=in_size,
                oy=in_size,
                ix=in_size,
                iy=in_size,
                input_bits=input_bits,
                sources=(source,),
            )
        )
        source, input_bits = first_index, bits.activation
    layers.append(
        replace(
            base,
            name=f"{prefix}.depthwise",
            g=expanded,
            ox=size,
            oy=size,
            ix=in_size,
            iy=in_size,
            fx=block.kernel,
            fy=block.kernel,
            stride=block.stride,
            input_bits=input_bits,
            sources=(source,),
        )
    )
    projected = first_index + len(layers)
    project = replace(base, name=f"{prefix}.project", k=block.out_channels, c=expanded, ox=size, oy=size)
    layers.append(replace(project, sources=(projected - 1,)))
    if block.residual:
        # The skipped input keeps the bits of the block before; a row has one width, the wider one counts for both.
        widest = np.maximum(bits.input, bits.activation)
        add = replace(base, name=f"{prefix}.add", op=Op.ADD, g=block.out_channels, ox=size, oy=size)
        layers.append(replace(add, weight_bits=0, input_bits=widest, sources=(projected, block_source)))
    return layers


def _check(spec: BackboneSpec, exits: tuple[int, ...], heads: tuple[str, ...], precision: Precision) -> None:
    if list(exits) != sorted(set(exits)) or not set(exits) <= set(spec.mounting_points):
        raise OfframpError(
            f"expected ascending exits of {list(spec.mounting_points)}, got {list(exits)}; name block indices"
        )
    if len(heads) != len(exits) + 1:
        raise OfframpError(
            f"expected {len(exits) + 1} heads (one per exit and the final one), got {len(heads)}"
        )
    if len(precision.weight_bits) != spec.n_blocks:
        raise OfframpError(f"expected bits for {spec.n_blocks} blocks, got {len(precision.weight_bits)}")
