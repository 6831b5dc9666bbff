"""EfficientNet-B0 (Tan and Le 2019, arXiv 1905.11946) as torchvision builds it."""

from typing import Any

from torch import nn

from models.backbones.stages import Stages
from models.backbones.strides import strides_for
from models.torchvision_adapter import torchvision_module

# expansion, kernel, inputs, outputs, repeats; which of them have a stride of 2 at 224x224
_SETTING = (
    (1, 3, 32, 16, 1),
    (6, 3, 16, 24, 2),
    (6, 5, 24, 40, 2),
    (6, 3, 40, 80, 3),
    (6, 5, 80, 112, 3),
    (6, 5, 112, 192, 4),
    (6, 3, 192, 320, 1),
)
_STRIDED = (1, 2, 3, 5)


def efficientnet_b0(width: float = 1.0, in_channels: int = 3, image_size: int = 32) -> Stages:
    """Sixteen stages, a block with squeeze and excitation each; an exit may follow any but the last.

    Names are those of torchvision's `efficientnet_b0`, so its weights fit at width 1 and three channels. The 1x1
    convolution to 1280 channels belongs to the last stage. Stochastic depth is left out. Below 128 pixels the first
    strides are 1, see `models.backbones.strides`.

    Args:
        width: Torchvision's `width_mult`: channels are rounded to multiples of 8, never down by over 10 %.
        in_channels: Channels of the image.
        image_size: Its side in pixels.
    """
    efficientnet = torchvision_module().models.efficientnet
    first, *strides = strides_for(image_size, (2, 2, 2, 2, 2))
    of = dict(zip(_STRIDED, strides, strict=True))
    setting = [
        efficientnet.MBConvConfig(t, k, of.get(i, 1), c, o, n, width_mult=width)
        for i, (t, k, c, o, n) in enumerate(_SETTING)
    ]
    model: nn.Module = efficientnet.EfficientNet(setting, dropout=0.0, stochastic_depth_prob=0.0)
    features: list[Any] = list(model.get_submodule("features").children())
    old = features[0][0]
    features[0][0] = nn.Conv2d(in_channels, old.out_channels, 3, first, 1, bias=False)
    blocks = [block for layer in features[1:-1] for block in layer]
    stages = [*blocks[:-1], nn.Sequential(blocks[-1], features[-1])]
    return Stages("efficientnet_b0", stages, stem=features[0], model=model)
