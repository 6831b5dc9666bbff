"""A backbone made by a factory of stages, as plain data: what it costs, where exits sit, how to build it again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from hwcost.errors import OfframpError
from hwcost.networks.trunk import BlockOutput, Trunk

if TYPE_CHECKING:
    from torch import nn

    from hwcost.networks import Precision
    from models.backbones.stages import Stages
    from models.layers import LayerFactory


@dataclass(frozen=True)
class StagedBackbone:
    """Stands wherever a `hwcost.networks.BackboneSpec` stands. Made by `models.backbones.open.open_backbone`.

    It holds no module, so it can be compared, hashed and sent to another process; networks are built by calling the
    factory again.

    Attributes:
        name: With the width factor where that is not 1.
        factory: `package.module:function`.
        width: Factor on the channels.
        in_channels: Channels of the image.
        image_size: Its side in pixels; strides may depend on it.
        trunk: Its layers.
        fingerprint: SHA-256 (hex) over the code of all stages.
    """

    name: str
    factory: str
    width: float
    in_channels: int
    image_size: int
    trunk: Trunk
    fingerprint: str

    @property
    def n_blocks(self) -> int:
        """Number of stages."""
        return len(self.trunk.blocks)

    @property
    def mounting_points(self) -> tuple[int, ...]:
        """Stages an early exit may follow, ascending."""
        return self.trunk.mounting_points

    @property
    def blocks(self) -> tuple[BlockOutput, ...]:
        """The map behind each stage."""
        return self.trunk.blocks

    def out_sizes(self, image_size: int) -> tuple[int, ...]:
        """Side of the square map behind each stage.

        Raises:
            OfframpError: For images of another size than the backbone was opened for.
        """
        if image_size != self.image_size:
            raise OfframpError(
                f"expected images of {self.image_size} pixels for {self.name}, got {image_size}; "
                "open the backbone for this size"
            )
        return tuple(block.out_size for block in self.trunk.blocks)

    def stages(self) -> Stages:
        """What the factory returns, made anew."""
        from models.backbones.factory import call_factory

        return call_factory(self.factory, self.width, self.in_channels, self.image_size)

    def make_stem(self, layers: LayerFactory) -> nn.Module:
        """The quantizer of the image and the stem."""
        from models.backbones.build import build_stem

        return build_stem(self.stages(), layers)

    def make_blocks(self, precision: Precision, layers: LayerFactory) -> nn.ModuleList:
        """All stages, each with its own bits."""
        from models.backbones.build import build_blocks

        return build_blocks(self.stages(), precision, layers)
