"""MobileNetV2 (Sandler et al. 2018, arXiv 1801.04381) as torchvision builds it."""

from typing import Any

from torch import nn

from models.backbones.stages import Stages
from models.backbones.strides import strides_for
from models.torchvision_adapter import torchvision_module

# expansion, channels, repeats; which of them have a stride of 2 at 224x224
_SETTING = ((1, 16, 1), (6, 24, 2), (6, 32, 3), (6, 64, 4), (6, 96, 3), (6, 160, 3), (6, 320, 1))
_STRIDED = (1, 2, 3, 5)


def mobilenet_v2(width: float = 1.0, in_channels: int = 3, image_size: int = 32) -> Stages:
    """Seventeen stages, an inverted residual each; an exit may follow any but the last.

    Names are those of torchvision's `mobilenet_v2`, so its weights fit at width 1 and three channels. The 1x1
    convolution to 1280 channels belongs to the last stage. Below 128 pixels the first strides are 1, see
    `models.backbones.strides`.

    Args:
        width: Torchvision's `width_mult`: channels are rounded to multiples of 8, never down by over 10 %.
        in_channels: Channels of the image.
        image_size: Its side in pixels.
    """
    first, *strides = strides_for(image_size, (2, 2, 2, 2, 2))
    of = dict(zip(_STRIDED, strides, strict=True))
    setting = [[t, c, n, of.get(i, 1)] for i, (t, c, n) in enumerate(_SETTING)]
    model: nn.Module = torchvision_module().models.MobileNetV2(
        width_mult=width, inverted_residual_setting=setting
    )
    features: list[Any] = list(model.get_submodule("features").children())
    old = features[0][0]
    features[0][0] = nn.Conv2d(in_channels, old.out_channels, 3, first, 1, bias=False)
    stages = [*features[1:-2], nn.Sequential(features[-2], features[-1])]
    return Stages("mobilenet_v2", stages, stem=features[0], model=model)
