"""An integer quantizer on a GPU in one kernel forwards and one backwards.

Written with the usual operators it takes more than ten kernels each way, most of them for its scale alone: at the
sizes of a training here, launching them takes as long as the convolutions. The scale is 2^value / levels with a
learned value; its gradient follows from that of the scale, as in `models.fast_quantizer`. Sums have a fixed order.
"""

import functools
import importlib.util
import math
from typing import Any

import torch
from torch import Tensor

from models.fast_quantizer import Quantizer, dense, match_layout

LARGEST = 2**31 - 1
"""Elements that offsets of 32 bits reach."""


@functools.cache
def has_triton() -> bool:
    """Whether kernels can be made; PyTorch brings Triton where it has CUDA."""
    return importlib.util.find_spec("triton") is not None


def applies(x: Tensor, value: Tensor) -> bool:
    """Whether `quantize` can take this tensor with scales of this shape."""
    rows = value.numel()
    return (
        x.device.type == "cuda"
        and x.dtype in (torch.float32, torch.bfloat16)
        and value.dtype == torch.float32
        and 0 < x.numel() <= LARGEST
        and (rows == 1 or rows == x.shape[0])
        and has_triton()
    )


def quantize(x: Tensor, quantizer: Quantizer) -> Tensor:
    """Quantizes a tensor with one scale, or with one for each index of its first dimension.

    Args:
        x: Any shape, float32 or bfloat16; the arithmetic is float32 for both.
        quantizer: Its value has one element, or one for each index.

    Returns:
        Multiples of the scale, shaped and typed like `x`.
    """
    result: Tensor = _Quantize.apply(dense(x), *quantizer)
    return result


def quantize_fixed(x: Tensor, scale: Tensor, low: float, high: float, scaled: bool = True) -> Tensor:
    """The same with a scale that is not learned, without a gradient.

    Args:
        x: Any shape, float32 or bfloat16.
        scale: One element, float32.
        low: Smallest integer; magnitudes below 2^22.
        high: Largest integer.
        scaled: Multiples of the scale are returned; otherwise the integers themselves.
    """
    return _launch(dense(x), scale, low, high, scaled)


class _Quantize(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, x: Tensor, value: Tensor, levels: float, smallest: float, low: int, high: int
    ) -> Tensor:
        threshold = torch.pow(2.0, value)
        # By a tensor: dividing by a number multiplies with its reciprocal, which is another last bit.
        divisor = torch.full((), levels, device=x.device)
        scale = (threshold.clamp_min(smallest) if smallest else threshold).div_(divisor)
        ctx.save_for_backward(x, scale)
        ctx.limits = float(low), float(high)
        return _launch(x, scale, float(low), float(high), scaled=True)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        from models import cuda_kernels as kernels

        x, scale = ctx.saved_tensors
        gradient = match_layout(gradients[0], x)
        of_x = torch.empty_like(x)
        n, rows = x.numel(), scale.numel()
        if rows > 1:
            of_scale = torch.empty_like(scale)
            columns = n // rows
            block = min(kernels.BLOCK, 1 << max(5, (columns - 1).bit_length()))
            kernels.differentiate_rows[(rows,)](
                x, gradient, scale, of_x, of_scale, columns, *ctx.limits,
                BLOCK=block, BLOCKS=math.ceil(columns / block),
            )  # fmt: skip
        else:
            programs = math.ceil(n / kernels.BLOCK)
            sums = torch.empty(programs, dtype=torch.float32, device=x.device)
            kernels.differentiate[(programs,)](
                x, gradient, scale, of_x, sums, n, *ctx.limits, BLOCK=kernels.BLOCK
            )
            of_scale = sums.sum().view(scale.shape)
        return of_x, of_scale.mul_(scale).mul_(math.log(2)), None, None, None, None


def _launch(x: Tensor, scale: Tensor, low: float, high: float, scaled: bool) -> Tensor:
    from models import cuda_kernels as kernels

    y = torch.empty_like(x)
    n = x.numel()
    kernels.quantize[(math.ceil(n / kernels.BLOCK),)](
        x, scale, y, n, n // scale.numel(), low, high, SCALED=scaled, BLOCK=kernels.BLOCK
    )
    return y
