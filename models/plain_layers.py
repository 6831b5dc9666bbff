"""Quantized layers as plain PyTorch: fixed integers and scales, no Brevitas, no gradient. What gets deployed."""

from __future__ import annotations

import dataclasses

import torch
import torch.nn.functional as F
from torch import Tensor, nn


@dataclasses.dataclass(frozen=True, eq=False)
class IntegerWeight:
    """Weights on an integer grid.

    Attributes:
        integers: (out_channels, ...) int8, from -(2^(bits-1) - 1) to 2^(bits-1) - 1.
        scale: (out_channels,) float32 above 0: the step of each output channel.
        bits: Of the integers.
    """

    integers: Tensor
    scale: Tensor
    bits: int

    @property
    def limit(self) -> int:
        """Largest magnitude the bits allow; the range is symmetric."""
        return 2 ** (self.bits - 1) - 1

    def broadcast_scale(self) -> Tensor:
        """The scale shaped (out_channels, 1, ...)."""
        return self.scale.view(-1, *[1] * (self.integers.dim() - 1))

    def values(self) -> Tensor:
        """Integers times scale."""
        return self.integers.to(self.scale.dtype) * self.broadcast_scale()


class PlainConv(nn.Module):
    """A convolution with integer weights and a float bias."""

    weight: Tensor
    bias: Tensor | None

    def __init__(
        self,
        source: IntegerWeight,
        bias: Tensor | None,
        stride: tuple[int, int],
        padding: tuple[int, int],
        dilation: tuple[int, int],
        groups: int,
    ) -> None:
        super().__init__()
        self.source = source
        self.stride, self.padding, self.dilation, self.groups = stride, padding, dilation, groups
        self.register_buffer("weight", source.values().contiguous(memory_format=torch.channels_last))
        self.register_buffer("bias", bias)

    def forward(self, x: Tensor) -> Tensor:
        """(n, c, h, w) to (n, k, h', w')."""
        return F.conv2d(x, self.weight, self.bias, self.stride, self.padding, self.dilation, self.groups)

    def convolve(self, x: Tensor, weight: Tensor) -> Tensor:
        """The convolution with a weight that was made elsewhere, without the bias."""
        return F.conv2d(x, weight, None, self.stride, self.padding, self.dilation, self.groups)


class PlainLinear(nn.Module):
    """A linear layer with integer weights and a float bias."""

    weight: Tensor
    bias: Tensor | None

    def __init__(self, source: IntegerWeight, bias: Tensor | None) -> None:
        super().__init__()
        self.source = source
        self.register_buffer("weight", source.values())
        self.register_buffer("bias", bias)

    def forward(self, x: Tensor) -> Tensor:
        """(n, in_features) to (n, out_features)."""
        return F.linear(x, self.weight, self.bias)


class PlainQuantizer(nn.Module):
    """Rounds to the grid of an activation, and cuts at its ends.

    Attributes:
        bits: Of the activation.
        signed: Whether it has values below zero.
    """

    scale: Tensor

    def __init__(self, scale: Tensor, bits: int, signed: bool) -> None:
        super().__init__()
        self.bits, self.signed = bits, signed
        self.register_buffer("scale", scale.reshape(()))

    @property
    def low(self) -> int:
        """Smallest integer."""
        return -(2 ** (self.bits - 1)) if self.signed else 0

    @property
    def high(self) -> int:
        """Largest integer."""
        return 2 ** (self.bits - 1) - 1 if self.signed else 2**self.bits - 1

    def forward(self, x: Tensor) -> Tensor:
        """Any shape; the same shape, multiples of the scale."""
        return torch.div(x, self.scale).round_().clamp_(self.low, self.high).mul_(self.scale)
