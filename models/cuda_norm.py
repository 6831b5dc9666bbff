"""BatchNorm in training and the activation or quantizer behind it, on a GPU, in three kernels each way.

Training is bound by memory there. One by one, BatchNorm and a quantizer pass over the map 13 times forwards and
backwards and keep the normalized map; together 8 times, and it is made again when it is needed. Sums have a fixed
order; nothing waits for the GPU, so a CUDA graph can hold it all.
"""

import math
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from models.cuda_quantizer import LARGEST, has_triton
from models.fast_norm import is_plain
from models.fast_quantizer import Quantizer, match_layout

_COLUMNS = 64
"""Of a tile, at most: a row of it in bfloat16 is a line of memory."""
_TILE, _SMALL_TILE = 4096, 1024
"""Elements of a tile; of small maps fewer, for more programs."""
_ENOUGH = 528
"""Programs that fill a GPU of 132 multiprocessors; beyond, each takes more tiles."""
_MOST_STEPS = 16
_PARTS, _CHANNELS = 1024, 8
"""Partial sums and channels of a tile where those are added up."""


class Clamp(NamedTuple):
    """What limits values: ReLU6 from 0 to 6, ReLU from 0 to infinity, nothing between the infinities.

    The gradient is zero at the limits, too.
    """

    low: float
    high: float


Act = Clamp | Quantizer


def applies(x: Tensor, norm: nn.Module, act: Act) -> bool:
    """Whether `normalize` can take this map, and a GPU is there for it."""
    return (
        x.device.type == "cuda"
        and x.dtype in (torch.float32, torch.bfloat16)
        and x.dim() == 4
        and x.is_contiguous(memory_format=torch.channels_last)
        and x.shape[1] < x.numel() <= LARGEST
        and torch.is_grad_enabled()
        and is_plain(norm)
        and (isinstance(act, Clamp) or (act.value.numel() == 1 and act.value.dtype == torch.float32))
        and has_triton()
    )


def normalize(x: Tensor, norm: nn.BatchNorm2d, act: Act) -> Tensor:
    """What follows a BatchNorm of its normalized map; the running statistics move, their counter does not.

    Args:
        x: (n, c, h, w) in channels-last memory, float32 or bfloat16; the arithmetic is float32 for both, but the
            normalized map is rounded before `act`.
        norm: In training, with weights, running statistics and a momentum.
        act: What follows.

    Returns:
        Shaped, laid out and typed like `x`.
    """
    value = act.value if isinstance(act, Quantizer) else None
    result: Tensor = _Normalize.apply(
        x,
        norm.weight,
        norm.bias,
        value,
        norm.running_mean,
        norm.running_var,
        float(norm.momentum or 0),
        norm.eps,
        act,
    )
    return result


@dataclass(frozen=True)
class _Tiling:
    """How programs share a map, see `models.cuda_norm_kernels`.

    Attributes:
        n: Values of a channel.
        channels: Of the map.
        fold: Rows of channels that are one row of columns.
        block: Rows, columns and steps of a program.
    """

    n: int
    channels: int
    fold: int
    block: tuple[int, int, int]

    @property
    def rows(self) -> int:
        return self.n // self.fold

    @property
    def columns(self) -> int:
        return self.channels * self.fold

    @property
    def unit(self) -> int:
        return 8 if self.channels % 8 == 0 else 1

    @property
    def part_rows(self) -> int:
        return self.block[0] * self.block[2]

    @property
    def chunks(self) -> int:
        return _ceil(self.rows, self.part_rows)

    @property
    def parts(self) -> int:
        return self.chunks * self.fold

    @property
    def programs(self) -> int:
        return self.chunks * _ceil(self.columns, self.block[1])

    def shape(self) -> dict[str, int]:
        """Constants of the kernels that pass over the map."""
        warps = 8 if self.block[0] * self.block[1] == _TILE else 4
        rows, columns, steps = self.block
        return {
            "UNIT": self.unit,
            "BLOCK_ROWS": rows,
            "BLOCK_COLUMNS": columns,
            "STEPS": steps,
            "num_warps": warps,
        }

    def totals(self) -> dict[str, int]:
        """Constants of the kernels that add parts up."""
        block = min(_PARTS, _power(self.parts))
        loops = _power(_ceil(self.parts, block))
        return {"BLOCK_PARTS": block, "BLOCK_CHANNELS": _CHANNELS, "LOOPS": loops, "num_warps": 8}


