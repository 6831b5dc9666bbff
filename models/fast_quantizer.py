"""The arithmetic of an integer quantizer as one autograd function that stays in the processor's cache.

Written with the usual operators, a quantizer passes over its tensor more than ten times (divide, round, two
comparisons, two selections, multiply, and all of it backwards), and on a CPU those passes are most of a
training step. Here each piece of the tensor goes through all operators while it is in the cache.
"""

import contextlib
import math
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor

PIECE_ELEMENTS = 1 << 20
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


class Quantizer(NamedTuple):
    """A learned integer quantizer.

    Attributes:
        value: Base-2 logarithm of the threshold, learned: one element, of weights one for each output.
        levels: The step between two neighbouring values is the threshold divided by this.
        smallest: Least threshold, 0 for none; the gradient passes it.
        low: Smallest integer.
        high: Largest integer.
    """

    value: Tensor
    levels: float
    smallest: float
    low: int
    high: int

    def steps(self) -> Tensor:
        """Shaped like `value`."""
        threshold = torch.pow(2.0, self.value.detach())
        return (threshold.clamp_min_(self.smallest) if self.smallest else threshold).div_(self.levels)


class Rounding:
    """The arithmetic of a quantizer with one step on a CPU, forwards and backwards.

    Args:
        quantizer: Its value has one element.
    """

    def __init__(self, quantizer: Quantizer) -> None:
        self.step = float(quantizer.steps())
        self._low, self._high = float(quantizer.low), float(quantizer.high)
        self._shape = quantizer.value.shape

    def round(self, x: Tensor, output: Tensor) -> Tensor | None:
        """round(x / step) limited to [low, high], times step.

        Args:
            x: Dense, float32 or bfloat16.
            output: Laid out and typed like `x`, or `x` itself; overwritten.

        Returns:
            Of a large float32 map the integers, to be kept for the backward pass in place of the output. What reads a
            map in bfloat16 keeps it as it is, so integers beside it would save nothing.
        """
        is_float = x.dtype == torch.float32
        compact = is_float and is_large(x)
        codes = torch.empty_like(x, dtype=code_type(self._low, self._high)) if compact else None
        room = _scratch(x)
        for source, target, code in zip(
            pieces(x), pieces(output), pieces(output if codes is None else codes), strict=True
        ):
            values = source if is_float else room[: source.numel()].copy_(source)
            # A division takes far longer than a product, and bfloat16 does not keep the digit that they differ in.
            integers = torch.div(values, self.step, out=target) if is_float else values.mul_(1.0 / self.step)
            integers.round_().clamp_(self._low, self._high)
            if codes is not None:
                # PyTorch has a fast way from float32 to int8, and none straight to uint8.
                code.copy_(integers if code.dtype == torch.int8 else integers.int())
            integers.mul_(self.step)
            if not is_float:
                target.copy_(integers)
        return codes

    def differentiate(
        self, gradient: Tensor, x: Tensor, kept: Tensor, with_input: bool
    ) -> tuple[Tensor, float]:
        """The gradient of x, straight-through inside the limits, and a part of that of the value.

        Args:
            gradient: Of the output, in the memory order of `x`.
            x: What was rounded.
            kept: The output, or the integers where `round` returned them.
            with_input: Whether the second result is whole.

        Returns:
            gx, and sum(gradient * output), less sum(gx * x) if `with_input`.
        """
        # Rounding half to even decides which side of the limit a tie falls: odd limits are left, even ones
        # are kept. Ties have measure zero; strict comparison is used for both.
        low, high = (self._low - 0.5) * self.step, (self._high + 0.5) * self.step
        result = torch.empty_like(x)
        if x.dtype != torch.float32:
            torch.ops.aten.hardtanh_backward.grad_input(gradient, x, low, high, grad_input=result)
            total = _sum_of_products(gradient, kept)
            return result, total - _sum_of_products(result, x) if with_input else total
        total, unit = 0.0, 1.0 if kept.is_floating_point() else self.step
        for g, source, y, inside in zip(
            pieces(gradient), pieces(x), pieces(kept), pieces(result), strict=True
        ):
            torch.ops.aten.hardtanh_backward.grad_input(g, source, low, high, grad_input=inside)
            total += unit * float(torch.dot(g, y.float()))
            if with_input:
                total -= float(torch.dot(inside, source))
        return result, total

    def of_value(self, total: float) -> Tensor:
        """The gradient of the value, for the whole second result of `differentiate`.

        That of the step is sum(g * (q - x / step)) inside and sum(g * q) outside the limits, with q the integer
        (Esser et al. 2020, "Learned step size quantization", equation 3, without its factor). With the output y and
        the gradient gx of x that is (sum(g * y) - sum(gx * x)) / step, and the step is a constant times 2^value.
        """
        return torch.full(self._shape, total * math.log(2))


class _Quantize(torch.autograd.Function):
    """See `Rounding`. The second output are the integers of a large map, empty for others."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, value: Tensor, quantizer: Quantizer) -> tuple[Tensor, Tensor]:
        ctx.rounding = Rounding(quantizer)
        output = torch.empty_like(x)
        codes = ctx.rounding.round(x, output)
        ctx.save_for_backward(x, output if codes is None else codes)
        codes = x.new_empty(0) if codes is None else codes
        ctx.mark_non_differentiable(codes)
        return output, codes

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, None]:
        x, kept = ctx.saved_tensors
        of_x, total = ctx.rounding.differentiate(match_layout(gradients[0], x), x, kept, with_input=True)
        return of_x, ctx.rounding.of_value(total), None


def applies(x: Tensor, value: Tensor) -> bool:
    """Whether `quantize` can take this tensor with scales of this shape."""
    return (
        x.device.type == "cpu"
        and x.dtype in (torch.float32, torch.bfloat16)
        and value.dtype == torch.float32
        and value.numel() == 1
    )


def quantize(x: Tensor, quantizer: Quantizer) -> Tensor:
    """Quantizes a tensor on the CPU with one step.

    Args:
        x: Any shape, float32 or bfloat16; not changed. The arithmetic is float32 for both.
        quantizer: Its value has one element.

    Returns:
        Multiples of the step, shaped and typed like `x`: of bfloat16 rounded to its 8 bits.
    """
    quantized, integers = _Quantize.apply(dense(x), quantizer.value, quantizer)
    return with_codes(quantized, integers, quantizer)


def with_codes(quantized: Tensor, integers: Tensor, quantizer: Quantizer) -> Tensor:
    """The map, with its integers for `kept_as_codes` if there are any."""
    if integers.numel():
        setattr(quantized, _CODES, Codes(integers, float(quantizer.steps())))
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
