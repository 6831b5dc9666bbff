"""Depth-wise convolutions of channels-last maps on a GPU.

The library makes its own for every shape when it is first met, in every process, which takes longer than a short
training; `benchmarks.gpu_step` times both.
"""

import math
from typing import Any

import torch
from torch import Tensor

from models.cuda_quantizer import LARGEST, has_triton

TILE = 2048
"""Elements of the result a program takes: positions times channels."""

WEIGHT_POSITIONS = 8
"""Outputs a program of the weights' gradient takes at once; its tile has a third side, the columns of the kernel."""

WEIGHT_PROGRAMS = 4096
"""Programs the weights' gradient is divided into, about: enough to fill a GPU several times."""


def applies(
    x: Tensor,
    weight: Tensor,
    stride: tuple[int, ...],
    padding: str | tuple[int, ...],
    dilation: tuple[int, ...],
    groups: int,
) -> bool:
    """Whether `depthwise_conv` can take this convolution, with the arguments of `torch.nn.Conv2d`."""
    kernel = weight.shape[2]
    return (
        x.device.type == "cuda"
        and x.dim() == 4
        and x.dtype in (torch.float32, torch.bfloat16)
        and groups == x.shape[1] == weight.shape[0]
        and weight.shape[1:] == (1, kernel, kernel)
        and kernel % 2 == 1
        and padding == (kernel // 2, kernel // 2)
        and stride[0] == stride[1]
        and dilation == (1, 1)
        and 0 < x.numel() <= LARGEST
        and has_triton()
    )


def depthwise_conv(x: Tensor, weight: Tensor, stride: int) -> Tensor:
    """A depth-wise convolution with an odd kernel, padded by half of it; sums are float32 in a fixed order.

    Args:
        x: (n, c, h, w), float32 or bfloat16.
        weight: (c, 1, k, k), of the same type.
        stride: Of the window.

    Returns:
        (n, c, h', w'), channels-last.
    """
    result: Tensor = _Depthwise.apply(x.contiguous(memory_format=torch.channels_last), weight, stride)
    return result


class _Depthwise(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, stride: int) -> Tensor:
        from models import cuda_depthwise_kernels as kernels

        n, channels, height, width = x.shape
        kernel = weight.shape[2]
        out_height, out_width = (-(-side // stride) for side in (height, width))
        taps = weight.reshape(channels, kernel * kernel).t().contiguous()
        y = torch.empty(
            (n, channels, out_height, out_width),
            dtype=x.dtype,
            device=x.device,
            memory_format=torch.channels_last,
        )
        ctx.save_for_backward(x, taps)
        ctx.stride, ctx.kernel = stride, kernel
        positions = n * out_height * out_width
        grid, tile = _tiles(positions, channels)
        kernels.forward[grid](
            x, taps, y, positions, channels, height, width, out_height, out_width,
            KERNEL=kernel, STRIDE=stride, **tile,
        )  # fmt: skip
        return y

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, Tensor | None, None]:
        x, taps = ctx.saved_tensors
        gradient = gradients[0].to(x.dtype).contiguous(memory_format=torch.channels_last)
        of_x = _of_input(x, taps, gradient, ctx.kernel, ctx.stride) if ctx.needs_input_grad[0] else None
        of_weight = _of_weight(x, gradient, ctx.kernel, ctx.stride) if ctx.needs_input_grad[1] else None
        return of_x, of_weight, None


def _of_input(x: Tensor, taps: Tensor, gradient: Tensor, kernel: int, stride: int) -> Tensor:
    from models import cuda_depthwise_kernels as kernels

    n, channels, height, width = x.shape
    positions = n * height * width
    of_x = torch.empty_like(x)
    grid, tile = _tiles(positions, channels)
    kernels.backward_input[grid](
        gradient, taps, of_x, positions, channels, height, width, *gradient.shape[2:],
        KERNEL=kernel, STRIDE=stride, **tile,
    )  # fmt: skip
    return of_x


def _of_weight(x: Tensor, gradient: Tensor, kernel: int, stride: int) -> Tensor:
    from models import cuda_depthwise_kernels as kernels

    n, channels, height, width = x.shape
    positions = n * gradient.shape[2] * gradient.shape[3]
    blocks = math.ceil(positions / WEIGHT_POSITIONS)
    width_of_block = _channels_at_once(channels)
    channel_blocks = math.ceil(channels / width_of_block)
    # A power of two: the kernel is made anew for every number of steps.
    steps = 1 << (blocks * channel_blocks * kernel // WEIGHT_PROGRAMS).bit_length()
    parts = math.ceil(blocks / steps)
    sums = torch.empty((parts, kernel * kernel, channels), dtype=torch.float32, device=x.device)
    kernels.backward_weight[(parts, channel_blocks, kernel)](
        x, gradient, sums, positions, channels, height, width, *gradient.shape[2:],
        STEPS=steps, KERNEL=kernel, STRIDE=stride, COLUMNS=1 << (kernel - 1).bit_length(),
        POSITIONS=WEIGHT_POSITIONS, CHANNELS=width_of_block,
    )  # fmt: skip
    return sums.sum(0).t().reshape(channels, 1, kernel, kernel).to(x.dtype)


def _tiles(positions: int, channels: int) -> tuple[tuple[int, int], dict[str, int]]:
    """The grid of programs, and what each takes."""
    at_once = _channels_at_once(channels)
    tile = {"POSITIONS": TILE // at_once, "CHANNELS": at_once}
    return (math.ceil(positions / tile["POSITIONS"]), math.ceil(channels / at_once)), tile


def _channels_at_once(channels: int) -> int:
    """64, or 32 where half or more of the last 64 would lie behind the end."""
    return 32 if 0 < channels % 64 <= 32 else 64
