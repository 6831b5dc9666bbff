"""The arithmetic of an integer quantizer as one autograd function that stays in the processor's cache.

Written with the usual operators, a quantizer passes over its tensor more than ten times (divide, round, two
comparisons, two selections, multiply, and all of it backwards), and on a CPU those passes are most of a
training step. Here each piece of the tensor goes through all operators while it is in the cache.
"""

import contextlib
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

PIECE_ELEMENTS = 1 << 18
"""Elements handled at once: a few MB, so that pieces stay in the cache between operators
and the cost of calling operators stays small."""


COMPACT_BYTES = 16 * 2**20
"""Maps from this size on are kept for the backward pass in less memory, which costs time: about 7 % of a step of
small maps, where memory is not what runs out."""

_CODES = "quantizer_codes"
"""Attribute under which a quantized map carries its integers to the layer that reads it."""


@dataclass(frozen=True, eq=False)
class Codes:
    """A quantized map in a byte a value.

    Attributes:
        integers: Of the map's shape and memory order, int8 or uint8.
        step: Between two neighbouring values.
    """

    integers: Tensor
    step: float

    def values(self) -> Tensor:
        """The float32 map again, bit by bit."""
        return self.integers.float().mul_(self.step)


class _Quantize(torch.autograd.Function):
    """round(x / scale) limited to [low, high], times scale; straight-through inside the limits.

    The gradient of the scale is sum(g * (q - x / scale)) inside and sum(g * q) outside the limits, with q the
    integer (Esser et al. 2020, "Learned step size quantization", equation 3, without its factor), here
    computed as (sum(g * y) - sum(gx * x)) / scale from the output y and the gradient gx of x. Of a large map the
    integers are the second output; they are kept for the backward pass in place of the first.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, scale: Tensor, low: float, high: float) -> tuple[Tensor, Tensor]:
        step = float(scale)
        output = torch.empty_like(x)
        # What reads a map in bfloat16 keeps it as it is, so integers beside it would save nothing.
        ctx.compact = is_large(x) and x.dtype == torch.float32
        codes = torch.empty_like(x, dtype=code_type(low, high)) if ctx.compact else output
        room = _scratch(x)
        for source, target, code in zip(pieces(x), pieces(output), pieces(codes), strict=True):
            is_float = x.dtype == torch.float32
            values = source if is_float else room[: source.numel()].copy_(source)
            # A division takes far longer than a product, and bfloat16 does not keep the digit that they differ in.
            integers = torch.div(values, step, out=target) if is_float else values.mul_(1.0 / step)
            integers.round_().clamp_(low, high)
            if ctx.compact:
                # PyTorch has a fast way from float32 to int8, and none straight to uint8.
                code.copy_(integers if code.dtype == torch.int8 else integers.int())
            integers.mul_(step)
            if not is_float:
                target.copy_(integers)
        ctx.save_for_backward(x, codes)
        if not ctx.compact:
            codes = x.new_empty(0)
        ctx.mark_non_differentiable(codes)
        ctx.step, ctx.low, ctx.high, ctx.shape = step, low, high, scale.shape
        return output, codes

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, None, None]:
        x, kept = ctx.saved_tensors  # `kept` are integers of large maps, values of others
        unit = ctx.step if ctx.compact else 1.0
        gradient = match_layout(gradients[0], x)
        result = torch.empty_like(x)
        # Rounding half to even decides which side of the limit a tie falls: odd limits are left, even ones
        # are kept. Ties have measure zero; strict comparison is used for both.
        low, high = (ctx.low - 0.5) * ctx.step, (ctx.high + 0.5) * ctx.step
        if x.dtype != torch.float32:
            torch.ops.aten.hardtanh_backward.grad_input(gradient, x, low, high, grad_input=result)
            total = _sum_of_products(gradient, kept) - _sum_of_products(result, x)
            return result, torch.full(ctx.shape, total / ctx.step), None, None
        total = 0.0
        for g, source, y, inside in zip(
            pieces(gradient), pieces(x), pieces(kept), pieces(result), strict=True
        ):
            torch.ops.aten.hardtanh_backward.grad_input(g, source, low, high, grad_input=inside)
            total += unit * float(torch.dot(g, y.float())) - float(torch.dot(inside, source))
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
    result, integers = _Quantize.apply(dense(x), scale, float(low), float(high))
    quantized: Tensor = result
    if integers.numel():
        setattr(quantized, _CODES, Codes(integers, float(scale.detach())))
    return quantized


def is_large(x: Tensor) -> bool:
    """Whether a map is kept in less memory."""
    return x.numel() * x.element_size() >= COMPACT_BYTES


def code_type(low: float, high: float) -> torch.dtype:
    """The type that keeps integers from `low` to `high` in a byte each; int8 where it can, it is quicker to fill."""
    return torch.int8 if low < 0 or high <= 127 else torch.uint8


def _scratch(x: Tensor) -> Tensor:
    """Room for a piece in float32; memory that is used again stays in the cache."""
    return torch.empty(0 if x.dtype == torch.float32 else min(PIECE_ELEMENTS, x.numel()))


def _sum_of_products(a: Tensor, b: Tensor) -> float:
    """Sum over a b of two maps of one type and memory order, added up in float32.

    The weight gradient of a BatchNorm with mean 0 and variance 1 is this sum by channel. It is the one routine of
    the library that reads bfloat16 and adds in float32 without a copy in between.
    """
    flat = (a, b) if a.dim() == 4 and a.size(1) > 1 else (a.reshape(1, 1, 1, -1), b.reshape(1, 1, 1, -1))
    one = torch.ones(flat[0].shape[1])
    zero = torch.zeros_like(one)
    _, by_channel, _ = torch.ops.aten.native_batch_norm_backward(
        flat[0], flat[1], one, zero, one, None, None, False, 0.0, [False, True, False]
    )
    return float(by_channel.sum())


def kept_as_codes(x: Tensor) -> contextlib.AbstractContextManager[object]:
    """Inside, what reads a quantized map keeps its integers for the backward pass: a quarter of the memory.

    Args:
        x: Any map; of one that was not quantized here nothing changes.
    """
    codes = getattr(x, _CODES, None)
    if codes is None or not torch.is_grad_enabled():
        return contextlib.nullcontext()
    place, layout = (
        x.data_ptr(),
        (x.shape, x.stride()),
    )  # not x itself: the hooks live as long as the graph does

    def pack(saved: Tensor) -> Tensor | Codes:
        is_x = saved.data_ptr() == place and (saved.shape, saved.stride()) == layout
        return codes if is_x and saved.dtype == torch.float32 else saved.detach()

    def unpack(packed: Tensor | Codes) -> Tensor:
        return packed.values() if isinstance(packed, Codes) else packed

    return torch.autograd.graph.saved_tensors_hooks(pack, unpack)


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
