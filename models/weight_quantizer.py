"""The quantizer of a layer's weights on a CPU, with one step for each output, as one autograd function.

Written with the usual operators it is some forty small ones for each layer, most of them for the steps alone, and
calling them takes far longer than what they compute.
"""

import math
from typing import Any

import torch
from torch import Tensor

from models.fast_quantizer import Quantizer


class _QuantizeRows(torch.autograd.Function):
    """The arithmetic of `models.fast_quantizer.Rounding`, by row."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, value: Tensor, quantizer: Quantizer) -> Tensor:
        steps = quantizer.steps()
        quotients = x / steps
        ctx.limits = quantizer.low, quantizer.high
        ctx.save_for_backward(quotients, steps)
        return quotients.round().clamp_(*ctx.limits).mul_(steps)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, None]:
        quotients, steps = ctx.saved_tensors
        (gradient,) = gradients
        low, high = ctx.limits
        of_x = torch.ops.aten.hardtanh_backward(gradient, quotients, low - 0.5, high + 0.5)
        products = quotients.round().clamp_(low, high).mul_(gradient).addcmul_(of_x, quotients, value=-1.0)
        of_steps = products.sum(list(range(1, products.dim())), keepdim=True)
        return of_x, of_steps.mul_(steps).mul_(math.log(2)), None


def applies(x: Tensor, value: Tensor) -> bool:
    """Whether `quantize` can take this tensor with scales of this shape."""
    return (
        x.device.type == "cpu"
        and x.dtype == value.dtype == torch.float32
        and value.shape == (x.shape[0], *(1,) * (x.dim() - 1))
    )


def quantize(x: Tensor, quantizer: Quantizer) -> Tensor:
    """Quantizes weights on the CPU.

    Args:
        x: (outputs, ...) float32; not changed.
        quantizer: Its value is shaped (outputs, 1, ...).

    Returns:
        Multiples of the steps, shaped like `x`.
    """
    result: Tensor = _QuantizeRows.apply(x, quantizer.value, quantizer)
    return result
