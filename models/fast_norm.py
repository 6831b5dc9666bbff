"""BatchNorm in training and the quantizer behind it on a CPU, as one autograd function.

Together they pass over the map once less backwards than one by one: what the gradient of the quantizer's scale needs
of the normalized map follows from the gradients of the BatchNorm's weights. Of a large map the normalized values are
not kept; they are what the BatchNorm reads times one number a channel, plus another, made again in one pass.
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from models.fast_quantizer import Quantizer, Rounding, dense, is_large, match_layout, with_codes


@dataclass(frozen=True, eq=False)
class Normalized:
    """What a normalized map is made from again: y = x scale + shift, by channel."""

    x: Tensor
    scale: Tensor
    shift: Tensor

    @classmethod
    def by(
        cls, x: Tensor, norm: tuple[Tensor, Tensor], mean: Tensor, inverse_deviation: Tensor
    ) -> "Normalized":
        """By the weight and bias of a BatchNorm, with the batch's mean and deviation."""
        scale = norm[0].detach() * inverse_deviation
        return cls(x.detach(), scale, norm[1].detach() - mean * scale)

    def map(self) -> Tensor:
        """The normalized map."""
        # BatchNorm with mean 0 and variance 1 is this line, in one pass whatever the types of x and scale are.
        mean, variance = torch.zeros_like(self.scale), torch.ones_like(self.scale)
        found, _, _ = torch.native_batch_norm(self.x, self.scale, self.shift, mean, variance, False, 0.0, 0.0)
        return found


class _NormalizeAndQuantize(torch.autograd.Function):
    """The second output are the integers of a large map, empty for others."""

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        weight: Tensor,
        bias: Tensor,
        value: Tensor,
        norm: nn.BatchNorm2d,
        quantizer: Quantizer,
    ) -> tuple[Tensor, Tensor]:
        y, mean, inverse = torch.native_batch_norm(
            x, weight, bias, norm.running_mean, norm.running_var, True, norm.momentum or 0.0, norm.eps
        )
        ctx.rounding, ctx.epsilon, ctx.remade = Rounding(quantizer), norm.eps, is_large(y)
        output = y if ctx.remade else torch.empty_like(y)
        codes = ctx.rounding.round(y, output)
        ctx.save_for_backward(
            x, weight, bias, mean, inverse, x if ctx.remade else y, output if codes is None else codes
        )
        codes = y.new_empty(0) if codes is None else codes
        ctx.mark_non_differentiable(codes)
        return output, codes

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        x, weight, bias, mean, inverse, y, kept = ctx.saved_tensors
        if ctx.remade:
            y = Normalized.by(x, (weight, bias), mean, inverse).map()
        of_y, total = ctx.rounding.differentiate(match_layout(gradients[0], y), y, kept, with_input=False)
        wanted = [ctx.needs_input_grad[0], True, True]
        of_x, of_weight, of_bias = torch.ops.aten.native_batch_norm_backward(
            of_y, x, weight, None, None, mean, inverse, True, ctx.epsilon, wanted
        )
        # y = weight * normalized + bias, so this is sum(of_y * y) without a pass over either.
        total -= float(torch.dot(weight, of_weight) + torch.dot(bias, of_bias))
        return of_x, of_weight, of_bias, ctx.rounding.of_value(total), None, None


def applies(x: Tensor, norm: nn.Module, quantizer: Quantizer) -> bool:
    """Whether `normalize_and_quantize` can take this map."""
    return (
        x.device.type == "cpu"
        and x.dtype in (torch.float32, torch.bfloat16)
        and x.dim() == 4
        and torch.is_grad_enabled()
        and is_plain(norm)
        and quantizer.value.numel() == 1
        and quantizer.value.dtype == torch.float32
    )


def is_plain(norm: nn.Module) -> bool:
    """Whether it measures the batch and moves its running statistics by a constant momentum."""
    return (
        type(norm) is nn.BatchNorm2d
        and norm.training
        and norm.momentum is not None
        and norm.weight is not None
        and norm.weight.dtype == torch.float32
        and norm.running_mean is not None
        and norm.running_mean.dtype == torch.float32
    )


def normalize_and_quantize(x: Tensor, norm: nn.BatchNorm2d, quantizer: Quantizer) -> Tensor:
    """What a quantizer gives of the normalized map; the running statistics move, their counter does not.

    Args:
        x: (n, c, h, w), float32 or bfloat16.
        norm: In training, with weights, running statistics and a momentum.
        quantizer: Its value has one element.

    Returns:
        Shaped and typed like `x`.
    """
    quantized, integers = _NormalizeAndQuantize.apply(
        dense(x), norm.weight, norm.bias, quantizer.value, norm, quantizer
    )
    return with_codes(quantized, integers, quantizer)
