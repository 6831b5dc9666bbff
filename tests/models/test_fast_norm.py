import gc
import math
import weakref

import pytest
import torch
from torch import Tensor, nn

from models import fast_norm, fast_quantizer
from models.brevitas_adapter import QuantLayers, fused_quantizer, scale_parameters, set_activation_threshold
from models.fast_quantizer import Quantizer
from models.recompute import normalize_and_act


@pytest.fixture(autouse=True, params=["large", "small"])
def _size(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every test runs as for large maps and as for small ones."""
    monkeypatch.setattr(fast_quantizer, "COMPACT_BYTES", 0 if request.param == "large" else 1 << 40)


def pair(signed: bool, bits: int, fast: bool, channels: int = 6) -> tuple[nn.BatchNorm2d, nn.Module]:
    layers = QuantLayers(fast)
    norm = nn.BatchNorm2d(channels).train()
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        norm.weight.copy_(torch.randn(channels, generator=generator))
        norm.bias.copy_(torch.randn(channels, generator=generator) / 2)
    act = layers.identity(bits) if signed else layers.relu6(bits)
    set_activation_threshold(act, 1.3)
    return norm, act


def images(shape: tuple[int, ...] = (5, 6, 7, 9)) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(len(shape))
    x, gradient = (torch.randn(shape, generator=generator) for _ in range(2))
    return x * 3 + 1, gradient


def gradients(
    norm: nn.BatchNorm2d, act: nn.Module, x: Tensor, gradient: Tensor, plainly: bool
) -> dict[str, Tensor]:
    x = x.clone(memory_format=torch.preserve_format).requires_grad_()
    y = act(norm(x)) if plainly else normalize_and_act(x, norm, act)
    y.backward(gradient)
    (scale,) = scale_parameters(act)
    found = {"output": y.detach(), "x": x.grad, "weight": norm.weight.grad, "bias": norm.bias.grad}
    found["scale"] = scale.grad
    assert all(tensor is not None for tensor in found.values())
    return found  # type: ignore[return-value]


def moved(norm: nn.BatchNorm2d) -> list[Tensor]:
    return [norm.running_mean, norm.running_var, norm.num_batches_tracked]  # type: ignore[list-item]


@pytest.mark.parametrize("bits", [2, 4, 8])
@pytest.mark.parametrize("signed", [True, False])
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_it_is_the_norm_and_then_the_quantizer_of_brevitas(
    bits: int, signed: bool, layout: torch.memory_format
) -> None:
    x, gradient = (tensor.to(memory_format=layout) for tensor in images())
    ours, stock = pair(signed, bits, True), pair(signed, bits, False)
    quantizer = fused_quantizer(ours[1])
    assert quantizer is not None
    assert fast_norm.applies(x, ours[0], quantizer)
    found, expected = gradients(*ours, x, gradient, False), gradients(*stock, x, gradient, True)
    assert torch.equal(found["output"], expected["output"])
    for mine, theirs in zip(moved(ours[0]), moved(stock[0]), strict=True):
        assert torch.equal(mine, theirs)
    for name, tensor in expected.items():
        largest = float(tensor.abs().max())
        torch.testing.assert_close(found[name], tensor, rtol=1e-4, atol=1e-4 * largest, msg=name)


@pytest.mark.parametrize("signed", [True, False])
def test_in_bfloat16_gradients_are_those_of_float64_but_for_its_digits(signed: bool) -> None:
    x, gradient = (
        tensor.bfloat16().to(memory_format=torch.channels_last) for tensor in images((8, 6, 16, 16))
    )
    norm, act = pair(signed, 4, True)
    found = gradients(norm, act, x, gradient, False)
    assert found["output"].dtype == found["x"].dtype == torch.bfloat16
    assert found["scale"].dtype == found["weight"].dtype == torch.float32

    quantizer = fused_quantizer(act)
    assert quantizer is not None
    step = float(quantizer.steps())
    exact = x.double().requires_grad_()
    weight, bias = (parameter.detach().double().requires_grad_() for parameter in (norm.weight, norm.bias))
    mean, variance = exact.mean((0, 2, 3)), exact.var((0, 2, 3), unbiased=False)
    by_channel = (1, -1, 1, 1)
    y = (exact - mean.view(by_channel)) / (variance.view(by_channel) + norm.eps).sqrt()
    y = y * weight.view(by_channel) + bias.view(by_channel)
    y.retain_grad()
    # Straight through inside the limits, where the output is one of them nothing.
    inside = (y / step > quantizer.low - 0.5) & (y / step < quantizer.high + 0.5)
    y.backward(gradient.double() * inside)
    integers = (y / step).detach().round().clamp(quantizer.low, quantizer.high)
    terms = gradient.double() * (integers * step - inside * y.detach())
    wanted = float(terms.sum()) * math.log(2)
    # Each rounding is one of 8 bits; they add up as independent errors do.
    noise = float((gradient.double() * y.detach()).square().sum().sqrt()) / 2**8
    assert abs(float(found["scale"]) - wanted) < 6 * noise
    assert 6 * noise < 0.05 * float(terms.abs().sum())
    for name, tensor in {"x": exact.grad, "weight": weight.grad, "bias": bias.grad}.items():
        assert tensor is not None
        difference = (found[name].double() - tensor).norm() / tensor.norm()
        assert difference < 0.05, name


def test_a_large_normalized_map_is_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    kept: list[weakref.ref[Tensor]] = []
    whole = torch.native_batch_norm

    def watched(*arguments: object) -> tuple[Tensor, Tensor, Tensor]:
        found = whole(*arguments)  # type: ignore[arg-type]
        kept.append(weakref.ref(found[0]))
        return found

    monkeypatch.setattr(torch, "native_batch_norm", watched)
    norm, act = pair(True, 8, True)
    x, _ = images()
    result = normalize_and_act(x.requires_grad_(), norm, act)
    is_large = fast_quantizer.is_large(x)
    del result
    loss = normalize_and_act(x, norm, act).sum()
    gc.collect()
    assert len(kept) == 2
    assert (kept[1]() is None) == is_large
    loss.backward()


def test_an_input_without_gradient_gets_none() -> None:
    norm, act = pair(False, 4, True)
    x, gradient = images()
    normalize_and_act(x, norm, act).backward(gradient)
    assert x.grad is None
    assert norm.weight.grad is not None
    assert float(norm.weight.grad.abs().sum()) > 0


def test_what_it_does_not_take() -> None:
    norm, act = pair(False, 4, True)
    quantizer = fused_quantizer(act)
    assert quantizer is not None
    x, _ = images()
    assert fast_norm.applies(x, norm, quantizer)
    assert not fast_norm.applies(x[0], norm, quantizer)
    assert not fast_norm.applies(x.double(), norm, quantizer)
    by_channel = Quantizer(torch.zeros(6, 1, 1, 1), 7.0, 0.0, -7, 7)
    assert not fast_norm.applies(x, norm, by_channel)
    with torch.no_grad():
        assert not fast_norm.applies(x, norm, quantizer)
    assert not fast_norm.applies(x, nn.BatchNorm2d(6, momentum=None).train(), quantizer)
    assert not fast_norm.applies(x, norm.eval(), quantizer)
