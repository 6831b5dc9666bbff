"""Quantizers as the operator Quant of QONNX (Pappalardo et al. 2022, "QONNX: representing arbitrary-precision
quantized neural networks"), which names the number of bits of every tensor.

Layers read and multiply integers (Quant with a scale of one), see `models.export.products`; tools that infer data
types see them as such.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from models.export.products import exported_layout, scaled_product
from models.plain_layers import PlainLayer, PlainQuantizer

DOMAIN = "qonnx.custom_op.general"
DOMAIN_VERSION = 1


class _Quant(torch.autograd.Function):
    """One Quant node."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, scale: Tensor, zero: Tensor, bits: Tensor, low: int, high: int, narrow: int
    ) -> Tensor:
        del ctx, zero, bits, narrow
        return torch.div(x, scale).round_().clamp_(low, high).mul_(scale)

    @staticmethod
    def symbolic(g: Any, x: Any, scale: Any, zero: Any, bits: Any, low: int, high: int, narrow: int) -> Any:
        made = g.op(
            f"{DOMAIN}::Quant",
            x,
            scale,
            zero,
            bits,
            signed_i=int(low < 0),
            narrow_i=narrow,
            rounding_mode_s="ROUND",
        )
        return made.setType(x.type())


class QonnxQuantizer(nn.Module):
    """A Quant node with constants of its own.

    Args:
        scale: Scalar.
        bits: Of the integers.
        low: Smallest integer.
        high: Largest integer.
        narrow: Whether the most negative integer is left out.
    """

    scale: Tensor
    zero: Tensor
    bits: Tensor

    def __init__(self, scale: Tensor, bits: int, low: int, high: int, narrow: bool = False) -> None:
        super().__init__()
        self.low, self.high, self.narrow = low, high, int(narrow)
        self.register_buffer("scale", scale)
        self.register_buffer("zero", torch.zeros(()))
        self.register_buffer("bits", torch.tensor(float(bits)))

    def forward(self, x: Tensor) -> Tensor:
        """Any shape; the same shape."""
        made: Tensor = _Quant.apply(x, self.scale, self.zero, self.bits, self.low, self.high, self.narrow)
        return made

    @classmethod
    def of(cls, plain: PlainQuantizer) -> QonnxQuantizer:
        """Stands for a plain quantizer."""
        return cls(plain.scale, plain.bits, plain.low, plain.high)


class QonnxLayer(nn.Module):
    """Stands for a `PlainLayer` in an exported graph."""

    integers: Tensor

    def __init__(self, plain: PlainLayer) -> None:
        super().__init__()
        self.plain = plain
        limit = plain.source.limit
        self.weight_quantizer = QonnxQuantizer(torch.ones(()), plain.source.bits, -limit, limit, narrow=True)
        self.read: QonnxQuantizer | None = None
        if plain.grid is not None:
            grid = PlainQuantizer(torch.ones(()), plain.grid.bits, plain.grid.signed)
            self.read = QonnxQuantizer.of(grid)
        self.register_buffer("integers", exported_layout(plain, plain.weight))

    def forward(self, x: Tensor) -> Tensor:
        """As the layer it stands for."""
        if self.read is not None:
            assert self.plain.input_scale is not None
            x = self.read(x / self.plain.input_scale)
        return scaled_product(self.plain, x, self.weight_quantizer(self.integers))


def qonnx_module(plain: nn.Module) -> nn.Module:
    """What stands for a plain quantized layer."""
    if isinstance(plain, PlainQuantizer):
        return QonnxQuantizer.of(plain)
    assert isinstance(plain, PlainLayer)
    return QonnxLayer(plain)
