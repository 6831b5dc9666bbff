"""Convolutions of bytes by the library's integer kernels, where they give what `models.plain_layers` gives.

A sum of products of integers is one number in any arithmetic that holds it, so below 2^24 it is that of float32, from
a quarter of the memory; what is left to ask of the kernels is that they scale it in the same two steps.
"""

from __future__ import annotations

import dataclasses
import functools
import itertools

import torch
import torch.nn.functional as F
from torch import Tensor

SIGNED_ZERO = 128
"""The byte for 0 in maps with values below it: the kernels take unsigned bytes alone."""

_ONE = 1.0


@dataclasses.dataclass(frozen=True)
class Window:
    """How a convolution goes over its map, as of `torch.nn.Conv2d`."""

    stride: tuple[int, int]
    padding: tuple[int, int]
    dilation: tuple[int, int]
    groups: int


_POINTWISE = Window((1, 1), (0, 0), (1, 1), 1)


def has_exact_kernel(shape: torch.Size | tuple[int, ...], groups: int) -> bool:
    """Whether `are_exact` tries out convolutions of this kind: of one group, or depth-wise with one output each.

    Others are left to float32. With a zero that is not byte 0 the library's kernels for grouped convolutions add what
    belongs to another group for some numbers of outputs (in oneDNN 3.12 for 66 a group, among others).

    Args:
        shape: Of the weights, (k, c / groups, kh, kw).
        groups: Of the convolution.
    """
    return groups == 1 or (groups == shape[0] and shape[1] == 1)


class ByteProducts:
    """One convolution of maps of bytes: sums of products, times a factor, plus the bias.

    Args:
        integers: (k, c / groups, kh, kw) int8.
        factor: (k,) float32.
        bias: (k,) float32 or None.
        window: Of the convolution.
        zero: The byte that stands for 0: `SIGNED_ZERO` where maps have values below it.

    Raises:
        RuntimeError: This build of PyTorch lacks the kernels; `are_exact` tells.
    """

    def __init__(
        self, integers: Tensor, factor: Tensor, bias: Tensor | None, window: Window, zero: int
    ) -> None:
        self.window, self.zero, self._scales, self._bias = window, zero, factor, bias
        self._zeros = torch.zeros(len(integers), dtype=torch.int64)
        # As a product of matrices: the library's kernel for such convolutions takes five times as long for some
        # numbers of channels (192, 320, 960).
        self._is_pointwise = window == _POINTWISE and integers.shape[2:] == (1, 1)
        if self._is_pointwise:
            self._packed = torch.ops.onednn.qlinear_prepack(integers.flatten(1), None)
        else:
            self._packed = torch.ops.onednn.qconv_prepack(
                integers,
                self._scales,
                _ONE,
                zero,
                *map(list, dataclasses.astuple(window)[:3]),
                window.groups,
                None,
            )

    def __call__(self, x: Tensor) -> Tensor:
        """Convolves.

        Args:
            x: (n, c, h, w) uint8, channels last; beyond its edges the map is 0, not byte 0.

        Returns:
            (n, k, h', w') float32, channels last.
        """
        window = self.window
        if self._is_pointwise:
            rows = torch.ops.onednn.qlinear_pointwise(
                x.permute(0, 2, 3, 1), _ONE, self.zero, self._packed, self._scales, self._zeros, self._bias,
                _ONE, 0, torch.float32, "none", [], "",
            )  # fmt: skip
            pointwise: Tensor = rows.permute(0, 3, 1, 2)
            return pointwise
        result: Tensor = torch.ops.onednn.qconv2d_pointwise(
            x, _ONE, self.zero, self._packed, self._scales, self._zeros, self._bias,
            *map(list, dataclasses.astuple(window)[:3]), window.groups, _ONE, 0, torch.float32, "none", [], "",
        )  # fmt: skip
        return result.contiguous(memory_format=torch.channels_last)


@functools.cache
def are_exact() -> bool:
    """Whether this machine has such kernels and they give the same numbers.

    Processors without VNNI keep sums of two products in 16 bits, which cut the largest; other kernels may join the
    product with the factor and the sum with the bias into one step. They are not asked by name: the largest
    products of bytes that there are, and drawn ones, must come out right in every kind of convolution that networks
    here have.
    """
    try:
        return all(_is_exact(*case) for case in itertools.product((1, 3, 7), (False, True), (False, True)))
    except (
        RuntimeError,
        AttributeError,
        NotImplementedError,
        TypeError,
    ):  # an operator that this build lacks
        return False


def _is_exact(kernel: int, depthwise: bool, signed: bool) -> bool:
    """Of the largest products of bytes of one sign, and of drawn ones."""
    channels, zero = 64, SIGNED_ZERO if signed else 0
    generator = torch.Generator().manual_seed(kernel)
    shape = (channels, 1 if depthwise else channels, kernel, kernel)
    window = Window((1, 1), (kernel // 2, kernel // 2), (1, 1), channels if depthwise else 1)
    for largest in (True, False):
        x = torch.randint(0, 256, (2, channels, 8, 8), generator=generator, dtype=torch.uint8)
        weight = torch.randint(-127, 128, shape, generator=generator, dtype=torch.int16).to(torch.int8)
        if largest:
            x, weight = torch.full_like(x, 0 if signed else 255), torch.full_like(weight, -127)
            weight[::2] = 127
        factor = torch.rand(channels, generator=generator)
        bias = torch.randn(channels, generator=generator)
        # float64 holds these sums; float32, which they are asked for in, rounds those above 2^24 the same way.
        sums = F.conv2d(x.double() - zero, weight.double(), None, *dataclasses.astuple(window)).float()
        wanted = sums.mul_(factor.view(1, -1, 1, 1)).add_(bias.view(1, -1, 1, 1))
        products = ByteProducts(weight, factor, bias, window, zero)
        if not torch.equal(products(x.contiguous(memory_format=torch.channels_last)), wanted):
            return False
    return True
