"""A convolution of a deployed network that keeps the integers of the maps before and behind it.

`models.plain_layers` multiplies each map by its step and divides by it again in the next layer, over the whole map
each time. Those passes take longer than the products. Here a map stays integers from a quantizer to the convolution
that reads it, in a byte each where the processor multiplies bytes exactly, and what follows the products is done to a
piece of the map while it is in the cache. Each number goes through the same operations in the same order, so the
results are those of `models.plain_layers` bit by bit.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.byte_products import SIGNED_ZERO, ByteProducts, Window, are_exact, has_exact_kernel
from models.plain_layers import Grid, PlainConv, PlainQuantizer

PIECE_ELEMENTS = 1 << 17
"""Elements of a piece: with its integers it fits into the second cache of one core."""


class IntegerConv(nn.Module):
    """What a `PlainConv` does, and the quantizer behind it.

    Args:
        plain: Reads a grid.
        reads_integers: Whether its input comes as integers; else as values on the grid.
        quantizer: What alone reads its output, and is read by convolutions alone that read integers: then that is
            what it returns. None: it returns values, as a `PlainConv` does.
    """

    factor: Tensor
    bias: Tensor | None

    def __init__(self, plain: PlainConv, reads_integers: bool, quantizer: PlainQuantizer | None) -> None:
        super().__init__()
        assert plain.grid is not None
        self.grid, self.reads_integers, self.quantizer = plain.grid, reads_integers, quantizer
        self.window = Window(plain.stride, plain.padding, plain.dilation, plain.groups)
        self.register_buffer("factor", plain.factor)
        self.register_buffer("bias", plain.bias)
        self._zero = SIGNED_ZERO if self.grid.signed else 0
        self._bytes = None
        if are_exact() and has_exact_kernel(plain.weight.shape, plain.groups):
            self._bytes = ByteProducts(plain.source.integers, self.factor, self.bias, self.window, self._zero)
        self._weight = plain.weight

    def forward(self, x: Tensor) -> Tensor:
        """(n, c, h, w) integers or values to (n, k, h', w') integers or values."""
        integers = x if self.reads_integers else integers_of(x, self.grid)
        y = self._bytes(integers) if self._bytes is not None else self._products(integers)
        after = self.quantizer
        if after is None:
            return y
        result = _room(y)
        for piece, target in zip(_pieces(_rows(y)), _pieces(_rows(result)), strict=True):
            _put(
                piece.div_(after.scale).round_().clamp_(after.low, after.high), target, after.low, after.high
            )
        return result

    def _products(self, integers: Tensor) -> Tensor:
        """Sums of float32."""
        window = self.window
        if integers.dtype == torch.uint8:
            integers = integers.float()
            if self._zero:
                integers.sub_(self._zero)
        y = F.conv2d(
            integers, self._weight, None, window.stride, window.padding, window.dilation, window.groups
        )
        y = y.contiguous(memory_format=torch.channels_last)
        for piece in _pieces(_rows(y)):
            piece.mul_(self.factor)
            if self.bias is not None:
                piece.add_(self.bias)
        return y


def integers_of(x: Tensor, grid: Grid) -> Tensor:
    """The integers of a map of values on a grid.

    Args:
        x: (n, c, h, w).
        grid: Its values are multiples of the grid's step.

    Returns:
        The same shape, channels last: bytes, those of a signed grid with `SIGNED_ZERO` for 0; float32 where bytes
        are not multiplied exactly.
    """
    x = x.contiguous(memory_format=torch.channels_last)
    result = torch.empty_like(x, dtype=torch.uint8 if are_exact() else torch.float32)
    scale, low = grid.scale.reshape(()), -(2 ** (grid.bits - 1)) if grid.signed else 0
    for piece, target in zip(_pieces(_rows(x)), _pieces(_rows(result)), strict=True):
        _put(torch.div(piece, scale).round_(), target, low, low + 2**grid.bits - 1)
    return result


def _room(y: Tensor) -> Tensor:
    """For the integers behind a map that is not needed any more."""
    return torch.empty_like(y, dtype=torch.uint8) if are_exact() else y


def _put(integers: Tensor, target: Tensor, low: int, high: int) -> None:
    """Copies whole numbers between two limits, in float32, into a piece of a map of integers, unless it is the same.

    PyTorch has a fast way from float32 to int8, and none straight to uint8.
    """
    if target.dtype == torch.float32:
        if target.data_ptr() != integers.data_ptr():
            target.copy_(integers)
    elif high > 127:
        target.copy_(integers.int())
    else:
        target.view(torch.int8).copy_(integers)
        if low < 0:
            target.bitwise_xor_(SIGNED_ZERO)  # adds it, modulo 256


def _rows(x: Tensor) -> Tensor:
    """(n h w, c) of a channels-last map, in its own memory."""
    return x.permute(0, 2, 3, 1).view(-1, x.shape[1])


def _pieces(rows: Tensor) -> tuple[Tensor, ...]:
    return rows.split(max(1, PIECE_ELEMENTS // rows.shape[1]))
