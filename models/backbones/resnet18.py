"""ResNet-18 (He et al. 2016, arXiv 1512.03385) out of torchvision's blocks."""

from torch import nn

from models.backbones.stages import Stages
from models.backbones.strides import strides_for
from models.torchvision_adapter import torchvision_module

_CHANNELS = (64, 128, 256, 512)
_BLOCKS_A_LAYER = 2


def resnet18(width: float = 1.0, in_channels: int = 3, image_size: int = 32) -> Stages:
    """Eight stages, a basic block each; an exit may follow any but the last.

    Names are those of torchvision's `resnet18`, so its weights fit at width 1, three channels and 128 pixels or
    more. Below that the first convolution is 3x3 without stride, and below 64 pixels there is no max-pooling.

    Args:
        width: Factor on the channels, which are rounded to multiples of 8.
        in_channels: Channels of the image.
        image_size: Its side in pixels.
    """
    block = torchvision_module().models.resnet.BasicBlock
    channels = [max(8, int(c * width / 8 + 0.5) * 8) for c in _CHANNELS]
    first, pool, *strides = strides_for(image_size, (2, 2, 2, 2, 2))
    kernel = 7 if first == 2 else 3
    model = nn.Module()
    model.conv1 = nn.Conv2d(in_channels, channels[0], kernel, first, kernel // 2, bias=False)
    model.bn1 = nn.BatchNorm2d(channels[0])
    model.relu = nn.ReLU()
    stem: list[nn.Module] = [model.conv1, model.bn1, model.relu]
    if pool == 2:
        model.maxpool = nn.MaxPool2d(3, 2, 1)
        stem.append(model.maxpool)
    stages: list[nn.Module] = []
    before = channels[0]
    for number, (planes, stride) in enumerate(zip(channels, (1, *strides), strict=True), start=1):
        layer = nn.Sequential()
        for index in range(_BLOCKS_A_LAYER):
            step = stride if index == 0 else 1
            skip = None
            if index == 0 and number > 1:
                skip = nn.Sequential(nn.Conv2d(before, planes, 1, step, bias=False), nn.BatchNorm2d(planes))
            layer.append(block(before, planes, step, skip))
            before = planes
        setattr(model, f"layer{number}", layer)
        stages += list(layer)
    return Stages("resnet18", stages, stem=nn.Sequential(*stem), model=model)
