"""Quantizers as the standard ONNX operators QuantizeLinear, Clip and DequantizeLinear.

Integers of fewer than 8 bits travel as 8-bit ones that a Clip keeps in their range; Clip is how a compiler learns
their number of bits. Layers read and multiply integers, see `models.export.products`.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from models.export.products import exported_layout, scaled_product
from models.plain_layers import PlainLayer, PlainLinear, PlainQuantizer


class _Quantize(torch.autograd.Function):
    """QuantizeLinear, Clip, DequantizeLinear: from one step to another."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, scale: Tensor, zero: Tensor, low: int, high: int, scale_out: Tensor
    ) -> Tensor:
        del ctx, zero
        return torch.div(x, scale).round_().clamp_(low, high).mul_(scale_out)

    @staticmethod
    def symbolic(g: Any, x: Any, scale: Any, zero: Any, low: int, high: int, scale_out: Any) -> Any:
        quantized = _clip(g, g.op("QuantizeLinear", x, scale, zero), low, high)
        return g.op("DequantizeLinear", quantized, scale_out, zero).setType(x.type())


class _Integers(torch.autograd.Function):
    """Stored integers as float values."""

    @staticmethod
    def forward(ctx: Any, integers: Tensor, one: Tensor, zero: Tensor, limit: int) -> Tensor:
        del ctx, zero, limit
        return integers.to(one.dtype)

    @staticmethod
    def symbolic(g: Any, integers: Any, one: Any, zero: Any, limit: int) -> Any:
        made = g.op("DequantizeLinear", _clip(g, integers, -limit, limit), one, zero)
        return made.setType(integers.type().with_dtype(torch.float32))


def _clip(g: Any, integers: Any, low: int, high: int) -> Any:
    signed = low < 0
    if (low, high) == ((-128, 127) if signed else (0, 255)):
        return integers
    kind = torch.int8 if signed else torch.uint8
    bounds = [g.op("Constant", value_t=torch.tensor(value, dtype=kind)) for value in (low, high)]
    return g.op("Clip", integers, *bounds)


class QcdqQuantizer(nn.Module):
    """Stands for a `PlainQuantizer` in an exported graph.

    Args:
        plain: What it stands for.
        scale_out: Step of what it returns; the quantizer's own when None.
        doubled: Quantizes twice its input with twice the step, which gives the same integers: behind a sum or product
            of two quantized tensors ONNX Runtime would make an integer kernel of all three, which rounds otherwise.
    """

    scale: Tensor
    scale_out: Tensor
    zero: Tensor

    def __init__(self, plain: PlainQuantizer, scale_out: Tensor | None = None, doubled: bool = False) -> None:
        super().__init__()
        self.low, self.high, self.doubled = plain.low, plain.high, doubled
        self.register_buffer("scale", 2.0 * plain.scale if doubled else plain.scale)
        self.register_buffer("scale_out", plain.scale if scale_out is None else scale_out)
        self.register_buffer("zero", torch.zeros((), dtype=torch.int8 if plain.signed else torch.uint8))

    def forward(self, x: Tensor) -> Tensor:
        """Any shape; the same shape."""
        x = 2.0 * x if self.doubled else x
        result: Tensor = _Quantize.apply(x, self.scale, self.zero, self.low, self.high, self.scale_out)
        return result


class QcdqLayer(nn.Module):
    """Stands for a `PlainLayer` in an exported graph.

    Of a matrix product that reads a DequantizeLinear ONNX Runtime (1.32) makes an integer kernel: of two of them one
    that on processors with AVX2 and without VNNI sums products of 8-bit numbers in 16 bits and saturates, of one one
    that rounds the other side to 8 bits. So a matrix product reads twice the integers of its input and half those of
    its weights, each by a Mul: the same products to the last bit, and nothing that it would replace.
    """

    integers: Tensor
    one: Tensor
    zero: Tensor

    def __init__(self, plain: PlainLayer) -> None:
        super().__init__()
        self.plain = plain
        self.limit = plain.source.limit
        self.read: QcdqQuantizer | None = None
        if plain.grid is not None:
            grid = PlainQuantizer(plain.grid.scale, plain.grid.bits, plain.grid.signed)
            self.read = QcdqQuantizer(grid, torch.ones(()))
        self.register_buffer("integers", exported_layout(plain, plain.source.integers))
        self.doubled = isinstance(plain, PlainLinear)
        self.register_buffer("one", torch.ones(()))
        self.register_buffer("zero", torch.zeros((), dtype=torch.int8))

    def forward(self, x: Tensor) -> Tensor:
        """As the layer it stands for."""
        weight = _Integers.apply(self.integers, self.one, self.zero, self.limit)
        integers = x if self.read is None else self.read(x)
        if self.doubled:
            integers, weight = 2.0 * integers, 0.5 * weight
        return scaled_product(self.plain, integers, weight)


def qcdq_module(plain: PlainLayer | PlainQuantizer, of_a_pair: bool = False) -> nn.Module:
    """What stands for a plain layer, or for a quantizer, perhaps that of a sum or product of two tensors."""
    return QcdqLayer(plain) if isinstance(plain, PlainLayer) else QcdqQuantizer(plain, doubled=of_a_pair)
