"""Quantizers as the operator Quant of QONNX (Pappalardo et al. 2022, "QONNX: representing arbitrary-precision
quantized neural networks"), which names the number of bits of every tensor.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from models.export.products import exported_layout, product
from models.plain_layers import PlainConv, PlainLinear, PlainQuantizer

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
    """Stands for a `PlainQuantizer` in an exported graph."""

    scale: Tensor
    zero: Tensor
    bits: Tensor

    def __init__(self, plain: PlainQuantizer) -> None:
        super().__init__()
        self.low, self.high = plain.low, plain.high
        self.register_buffer("scale", plain.scale)
        self.register_buffer("zero", torch.zeros(()))
        self.register_buffer("bits", torch.tensor(float(plain.bits)))

    def forward(self, x: Tensor) -> Tensor:
        """Any shape; the same shape."""
        result: Tensor = _Quant.apply(x, self.scale, self.zero, self.bits, self.low, self.high, 0)
        return result


class QonnxLayer(nn.Module):
    """Stands for a `PlainConv` or `PlainLinear` in an exported graph; weights are float values on their grid."""

    values: Tensor
    scale: Tensor
    zero: Tensor
    bits: Tensor

    def __init__(self, plain: PlainConv | PlainLinear) -> None:
        super().__init__()
        self.plain = plain
        self.limit = plain.source.limit
        self.register_buffer("values", exported_layout(plain, plain.source.values()))
        self.register_buffer("scale", exported_layout(plain, plain.source.broadcast_scale()))
        self.register_buffer("zero", torch.zeros(()))
        self.register_buffer("bits", torch.tensor(float(plain.source.bits)))

    def forward(self, x: Tensor) -> Tensor:
        """As the layer it stands for."""
        weight = _Quant.apply(self.values, self.scale, self.zero, self.bits, -self.limit, self.limit, 1)
        return product(self.plain, x, weight)


def qonnx_module(plain: nn.Module) -> nn.Module:
    """What stands for a plain quantized layer."""
    return QonnxQuantizer(plain) if isinstance(plain, PlainQuantizer) else QonnxLayer(plain)  # type: ignore[arg-type]
