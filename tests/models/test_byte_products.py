"""Against sums of products in float64, which holds every one of them."""

import dataclasses

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from models.byte_products import SIGNED_ZERO, ByteProducts, Window, are_exact, has_exact_kernel

needs_kernels = pytest.mark.skipif(not are_exact(), reason="this processor does not multiply bytes exactly")


@st.composite
def windows(draw: st.DrawFn) -> tuple[Window, int, int, int]:
    """A convolution: window, input channels, output channels, kernel."""
    kernel, stride = draw(st.sampled_from((1, 2, 3, 5, 7))), draw(st.integers(1, 2))
    padding, dilation = draw(st.integers(0, kernel // 2)), draw(st.integers(1, 2)) if kernel > 1 else 1
    depthwise, channels = draw(st.booleans()), draw(st.integers(1, 70))
    groups, outputs = (channels, channels) if depthwise else (1, draw(st.integers(1, 130)))
    window = Window((stride, stride), (padding, padding), (dilation, dilation), groups)
    return window, channels, outputs, kernel


@needs_kernels
@settings(max_examples=60, deadline=None)
@given(windows(), st.sampled_from((0, SIGNED_ZERO)), st.booleans(), st.integers(0, 2**32 - 1))
def test_every_convolution_has_exact_sums_scaled_in_two_steps(
    case: tuple[Window, int, int, int], zero: int, with_bias: bool, seed: int
) -> None:
    window, channels, outputs, kernel = case
    generator = torch.Generator().manual_seed(seed)
    x = torch.randint(0, 256, (3, channels, 16, 15), generator=generator, dtype=torch.uint8)
    shape = (outputs, channels // window.groups, kernel, kernel)
    assert has_exact_kernel(shape, window.groups)
    weight = torch.randint(-127, 128, shape, generator=generator, dtype=torch.int16).to(torch.int8)
    factor = torch.rand(outputs, generator=generator) * 1e-3
    bias = torch.randn(outputs, generator=generator) if with_bias else None
    sums = F.conv2d(x.double() - zero, weight.double(), None, *dataclasses.astuple(window)).float()
    wanted = sums * factor.view(1, -1, 1, 1)
    if bias is not None:
        wanted = wanted + bias.view(1, -1, 1, 1)
    found = ByteProducts(weight, factor, bias, window, zero)(x.contiguous(memory_format=torch.channels_last))
    assert found.is_contiguous(memory_format=torch.channels_last)
    assert torch.equal(found, wanted)


@needs_kernels
@pytest.mark.parametrize("channels", [(160, 960), (960, 320), (64, 192)])
def test_wide_pointwise_convolutions_are_exact_too(channels: tuple[int, int]) -> None:
    generator = torch.Generator().manual_seed(0)
    x = torch.full((2, channels[0], 4, 4), 255, dtype=torch.uint8)
    weight = torch.randint(-127, 128, (channels[1], channels[0], 1, 1), generator=generator).to(torch.int8)
    ones, window = torch.ones(channels[1]), Window((1, 1), (0, 0), (1, 1), 1)
    products = ByteProducts(weight, ones, None, window, 0)
    found = products(x.contiguous(memory_format=torch.channels_last))
    assert torch.equal(found.double(), F.conv2d(x.double(), weight.double()))


@pytest.mark.parametrize(("shape", "groups"), [((12, 3, 3, 3), 2), ((24, 1, 3, 3), 12), ((2, 1, 1, 1), 1)])
def test_grouped_kernels_that_are_not_tried_out_are_told_apart(shape: tuple[int, ...], groups: int) -> None:
    assert has_exact_kernel(shape, groups) == (groups == 1)


def test_a_build_without_the_kernels_is_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    def lacking(*_arguments: object) -> None:
        raise AttributeError("'_OpNamespace' 'onednn' object has no attribute 'qconv_prepack'")

    are_exact.cache_clear()
    monkeypatch.setattr("models.byte_products.ByteProducts.__init__", lacking)
    assert not are_exact()
    are_exact.cache_clear()


def test_kernels_that_cut_sums_are_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    """As processors without VNNI do: the sum of two products in 16 bits."""

    def cutting(self: ByteProducts, x: torch.Tensor) -> torch.Tensor:
        return exact(self, x).clamp(-(2.0**15), 2.0**15 - 1)

    exact = ByteProducts.__call__
    are_exact.cache_clear()
    monkeypatch.setattr(ByteProducts, "__call__", cutting)
    assert not are_exact()
    are_exact.cache_clear()
