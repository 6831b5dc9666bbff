"""An early-exit network as a workload: backbone, exits, heads and bits become rows; nothing is trained."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from hwcost.errors import OfframpError
from hwcost.networks.heads import HeadSite, head_layers
from hwcost.networks.precision import FIXED_BITS, PSUM_BITS, Precision
from hwcost.networks.trunk import STEM, Backbone, Trunk, TrunkLayer, trunk_of
from hwcost.workload import Layer, Op, Workload


def early_exit_workload(
    backbone: Backbone,
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
        backbone: A table of inverted residuals, or anything with a trunk.
        exits: Blocks an early exit follows, ascending, of the backbone's mounting points.
        heads: Kind of each exit's head, the final head last.
        precision: Bits.
        image_size: Side of the square image in pixels.
        classes: Number of classes.
        batch: Images at once.

    Raises:
        OfframpError: Exits, heads or bits do not fit the backbone.
    """
    trunk = trunk_of(backbone, image_size)
    _check(trunk, exits, heads, precision)
    mounted: dict[int, tuple[str, ...]] = {
        block: (kind,) for block, kind in zip((*exits, trunk.n_blocks - 1), heads, strict=True)
    }
    bits = NetworkBits(
        precision.weight_bits,
        precision.activation_bits,
        precision.head_weight_bits,
        precision.head_activation_bits,
    )
    return Workload.from_layers(lay_out(trunk, mounted, bits, classes, batch).layers)


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
    trunk: Trunk, mounted: dict[int, tuple[str, ...]], bits: NetworkBits, classes: int, batch: int
) -> Layout:
    """Rows of a backbone with heads.

    A layer has the weight bits of its block and writes with the activation bits of its block; it reads what its
    source wrote, an addition both operands at the wider of the two widths. Max-pooling writes the bits it reads.

    Args:
        trunk: The backbone.
        mounted: Kinds of heads behind each block that has any, in order; the last block among them.
        bits: Of all blocks and heads.
        classes: Number of classes.
        batch: Images at once.
    """
    layers: list[Layer] = []
    head: list[tuple[int, str] | None] = []
    placed: list[int] = []  # index of each row of the trunk among the layers
    segment = 0
    for block in range(STEM, trunk.n_blocks):
        for row in trunk.rows_of(block):
            placed.append(len(layers))
            layers.append(_with_bits(row, layers, placed, bits, segment, batch))
            head.append(None)
        if block not in mounted:
            continue
        is_last = block == trunk.n_blocks - 1
        weight_bits = FIXED_BITS if is_last else bits.head_weight
        activation_bits = FIXED_BITS if is_last else bits.head_activation
        out = trunk.blocks[block]
        source = placed[out.row] if out.row >= 0 else -1
        input_bits = layers[source].output_bits if source >= 0 else FIXED_BITS
        for kind in mounted[block]:
            prefix = "final" if is_last else f"exit{block}"
            if len(mounted[block]) > 1:
                prefix = f"{prefix}.{kind}"
            site = HeadSite(prefix, out.out_channels, out.out_size, input_bits, segment, batch)
            added = head_layers(kind, site, source, len(layers), classes, weight_bits, activation_bits)
            layers.extend(added)
            head.extend([(segment, kind)] * len(added))
        segment += 1
    return Layout(layers, head)


def _with_bits(
    row: TrunkLayer, layers: list[Layer], placed: list[int], bits: NetworkBits, segment: int, batch: int
) -> Layer:
    has_weights = row.op in (Op.CONV, Op.LINEAR)
    in_stem = row.block == STEM
    weight_bits = FIXED_BITS if in_stem else bits.weight[row.block]
    sources = tuple(placed[source] if source >= 0 else -1 for source in row.sources)
    read: Any = FIXED_BITS if sources[0] < 0 else layers[sources[0]].output_bits
    for source in sources[1:]:
        # A row has one width for both operands; the wider one counts.
        read = np.maximum(read, FIXED_BITS if source < 0 else layers[source].output_bits)
    if row.keeps_bits:
        written = read
    elif not row.quantized:
        written = PSUM_BITS
    else:
        written = FIXED_BITS if in_stem else bits.activation[row.block]
    return Layer(
        row.name,
        row.op,
        k=row.k,
        c=row.c,
        g=row.g,
        ox=row.ox,
        oy=row.oy,
        fx=row.fx,
        fy=row.fy,
        stride=row.stride,
        ix=row.ix,
        iy=row.iy,
        b=batch,
        weight_bits=weight_bits if has_weights else 0,
        input_bits=read,
        output_bits=written,
        psum_bits=PSUM_BITS,
        segment=segment,
        sources=sources,
    )


def _check(trunk: Trunk, exits: tuple[int, ...], heads: tuple[str, ...], precision: Precision) -> None:
    if list(exits) != sorted(set(exits)) or not set(exits) <= set(trunk.mounting_points):
        raise OfframpError(
            f"expected ascending exits of {list(trunk.mounting_points)}, got {list(exits)}; name block indices"
        )
    if len(heads) != len(exits) + 1:
        raise OfframpError(
            f"expected {len(exits) + 1} heads (one per exit and the final one), got {len(heads)}"
        )
    if len(precision.weight_bits) != trunk.n_blocks:
        raise OfframpError(
            f"expected bits for {trunk.n_blocks} blocks of {trunk.name}, got {len(precision.weight_bits)}"
        )
