"""Quantized layers as plain PyTorch: fixed integers and scales, no Brevitas, no gradient. What gets deployed.

Layers multiply integers by integers and scale the sum afterwards. Sums of integers below 2^24 are exact in float32 in
any order, so every library, batch size and number of threads gives the same bits. With the scales inside the sum, as
in training, rounding depends on the order; now and then it carries a value over the border between two levels of the
next quantizer, which later layers amplify.
"""

from __future__ import annotations

import dataclasses

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models import cuda_depthwise, cuda_quantizer

LARGEST_LEVEL = 2.0**21
"""No integer of an activation is larger."""


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
        if cuda_quantizer.applies(x, self.scale):
            return cuda_quantizer.quantize_fixed(x, self.scale, float(self.low), float(self.high))
        return torch.div(x, self.scale).round_().clamp_(self.low, self.high).mul_(self.scale)


@dataclasses.dataclass(frozen=True, eq=False)
class Grid:
    """Where the values lie that a layer reads.

    Attributes:
        scale: Scalar, their step.
        bits: Of the integers.
        signed: Whether there are values below zero.
    """

    scale: Tensor
    bits: int
    signed: bool


class PlainLayer(nn.Module):
    """What convolution and linear layer share: x / step, rounded, times integers, times a factor, plus the bias.

    Args:
        source: The weights.
        bias: (out_channels,) or None.
        grid: Of the input; None where it lies on none, and is multiplied as it is.
    """

    weight: Tensor
    factor: Tensor
    bias: Tensor | None
    input_scale: Tensor | None

    def __init__(self, source: IntegerWeight, bias: Tensor | None, grid: Grid | None) -> None:
        super().__init__()
        self.source, self.grid = source, grid
        step = source.scale.double() * (1.0 if grid is None else grid.scale.double())
        self.register_buffer("weight", source.integers.to(source.scale.dtype))
        self.register_buffer("factor", step.to(source.scale.dtype))
        self.register_buffer("bias", bias)
        self.register_buffer("input_scale", None if grid is None else grid.scale.reshape(()))

    def forward(self, x: Tensor) -> Tensor:
        """(n, c, ...) to (n, k, ...)."""
        if self.input_scale is not None:
            x = self._integers(x, self.input_scale)
        y = self.multiply(x, self.weight)
        y = y.mul_(self.per_channel(self.factor, y.dim()))
        return y if self.bias is None else y.add_(self.per_channel(self.bias, y.dim()))

    @staticmethod
    def _integers(x: Tensor, scale: Tensor) -> Tensor:
        if cuda_quantizer.applies(x, scale):
            return cuda_quantizer.quantize_fixed(x, scale, -LARGEST_LEVEL, LARGEST_LEVEL, scaled=False)
        return torch.div(x, scale).round_()

    def multiply(self, x: Tensor, weight: Tensor) -> Tensor:
        """The sum of products alone; differs by the kind of layer."""
        raise NotImplementedError

    @staticmethod
    def per_channel(values: Tensor, dimensions: int) -> Tensor:
        """(k,) shaped (1, k, 1, ...)."""
        return values.view(1, -1, *[1] * (dimensions - 2))


class PlainConv(PlainLayer):
    """A convolution.

    Args:
        source: See `PlainLayer`.
        bias: See `PlainLayer`.
        grid: See `PlainLayer`.
        stride: Of the window.
        padding: With zeros, on each side.
        dilation: Of the window.
        groups: As of `torch.nn.Conv2d`.
    """

    def __init__(
        self,
        source: IntegerWeight,
        bias: Tensor | None,
        grid: Grid | None,
        stride: tuple[int, int],
        padding: tuple[int, int],
        dilation: tuple[int, int],
        groups: int,
    ) -> None:
        super().__init__(source, bias, grid)
        self.stride, self.padding, self.dilation, self.groups = stride, padding, dilation, groups
        self.weight = self.weight.contiguous(memory_format=torch.channels_last)

    def multiply(self, x: Tensor, weight: Tensor) -> Tensor:
        """(n, c, h, w) to (n, k, h', w')."""
        if cuda_depthwise.applies(x, weight, self.stride, self.padding, self.dilation, self.groups):
            return cuda_depthwise.depthwise_conv(x, weight, self.stride[0])
        return F.conv2d(x, weight, None, self.stride, self.padding, self.dilation, self.groups)


class PlainLinear(PlainLayer):
    """A linear layer."""

    def multiply(self, x: Tensor, weight: Tensor) -> Tensor:
        """(n, in_features) to (n, out_features)."""
        return F.linear(x, weight)
