"""The arithmetic of an integer quantizer as one autograd function that stays in the processor's cache.

Written with the usual operators, a quantizer passes over its tensor more than ten times (divide, round, two
comparisons, two selections, multiply, and all of it backwards), and on a CPU those passes are most of a
training step. Here each piece of the tensor goes through all operators while it is in the cache.
"""

from typing import Any

import torch
from torch import Tensor

PIECE_ELEMENTS = 1 << 18
"""Elements handled at once: a few MB, so that pieces stay in the cache between operators
and the cost of calling operators stays small."""


class _Quantize(torch.autograd.Function):
    """round(x / scale) limited to [low, high], times scale; straight-through inside the limits.

    The gradient of the scale is sum(g * (q - x / scale)) inside and sum(g * q) outside the limits, with q the
    integer (Esser et al. 2020, "Learned step size quantization", equation 3, without its factor), here
    computed as (sum(g * y) - sum(gx * x)) / scale from the output y and the gradient gx of x.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, scale: Tensor, low: float, high: float) -> Tensor:
        step = float(scale)
        output = torch.empty_like(x)
        for source, target in zip(pieces(x), pieces(output), strict=True):
            if x.dtype == torch.float32:
                torch.div(source, step, out=target)
                target.round_().clamp_(low, high).mul_(step)
            else:
                target.copy_(source.float().div_(step).round_().clamp_(low, high).mul_(step))
        ctx.save_for_backward(x, output)
        ctx.step, ctx.low, ctx.high, ctx.shape = step, low, high, scale.shape
        return output

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, None, None]:
        x, output = ctx.saved_tensors
        gradient = match_layout(gradients[0], x)
        result = torch.empty_like(x)
        # Rounding half to even decides which side of the limit a tie falls: odd limits are left, even ones
        # are kept. Ties have measure zero; strict comparison is used for both.
        low, high = (ctx.low - 0.5) * ctx.step, (ctx.high + 0.5) * ctx.step
        total = 0.0
        for g, source, y, target in zip(
            pieces(gradient), pieces(x), pieces(output), pieces(result), strict=True
        ):
            if x.dtype == torch.float32:
                torch.ops.aten.hardtanh_backward.grad_input(g, source, low, high, grad_input=target)
                inside = target
            else:
                g, source, y = g.float(), source.float(), y.float()
                inside = torch.ops.aten.hardtanh_backward(g, source, low, high)
                target.copy_(inside)
            total += float(torch.dot(g, y)) - float(torch.dot(inside, source))
        return result, torch.full(ctx.shape, total / ctx.step), None, None


def quantize(x: Tensor, scale: Tensor, low: int, high: int) -> Tensor:
    """Quantizes a tensor on the CPU with one scale.

    Args:
        x: Any shape, float32 or bfloat16; not changed. The arithmetic is float32 for both.
        scale: One element, above 0: the step between two neighbouring values.
        low: Smallest integer.
        high: Largest integer.

    Returns:
        Multiples of the scale, shaped and typed like `x`: of bfloat16 rounded to its 8 bits.
    """
    result: Tensor = _Quantize.apply(dense(x), scale, float(low), float(high))
    return result


def dense(x: Tensor) -> Tensor:
    """The tensor itself where its elements lie without gaps, contiguous or channels-last, else a copy."""
    if x.is_contiguous() or (x.dim() == 4 and x.is_contiguous(memory_format=torch.channels_last)):
        return x
    return x.contiguous()


def pieces(x: Tensor) -> tuple[Tensor, ...]:
    """Views of `PIECE_ELEMENTS` consecutive elements in memory order."""
    flat = x.view(-1) if x.is_contiguous() else x.permute(0, 2, 3, 1).view(-1)
    return flat.split(PIECE_ELEMENTS)


def match_layout(gradient: Tensor, x: Tensor) -> Tensor:
    """The gradient in the memory order of `x`."""
    if gradient.stride() == x.stride():
        return gradient
    return gradient.contiguous(
        memory_format=torch.contiguous_format if x.is_contiguous() else torch.channels_last
    )
