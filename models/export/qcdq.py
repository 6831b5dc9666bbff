"""Quantizers as the standard ONNX operators QuantizeLinear, Clip and DequantizeLinear.

Integers of fewer than 8 bits travel as 8-bit ones that a Clip keeps in their range; Clip is how a compiler learns
their number of bits. The bias stays float, in an addition of its own, see `models.export.products`.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from models.export.products import channel_axis, exported_layout, product
from models.plain_layers import PlainConv, PlainLinear, PlainQuantizer


class _Quantize(torch.autograd.Function):
    """A quantizer as three nodes."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, scale: Tensor, zero: Tensor, low: int, high: int) -> Tensor:
        del ctx, zero
        return torch.div(x, scale).round_().clamp_(low, high).mul_(scale)

    @staticmethod
    def symbolic(g: Any, x: Any, scale: Any, zero: Any, low: int, high: int) -> Any:
        quantized = _clip(g, g.op("QuantizeLinear", x, scale, zero), low, high)
        return g.op("DequantizeLinear", quantized, scale, zero).setType(x.type())


class _Dequantize(torch.autograd.Function):
    """Integer weights and their scale per output channel as two nodes."""

    @staticmethod
    def forward(ctx: Any, integers: Tensor, scale: Tensor, zeros: Tensor, limit: int, axis: int) -> Tensor:
        del ctx, zeros, limit
        shape = [1] * integers.dim()
        shape[axis] = -1
        return integers.to(scale.dtype) * scale.view(shape)

    @staticmethod
    def symbolic(g: Any, integers: Any, scale: Any, zeros: Any, limit: int, axis: int) -> Any:
        clipped = _clip(g, integers, -limit, limit)
        made = g.op("DequantizeLinear", clipped, scale, zeros, axis_i=axis)
        return made.setType(integers.type().with_dtype(torch.float32))


def _clip(g: Any, integers: Any, low: int, high: int) -> Any:
    signed = low < 0
    if (low, high) == ((-128, 127) if signed else (0, 255)):
        return integers
    kind = torch.int8 if signed else torch.uint8
    bounds = [g.op("Constant", value_t=torch.tensor(value, dtype=kind)) for value in (low, high)]
    return g.op("Clip", integers, *bounds)


class QcdqQuantizer(nn.Module):
    """Stands for a `PlainQuantizer` in an exported graph."""

    scale: Tensor
    zero: Tensor

    def __init__(self, plain: PlainQuantizer) -> None:
        super().__init__()
        self.low, self.high = plain.low, plain.high
        self.register_buffer("scale", plain.scale)
        self.register_buffer("zero", torch.zeros((), dtype=torch.int8 if plain.signed else torch.uint8))

    def forward(self, x: Tensor) -> Tensor:
        """Any shape; the same shape."""
        result: Tensor = _Quantize.apply(x, self.scale, self.zero, self.low, self.high)
        return result


class QcdqLayer(nn.Module):
    """Stands for a `PlainConv` or `PlainLinear` in an exported graph."""

    integers: Tensor
    scale: Tensor
    zeros: Tensor

    def __init__(self, plain: PlainConv | PlainLinear) -> None:
        super().__init__()
        self.plain = plain
        self.limit, self.axis = plain.source.limit, channel_axis(plain)
        self.register_buffer("integers", exported_layout(plain, plain.source.integers))
        self.register_buffer("scale", plain.source.scale)
        self.register_buffer("zeros", torch.zeros(len(plain.source.scale), dtype=torch.int8))

    def forward(self, x: Tensor) -> Tensor:
        """As the layer it stands for."""
        weight = _Dequantize.apply(self.integers, self.scale, self.zeros, self.limit, self.axis)
        return product(self.plain, x, weight)


def qcdq_module(plain: nn.Module) -> nn.Module:
    """What stands for a plain quantized layer."""
    return QcdqQuantizer(plain) if isinstance(plain, PlainQuantizer) else QcdqLayer(plain)  # type: ignore[arg-type]
