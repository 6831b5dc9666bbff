"""A backbone of three small stages: whole studies and refinements of it take seconds."""

from torch import nn

from models.backbones.stages import Stages


def tiny(in_channels: int) -> Stages:
    """Maps of half and a quarter of the image's side."""

    def stage(inputs: int, outputs: int, stride: int) -> nn.Sequential:
        convolution = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        return nn.Sequential(convolution, nn.BatchNorm2d(outputs), nn.ReLU())

    return Stages("tiny", [stage(8, 8, 1), stage(8, 16, 2), stage(16, 16, 1)], stem=stage(in_channels, 8, 2))
