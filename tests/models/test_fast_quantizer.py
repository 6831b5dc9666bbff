import gc
import weakref

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models import fast_quantizer
from models.brevitas_adapter import QuantLayers, activation_scale, scale_parameters, set_activation_threshold
from models.fast_quantizer import PIECE_ELEMENTS, kept_as_codes


@pytest.fixture(autouse=True, params=["kept as integers", "kept as values"])
def _size(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every test runs as for large maps and as for small ones."""
    monkeypatch.setattr(
        fast_quantizer, "COMPACT_BYTES", 0 if request.param == "kept as integers" else 1 << 40
    )


def quantizer(fast: bool, signed: bool, bits: int) -> nn.Module:
    layers = QuantLayers(fast=fast)
    module = layers.identity(bits) if signed else layers.relu6(bits)
    set_activation_threshold(module, 1.7)
    return module


def run(module: nn.Module, x: Tensor, weights: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    x = x.clone(memory_format=torch.preserve_format).requires_grad_()
    y = module(x)
    (y * weights).sum().backward()
    (scale,) = scale_parameters(module)
    assert x.grad is not None
    assert scale.grad is not None
    return y.detach(), x.grad, scale.grad


@pytest.mark.parametrize("bits", [2, 3, 4, 6, 8])
@pytest.mark.parametrize("signed", [True, False])
@pytest.mark.parametrize("layout", ["contiguous", "channels_last", "strided", "matrix"])
def test_outputs_and_gradients_equal_those_of_brevitas(bits: int, signed: bool, layout: str) -> None:
    generator = torch.Generator().manual_seed(bits)
    x = torch.randn((3, 5, 8, 8), generator=generator) * 1.5
    weights = torch.randn((3, 5, 8, 8), generator=generator)
    if layout == "channels_last":
        x = x.to(memory_format=torch.channels_last)
    elif layout == "strided":
        x = x.transpose(2, 3)[:, :, ::2]
        weights = weights[:, :, ::2].contiguous()
    elif layout == "matrix":
        x, weights = x.flatten(1), weights.flatten(1)
    fast = run(quantizer(True, signed, bits), x, weights)
    stock = run(quantizer(False, signed, bits), x, weights)
    assert torch.equal(fast[0], stock[0])
    # Brevitas multiplies by the scale and divides by it again: the last bit may differ, zeros may not.
    torch.testing.assert_close(fast[1], stock[1], rtol=1e-6, atol=0.0)
    torch.testing.assert_close(fast[2], stock[2], rtol=1e-4, atol=1e-4)


def test_tensors_longer_than_a_piece_are_handled_whole() -> None:
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(2 * PIECE_ELEMENTS + 17, generator=generator)
    weights = torch.randn(x.shape, generator=generator)
    fast = run(quantizer(True, True, 4), x, weights)
    stock = run(quantizer(False, True, 4), x, weights)
    assert torch.equal(fast[0], stock[0])
    torch.testing.assert_close(fast[1], stock[1], rtol=1e-6, atol=0.0)
    torch.testing.assert_close(fast[2], stock[2], rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("bits", [2, 4, 8])
@pytest.mark.parametrize("signed", [True, False])
def test_bfloat16_is_quantized_in_float32(bits: int, signed: bool) -> None:
    generator = torch.Generator().manual_seed(bits)
    x = (torch.randn((4, 6, 8, 8), generator=generator) * 1.5).bfloat16()
    weights = torch.randn(x.shape, generator=generator).bfloat16()
    # Values of 8 bits do fall on ties, whose gradient is a matter of definition: they are taken out.
    steps = x.float() / activation_scale(quantizer(True, signed, bits))
    x[(steps - steps.floor() - 0.5).abs() < 1e-4] = 0.25
    half = run(quantizer(True, signed, bits), x, weights)
    assert half[0].dtype == half[1].dtype == torch.bfloat16
    whole = run(quantizer(False, signed, bits), x.float(), weights.float())
    assert torch.equal(half[0], whole[0].bfloat16())
    torch.testing.assert_close(half[1].float(), whole[1], rtol=1e-6, atol=0.0)
    # The gradient of the scale sees the outputs rounded to 8 bits.
    assert abs(float(half[2] - whole[2])) <= 0.01 * float((whole[0] * weights).abs().sum())


def test_values_on_the_limits_fall_where_brevitas_puts_them() -> None:
    for signed in (True, False):
        fast, stock = quantizer(True, signed, 3), quantizer(False, signed, 3)
        step = activation_scale(fast)
        x = torch.arange(-10, 11) * step
        assert torch.equal(fast(x), stock(x))


def test_the_input_is_not_changed() -> None:
    x = torch.randn(100, generator=torch.Generator().manual_seed(0))
    before = x.clone()
    quantizer(True, True, 4)(x)
    assert torch.equal(x, before)


@pytest.mark.parametrize("signed", [True, False])
def test_a_layer_that_reads_a_large_quantized_map_keeps_its_integers(
    signed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fast_quantizer, "COMPACT_BYTES", 0)
    x = torch.randn((2, 4, 6, 6), generator=torch.Generator().manual_seed(0))
    weight = torch.randn((5, 4, 3, 3), generator=torch.Generator().manual_seed(1)).requires_grad_()
    y = quantizer(True, signed, 8)(x)
    with kept_as_codes(y):
        output = F.conv2d(y, weight)
    expected = F.conv2d(y.detach(), weight)
    place = weakref.ref(y)
    values = y.detach().clone()
    del y
    gc.collect()
    assert place() is None  # the convolution would have kept it
    (gradient,) = torch.autograd.grad(output.square().sum(), weight)
    (wanted,) = torch.autograd.grad(expected.square().sum(), weight)
    assert torch.equal(gradient, wanted)
    assert values.unique().numel() > 50


def test_integers_are_the_map_bit_by_bit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fast_quantizer, "COMPACT_BYTES", 0)
    for signed, bits in ((True, 8), (False, 8), (True, 2), (False, 3)):
        y = quantizer(True, signed, bits)(torch.randn((2, 3, 4, 4)).to(memory_format=torch.channels_last))
        codes = y.quantizer_codes
        assert torch.equal(codes.values(), y)
        assert codes.values().stride() == y.stride()
        assert codes.integers.element_size() == 1


@pytest.mark.parametrize("shape", [(4, 6, 5, 7), (16, 1, 3, 3), (5, 6, 1, 1), (10, 3), (7,)])
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_products_of_bfloat16_are_added_up_in_float32(
    shape: tuple[int, ...], layout: torch.memory_format
) -> None:
    generator = torch.Generator().manual_seed(len(shape))
    a, b = (torch.randn(shape, generator=generator).bfloat16() for _ in range(2))
    if len(shape) == 4:
        a, b = a.to(memory_format=layout), b.to(memory_format=layout)
    products = a.double() * b.double()
    found = fast_quantizer._sum_of_products(a, b)
    assert abs(found - float(products.sum())) <= 1e-6 * float(products.abs().sum())
