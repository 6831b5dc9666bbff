"""Backbones of inverted-residual blocks, described as data."""

from __future__ import annotations

from dataclasses import dataclass, replace
from importlib import resources
from pathlib import Path

from hwcost.errors import OfframpError
from hwcost.strict_toml import Fields, read_toml

CHANNEL_MULTIPLE = 8


@dataclass(frozen=True)
class BlockSpec:
    """One inverted residual: 1x1 expansion, depth-wise k x k, linear 1x1 projection, each with BatchNorm.

    Attributes:
        in_channels: Channels of the input.
        expansion: Factor of the expansion; 1 means the block has no expanding convolution.
        out_channels: Channels of the output.
        kernel: Side of the depth-wise kernel, odd; padding keeps the size.
        stride: Step of the depth-wise convolution.
    """

    in_channels: int
    expansion: int
    out_channels: int
    kernel: int
    stride: int

    def __post_init__(self) -> None:
        if min(self.in_channels, self.expansion, self.out_channels, self.stride) < 1:
            raise OfframpError(f"expected sizes of at least 1 in a block, got {self}")
        if self.kernel < 1 or self.kernel % 2 == 0:
            raise OfframpError(f"expected an odd kernel, got {self.kernel}")

    @property
    def expanded_channels(self) -> int:
        """Channels of the depth-wise convolution."""
        return self.in_channels * self.expansion

    @property
    def has_expand(self) -> bool:
        """Whether there is an expanding convolution."""
        return self.expansion > 1

    @property
    def residual(self) -> bool:
        """Whether the input is added to the output."""
        return self.stride == 1 and self.in_channels == self.out_channels

    @property
    def parameters(self) -> int:
        """Weights of the convolutions and two per BatchNorm channel."""
        expanded = self.expanded_channels
        expand = self.in_channels * expanded + 2 * expanded if self.has_expand else 0
        depthwise = expanded * self.kernel**2 + 2 * expanded
        return expand + depthwise + expanded * self.out_channels + 2 * self.out_channels


@dataclass(frozen=True)
class BackboneSpec:
    """A stem convolution and a row of blocks.

    Attributes:
        name: Of the backbone, with its width factor where that is not 1.
        in_channels: Channels of the image.
        stem_channels: Outputs of the stem.
        blocks: In order.
        mounting_points: Indices of the blocks an early exit may follow, ascending; never the last block.
        stem_kernel: Side of the stem's kernel.
        stem_stride: Step of the stem.
    """

    name: str
    in_channels: int
    stem_channels: int
    blocks: tuple[BlockSpec, ...]
    mounting_points: tuple[int, ...]
    stem_kernel: int = 3
    stem_stride: int = 1

    def __post_init__(self) -> None:
        if not self.blocks:
            raise OfframpError("expected at least one block in a backbone, got none")
        channels = self.stem_channels
        for i, block in enumerate(self.blocks):
            if block.in_channels != channels:
                raise OfframpError(
                    f"expected {channels} input channels in block {i}, got {block.in_channels}"
                )
            channels = block.out_channels
        points = self.mounting_points
        if list(points) != sorted(set(points)) or any(not 0 <= p < len(self.blocks) - 1 for p in points):
            raise OfframpError(
                f"expected ascending mounting points in 0..{len(self.blocks) - 2}, got {list(points)}"
            )

    @property
    def n_blocks(self) -> int:
        """Number of blocks."""
        return len(self.blocks)

    @property
    def parameters(self) -> int:
        """Parameters of stem and blocks, two per BatchNorm channel, no head."""
        stem = self.in_channels * self.stem_channels * self.stem_kernel**2 + 2 * self.stem_channels
        return stem + sum(block.parameters for block in self.blocks)

    def scaled(self, width: float) -> BackboneSpec:
        """The backbone with channels scaled to the nearest multiple of 8, at least 8; 1 changes nothing."""
        if not 0 < width <= 8:
            raise OfframpError(f"expected a width factor above 0 and at most 8, got {width}")
        if width == 1:
            return self

        def scale(channels: int) -> int:
            return max(CHANNEL_MULTIPLE, int(channels * width / CHANNEL_MULTIPLE + 0.5) * CHANNEL_MULTIPLE)

        channels = stem_channels = scale(self.stem_channels)
        blocks = []
        for block in self.blocks:
            out_channels = scale(block.out_channels)
            blocks.append(replace(block, in_channels=channels, out_channels=out_channels))
            channels = out_channels
        return replace(
            self, name=f"{self.name}-x{width:g}", stem_channels=stem_channels, blocks=tuple(blocks)
        )

    def with_in_channels(self, in_channels: int) -> BackboneSpec:
        """The backbone for images with another number of channels."""
        return replace(self, in_channels=in_channels)

    def out_sizes(self, image_size: int) -> tuple[int, ...]:
        """Side of the square map behind each block."""
        size = -(-image_size // self.stem_stride)
        sizes = []
        for block in self.blocks:
            size = -(-size // block.stride)
            sizes.append(size)
        return tuple(sizes)


def backbone_names() -> tuple[str, ...]:
    """Names that `load_backbone` knows."""
    folder = resources.files("hwcost.networks")
    return tuple(sorted(item.name[:-5] for item in folder.iterdir() if item.name.endswith(".toml")))


def load_backbone(name: str) -> BackboneSpec:
    """Reads a packaged backbone.

    Raises:
        OfframpError: The name is unknown or its table is broken.
    """
    if name not in backbone_names():
        raise OfframpError(f"expected a backbone of {', '.join(backbone_names())}, got {name!r}")
    with resources.as_file(resources.files("hwcost.networks") / f"{name}.toml") as path:
        return read_backbone(Path(path))


def read_backbone(path: Path) -> BackboneSpec:
    """Reads a backbone's block table (TOML, strict)."""
    fields = Fields(read_toml(path), path.name)
    stem_channels = channels = fields.integer("stem_channels")
    blocks = []
    for table in fields.tables("block"):
        out_channels = table.integer("out_channels")
        kernel, stride = table.integer("kernel"), table.integer("stride")
        blocks.append(BlockSpec(channels, table.integer("expansion"), out_channels, kernel, stride))
        channels = out_channels
        table.done()
    spec = BackboneSpec(
        name=fields.text("name"),
        in_channels=fields.integer("in_channels"),
        stem_channels=stem_channels,
        blocks=tuple(blocks),
        mounting_points=fields.integers("mounting_points", minimum=0),
        stem_kernel=fields.integer("stem_kernel"),
        stem_stride=fields.integer("stem_stride"),
    )
    fields.done()
    return spec
