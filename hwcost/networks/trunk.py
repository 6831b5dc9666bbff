"""Any backbone as a table of layers without bits.

A trunk is what a backbone costs and nothing else: one row a layer with the block it belongs to, and where the
output of each block comes from. Bits, exits and heads are added per design.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Protocol

from hwcost.errors import OfframpError
from hwcost.networks.backbone import BackboneSpec
from hwcost.workload import Op

STEM = -1


@dataclass(frozen=True)
class TrunkLayer:
    """One layer of a backbone; sizes in elements, with the names they have in `hwcost.workload.Layer`.

    Attributes:
        name: Unique, e.g. `b3.depthwise`.
        op: Kind of layer. An element-wise function such as SiLU is POOL with a window of one, an element-wise
            multiplication is ADD: one operation an element, both operands read as whole maps.
        block: The block it belongs to; `STEM` for what runs before block 0, always at 8 bit.
        sources: Indices of the rows whose outputs it reads; -1 is the image. Two for ADD.
        k: Output channels per group.
        c: Input channels per group.
        g: Groups.
        ox: Output width.
        oy: Output height.
        fx: Window width.
        fy: Window height.
        stride: Step of the window.
        ix: Width of the input without padding.
        iy: Height of the input without padding.
        quantized: Whether its output gets the block's bits; otherwise it stays as wide as the accumulator, as what
            an element-wise function reads.
        keeps_bits: Whether its output has the bits of what it reads, as that of max-pooling, which makes no new
            values; `quantized` then says nothing.
    """

    name: str
    op: Op
    block: int
    sources: tuple[int, ...]
    k: int = 1
    c: int = 1
    g: int = 1
    ox: int = 1
    oy: int = 1
    fx: int = 1
    fy: int = 1
    stride: int = 1
    ix: int = 1
    iy: int = 1
    quantized: bool = True
    keeps_bits: bool = False


@dataclass(frozen=True)
class BlockOutput:
    """The map behind a block.

    Attributes:
        out_channels: Its channels.
        out_size: Its side in elements.
        row: Index of the row that makes it.
    """

    out_channels: int
    out_size: int
    row: int


@dataclass(frozen=True)
class Trunk:
    """A backbone at one image size.

    Attributes:
        name: Of the backbone.
        in_channels: Channels of the image.
        image_size: Its side in pixels.
        layers: Rows in execution order, those of a block together.
        blocks: The map behind each block.
        mounting_points: Blocks an early exit may follow, ascending; never the last.

    Raises:
        OfframpError: When rows, blocks and mounting points do not fit each other.
    """

    name: str
    in_channels: int
    image_size: int
    layers: tuple[TrunkLayer, ...]
    blocks: tuple[BlockOutput, ...]
    mounting_points: tuple[int, ...]

    def __post_init__(self) -> None:
        if not self.blocks:
            raise OfframpError(f"expected at least one block in {self.name}, got none")
        order = [layer.block for layer in self.layers]
        if order != sorted(order) or any(not STEM <= block < len(self.blocks) for block in order):
            raise OfframpError(
                f"expected the layers of {self.name} in order of blocks {STEM}..{len(self.blocks) - 1}, got {order}"
            )
        for index, layer in enumerate(self.layers):
            if any(not -1 <= source < index for source in layer.sources):
                raise OfframpError(
                    f"expected {layer.name} to read rows before {index}, got {list(layer.sources)}"
                )
        check_mounting_points(self.mounting_points, len(self.blocks))

    @property
    def n_blocks(self) -> int:
        """Number of blocks."""
        return len(self.blocks)

    def rows_of(self, block: int) -> tuple[TrunkLayer, ...]:
        """The layers of a block, or of the stem."""
        return tuple(layer for layer in self.layers if layer.block == block)


class Traced(Protocol):
    """A backbone that was traced at one image size."""

    @property
    def trunk(self) -> Trunk:
        """Its layers."""
        ...

    @property
    def mounting_points(self) -> tuple[int, ...]:
        """Blocks an early exit may follow, ascending."""
        ...

    @property
    def n_blocks(self) -> int:
        """Number of blocks."""
        ...


Backbone = BackboneSpec | Trunk | Traced
"""Whatever early-exit networks can be laid out on."""


def trunk_of(backbone: Backbone, image_size: int) -> Trunk:
    """The trunk of a backbone for images of one size.

    Raises:
        OfframpError: When the backbone was traced at another size.
    """
    if isinstance(backbone, BackboneSpec):
        return spec_trunk(backbone, image_size)
    trunk = backbone if isinstance(backbone, Trunk) else backbone.trunk
    if trunk.image_size != image_size:
        raise OfframpError(
            f"expected images of {trunk.image_size} pixels for {trunk.name}, got {image_size}; "
            "trace the backbone at this size"
        )
    return trunk


def check_mounting_points(points: tuple[int, ...], n_blocks: int) -> None:
    """Refuses mounting points that repeat, do not ascend or do not lie before the last block."""
    if list(points) != sorted(set(points)) or any(not 0 <= point < n_blocks - 1 for point in points):
        raise OfframpError(
            f"expected ascending mounting points in 0..{n_blocks - 2}, got {list(points)}; "
            "the last block always has the final head"
        )


@lru_cache(maxsize=16)  # a search asks for the same one for every network
def spec_trunk(spec: BackboneSpec, image_size: int) -> Trunk:
    """A backbone of inverted residuals as a trunk: rows `stem`, `b0.depthwise`, `b0.project`, `b1.expand`, ..."""
    size = -(-image_size // spec.stem_stride)
    rows = [_conv("stem", STEM, -1, (spec.in_channels, spec.stem_channels, 1), image_size, spec.stem_kernel)]
    rows[0] = _strided(rows[0], spec.stem_stride)
    blocks: list[BlockOutput] = []
    for i, (block, out_size) in enumerate(zip(spec.blocks, spec.out_sizes(image_size), strict=True)):
        block_source = len(rows) - 1
        expanded, channels = block.expanded_channels, block.out_channels
        if block.has_expand:
            rows.append(_conv(f"b{i}.expand", i, len(rows) - 1, (block.in_channels, expanded, 1), size, 1))
        depthwise = _conv(f"b{i}.depthwise", i, len(rows) - 1, (1, 1, expanded), size, block.kernel)
        rows.append(_strided(depthwise, block.stride))
        rows.append(_conv(f"b{i}.project", i, len(rows) - 1, (expanded, channels, 1), out_size, 1))
        if block.residual:
            add = _conv(f"b{i}.add", i, len(rows) - 1, (1, 1, channels), out_size, 1)
            rows.append(replace(add, op=Op.ADD, sources=(len(rows) - 1, block_source)))
        blocks.append(BlockOutput(channels, out_size, len(rows) - 1))
        size = out_size
    return Trunk(spec.name, spec.in_channels, image_size, tuple(rows), tuple(blocks), spec.mounting_points)


def _conv(
    name: str, block: int, source: int, channels: tuple[int, int, int], size: int, kernel: int
) -> TrunkLayer:
    """A square convolution that keeps the size; `channels` are inputs and outputs per group, and groups."""
    c, k, g = channels
    return TrunkLayer(name, Op.CONV, block, (source,), k, c, g, size, size, kernel, kernel, 1, size, size)


def _strided(conv: TrunkLayer, stride: int) -> TrunkLayer:
    return replace(conv, stride=stride, ox=-(-conv.ix // stride), oy=-(-conv.iy // stride))
