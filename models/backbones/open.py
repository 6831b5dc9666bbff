"""Backbones by name or factory. Imports no PyTorch until a backbone needs it."""

from hwcost.errors import OfframpError
from hwcost.networks import BackboneSpec, backbone_names, load_backbone
from models.backbones.staged import StagedBackbone

BUILT_IN = {
    "efficientnet_b0": "models.backbones.efficientnet_b0:efficientnet_b0",
    "mobilenet_v2": "models.backbones.mobilenet_v2:mobilenet_v2",
    "resnet18": "models.backbones.resnet18:resnet18",
}
"""Names of torchvision's networks, adapted to small images."""


def known_backbones() -> tuple[str, ...]:
    """Names that `open_backbone` takes, beside factories."""
    return tuple(sorted((*backbone_names(), *BUILT_IN)))


def open_backbone(
    name: str, width: float = 1.0, in_channels: int = 3, image_size: int = 32
) -> BackboneSpec | StagedBackbone:
    """A backbone for images of one shape.

    Args:
        name: One of `known_backbones`, or a factory as `package.module:function`.
        width: Factor on the channels.
        in_channels: Channels of the image.
        image_size: Its side in pixels.

    Raises:
        OfframpError: When the name is unknown, the factory cannot be found or fails, or a stage cannot be quantized.
    """
    if not 0 < width <= 8:
        raise OfframpError(f"expected a width factor above 0 and at most 8, got {width}")
    if in_channels < 1 or image_size < 1:
        raise OfframpError(f"expected images with channels and pixels, got {in_channels} and {image_size}")
    if name in backbone_names():
        return load_backbone(name).scaled(width).with_in_channels(in_channels)
    if name not in BUILT_IN and ":" not in name:
        raise OfframpError(
            f"expected a backbone of {', '.join(known_backbones())} or a factory as package.module:function, "
            f"got {name!r}"
        )
    from models.backbones.build import trunk_of
    from models.backbones.factory import call_factory

    factory = BUILT_IN.get(name, name)
    stages = call_factory(factory, width, in_channels, image_size)
    full_name = stages.name if width == 1 else f"{stages.name}-x{width:g}"
    trunk, fingerprint = trunk_of(stages, full_name, in_channels, image_size)
    return StagedBackbone(full_name, factory, width, in_channels, image_size, trunk, fingerprint)