def _tile(x: Tensor) -> _Tiling:
    channels = x.shape[1]
    n = x.numel() // channels
    fold = 1
    while fold < 8 and (fold * channels) % _COLUMNS and n % (2 * fold) == 0:
        fold *= 2
    rows, columns = n // fold, channels * fold
    width = min(_COLUMNS, _power(columns))

    def tiles(elements: int) -> int:
        return _ceil(rows, elements // width) * _ceil(columns, width)

    elements = _TILE if tiles(_TILE) >= _ENOUGH else _SMALL_TILE
    steps = 1
    while steps < _MOST_STEPS and 2 * steps * _ENOUGH <= tiles(elements):
        steps *= 2
    return _Tiling(n, channels, fold, (elements // width, width, steps))


def _ceil(n: int, step: int) -> int:
    return -(-n // step)


def _power(n: int) -> int:
    """The least power of two that is not below."""
    return 1 << (n - 1).bit_length()


def _kind(act: Act) -> int:
    """What the kernels call it."""
    if isinstance(act, Quantizer):
        return 2
    return 0 if act.low == -math.inf and act.high == math.inf else 1


class _Normalize(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        weight: Tensor,
        bias: Tensor,
        value: Tensor | None,
        running_mean: Tensor,
        running_variance: Tensor,
        momentum: float,
        epsilon: float,
        act: Act,
    ) -> Tensor:
        from models import cuda_norm_kernels as kernels

        tiling = _tile(x)
        parts = x.new_empty((2, tiling.parts, tiling.channels), dtype=torch.float32)
        mean, inverse = x.new_empty((2, tiling.channels), dtype=torch.float32)
        threshold, scale, smallest, levels = mean, mean, 0.0, 1.0  # not read where nothing quantizes
        if isinstance(act, Quantizer):
            # By the function that scales elsewhere: another power would differ in its last bit.
            threshold, scale = torch.pow(2.0, act.value), torch.empty_like(act.value)
            smallest, levels = act.smallest, act.levels
        rows, units = tiling.rows, tiling.columns // tiling.unit
        kernels.measure[(tiling.programs,)](x, *parts, rows, units, **tiling.shape())
        kernels.conclude[(_ceil(tiling.channels, _CHANNELS),)](
            *parts, mean, inverse, running_mean, running_variance, threshold, scale,
            float(tiling.n), rows, tiling.channels, tiling.parts, tiling.part_rows, tiling.fold,
            momentum, epsilon, smallest, levels, QUANTIZES=isinstance(act, Quantizer), **tiling.totals(),
        )  # fmt: skip
        y = torch.empty_like(x)
        ctx.kind, ctx.limits = _kind(act), (float(act.low), float(act.high))
        kernels.apply[(tiling.programs,)](
            x, mean, inverse, weight, bias, scale, y, rows, units, tiling.channels, *ctx.limits,
            KIND=ctx.kind, **tiling.shape(),
        )  # fmt: skip
        ctx.save_for_backward(x, mean, inverse, weight, bias, scale)
        return y

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        from models import cuda_norm_kernels as kernels

        x, mean, inverse, weight, bias, scale = ctx.saved_tensors
        tiling, gradient = _tile(x), match_layout(gradients[0], x)
        quantizes = ctx.kind == 2
        parts = x.new_empty((2, tiling.parts, tiling.channels), dtype=torch.float32)
        of_weight, of_bias, of_scale = torch.empty_like(weight), torch.empty_like(bias), mean
        if quantizes:
            of_scale = mean.new_empty(tiling.programs)
        of_value = torch.empty_like(scale)
        read = (x, gradient, mean, inverse, weight, bias, scale)
        rows, units = tiling.rows, tiling.columns // tiling.unit
        kernels.gather[(tiling.programs,)](
            *read, *parts, of_scale, rows, units, tiling.channels, *ctx.limits,
            KIND=ctx.kind, **tiling.shape(),
        )  # fmt: skip
        kernels.total[(_ceil(tiling.channels, _CHANNELS),)](
            *parts, of_scale, scale, of_weight, of_bias, of_value, tiling.channels, tiling.parts, tiling.programs,
            QUANTIZES=quantizes, PROGRAM_LOOPS=_power(_ceil(tiling.programs, 1024)), **tiling.totals(),
        )  # fmt: skip
        of_x = None
        if ctx.needs_input_grad[0]:
            of_x = torch.empty_like(x)
            kernels.differentiate[(tiling.programs,)](
                *read, of_weight, of_bias, of_x, float(tiling.n), rows, units, tiling.channels, *ctx.limits,
                KIND=ctx.kind, **tiling.shape(),
            )  # fmt: skip
        return of_x, of_weight, of_bias, of_value if quantizes else None, None, None, None, None, None
