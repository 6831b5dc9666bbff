from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models import cuda_norm, cuda_quantizer
from models.brevitas_adapter import QuantLayers, fused_quantizer, set_activation_threshold
from models.cuda_norm import Act, Clamp, Quantizer, normalize
from models.layers import FloatActivation
from models.recompute import normalize_and_act
from tests.models.kernels import DEVICE, needs_triton

INTERPRETED = DEVICE == "cpu"

pytestmark = needs_triton


def slowly(*values: Any) -> list[Any]:
    """Parameters of `make test-all` alone: a step of the interpreter takes seconds."""
    return [pytest.param(value, marks=pytest.mark.slow) for value in values]


@pytest.fixture(autouse=True)
def _rounding_as_on_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """Triton's interpreter cuts a float32 off where a GPU rounds it to bfloat16, and rounds twice in `fma`."""
    if not INTERPRETED:
        return
    from triton.runtime import interpreter

    def convert(data: Any, _source: Any, target: Any, _mode: Any) -> Any:
        if str(target) == "bf16":
            rounded = torch.from_numpy(data.copy()).bfloat16().view(torch.int16)
            return rounded.numpy().view("uint16")
        return torch.from_numpy(data.copy().view("int16")).view(torch.bfloat16).float().numpy()

    def fma(_self: Any, x: Any, y: Any, z: Any) -> Any:
        found = x.data.astype("float64") * y.data + z.data
        return interpreter.TensorHandle(found.astype("float32"), x.dtype.scalar)

    monkeypatch.setattr(interpreter, "_convert_float", convert)
    monkeypatch.setattr(interpreter.InterpreterBuilder, "create_fma", fma)


def act_of(kind: str) -> Act:
    limits = {"nothing": (-math.inf, math.inf), "relu6": (0.0, 6.0), "relu": (0.0, math.inf)}
    if kind in limits:
        return Clamp(*limits[kind])
    bits, signed = int(kind[0]), kind[1] == "s"
    low, high = (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if signed else (0, 2**bits - 1)
    value = torch.tensor(0.77, device=DEVICE, requires_grad=True)
    return Quantizer(value, float(-low if signed else high), 1e-6, low, high)


def one_by_one(x: Tensor, norm: nn.BatchNorm2d, act: Act) -> Tensor:
    z = F.batch_norm(
        x, norm.running_mean, norm.running_var, norm.weight, norm.bias, True, norm.momentum or 0.0, norm.eps
    )
    if isinstance(act, Quantizer):
        return cuda_quantizer.quantize(z, act)
    return (F.relu6(z) if act.high == 6 else F.relu(z)) if act.low == 0 else z


def made(
    channels: int, shape: tuple[int, int, int], dtype: torch.dtype
) -> tuple[Tensor, nn.BatchNorm2d, Tensor]:
    """A map whose channels are far apart and of many widths, its BatchNorm, and what weighs the output."""
    g = torch.Generator().manual_seed(channels)
    n, h, w = shape
    x = torch.randn((n, channels, h, w), generator=g) * (torch.rand((channels, 1, 1), generator=g) + 0.5)
    x += torch.randn((channels, 1, 1), generator=g)
    norm = nn.BatchNorm2d(channels, eps=1e-4, momentum=0.2)
    with torch.no_grad():
        norm.weight.copy_(torch.rand(channels, generator=g) * 3 - 1.5)
        norm.bias.copy_(torch.rand(channels, generator=g) * 2 - 0.5)
        norm.running_mean.copy_(torch.randn(channels, generator=g))  # type: ignore[union-attr]
    weights = torch.randn(x.shape, generator=g)
    layout = {"device": DEVICE, "memory_format": torch.channels_last}
    return (
        x.to(dtype=dtype, **layout),  # type: ignore[call-overload]
        norm.to(DEVICE),
        weights.to(dtype=dtype, **layout),  # type: ignore[call-overload]
    )


def step(
    function: Callable[[Tensor, nn.BatchNorm2d, Act], Tensor], kind: str, given: tuple[Tensor, nn.BatchNorm2d, Tensor]
) -> dict[str, Tensor]:  # fmt: skip
    """Output, running statistics and all gradients."""
    x, template, weights = given
    norm = nn.BatchNorm2d(x.shape[1], template.eps, template.momentum).to(DEVICE)
    norm.load_state_dict(template.state_dict())
    act = act_of(kind)
    x = x.detach().clone(memory_format=torch.preserve_format).requires_grad_()
    y = function(x, norm, act)
    assert y.dtype == x.dtype
    assert y.is_contiguous(memory_format=torch.channels_last)
    y.backward(weights)
    assert x.grad is not None
    assert x.grad.is_contiguous(memory_format=torch.channels_last)
    found = {"y": y.detach(), "x": x.grad, "mean": norm.running_mean, "variance": norm.running_var}
    found |= {"weight": norm.weight.grad, "bias": norm.bias.grad}
    if isinstance(act, Quantizer):
        found["value"] = act.value.grad
    return {name: tensor.float() for name, tensor in found.items() if tensor is not None}


def compare(found: dict[str, Tensor], expected: dict[str, Tensor], kind: str, dtype: torch.dtype) -> None:
    """Equal up to the order of sums; a sum on another side of a tie moves a value by one step."""
    assert found.keys() == expected.keys()
    exact = dtype == torch.float32
    act = act_of(kind)
    one = 2 ** (0.77) / act.levels if isinstance(act, Quantizer) else 0.0
    size = expected["y"].numel()
    for name in ("y", "x"):
        scale = float(expected[name].abs().max())
        tolerance = 1e-5 * scale + (1e-5 if exact else 2**-7) * expected[name].abs()
        off = (found[name] - expected[name]).abs()
        assert int((off > tolerance).sum()) <= (2 if exact else 2 + size // 200), name
        if name == "y":
            assert float((off - tolerance).max()) <= 1.01 * one
    for name in expected.keys() - {"y", "x"}:
        scale = float(expected[name].abs().max()) or 1.0
        if name == "value":  # a sum of both signs: small against what it adds up
            scale = math.sqrt(size) * one * (abs(act.low) + act.high)
        bound = (1e-5 if name in ("mean", "variance") or exact else 1e-3) * scale
        torch.testing.assert_close(found[name], expected[name], rtol=1e-5, atol=bound, msg=name)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=["float32", "bfloat16"])
@pytest.mark.parametrize("channels", [24, *slowly(16, 37, 144)])
@pytest.mark.parametrize("kind", ["nothing", "relu6", "4s", *slowly("relu", "2u", "2s", "4u", "8u", "8s")])
def test_a_step_is_that_of_the_layers_one_by_one(kind: str, channels: int, dtype: torch.dtype) -> None:
    given = made(channels, (6, 9, 7), dtype)
    compare(step(normalize, kind, given), step(one_by_one, kind, given), kind, dtype)


@pytest.mark.parametrize("shape", [(6, 1, 1), (3, 5, 7), *slowly((8, 8, 8))])
@pytest.mark.parametrize("channels", [3, *slowly(1, 40, 72)])
@pytest.mark.parametrize("kind", ["relu6", "4s"])
def test_sizes(
    kind: str, channels: int, shape: tuple[int, int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Several tiles a program, several loops over parts."""
    monkeypatch.setattr(cuda_norm, "_ENOUGH", 3)
    monkeypatch.setattr(cuda_norm, "_TILE", 256)
    monkeypatch.setattr(cuda_norm, "_SMALL_TILE", 128)
    monkeypatch.setattr(cuda_norm, "_PARTS", 4)
    given = made(channels, shape, torch.float32)
    compare(step(normalize, kind, given), step(one_by_one, kind, given), kind, torch.float32)


@pytest.mark.parametrize("kind", ["relu6", "2u", *slowly("nothing", "8s")])
def test_gradients_are_those_of_the_composed_function(kind: str) -> None:
    given = made(24, (6, 9, 7), torch.float32)
    found = step(normalize, kind, given)
    x, norm, weights = given
    act = act_of(kind)
    leaves = [t.detach().double().requires_grad_() for t in (x, norm.weight, norm.bias)]
    z = F.batch_norm(leaves[0], None, None, *leaves[1:], True, 0.0, norm.eps)
    if isinstance(act, Quantizer):
        leaves.append(act.value.detach().double().requires_grad_())
        scale = 2 ** leaves[3] / act.levels
        exact = z / scale
        y = (exact + (exact.round() - exact).detach()).clamp(act.low, act.high) * scale
    else:
        y = z.clamp(act.low, act.high)
    y.backward(weights.double())
    for name, leaf in zip(("x", "weight", "bias", "value"), leaves, strict=False):
        assert leaf.grad is not None
        scale_of = float(leaf.grad.abs().max())
        torch.testing.assert_close(found[name].double(), leaf.grad, rtol=1e-4, atol=1e-5 * scale_of, msg=name)


def test_a_channel_far_from_zero_keeps_its_variance() -> None:
    x, norm, weights = made(16, (8, 9, 8), torch.float32)
    x = x + 4096
    found = step(normalize, "nothing", (x, norm, weights))
    variance = 0.8 + 0.2 * x.double().var((0, 2, 3))
    torch.testing.assert_close(found["variance"].double(), variance, rtol=1e-4, atol=0)


@pytest.mark.parametrize("kind", ["relu6", "4s", *slowly("nothing", "relu")])
def test_nan_stays(kind: str) -> None:
    given = made(16, (3, 5, 7), torch.float32)
    given[0][1, 3, 2, 2] = math.nan
    found = step(normalize, kind, given)
    for name in ("y", "x"):
        assert bool(found[name][:, 3].isnan().all())
        assert not bool(found[name][:, :3].isnan().any() or found[name][:, 4:].isnan().any())
    assert "value" not in found or bool(found["value"].isnan())


def test_results_repeat_to_the_bit() -> None:
    given = made(24, (3, 5, 7), torch.float32)
    first, second = (step(normalize, "4s", given) for _ in range(2))
    assert all(torch.equal(first[name], second[name]) for name in first)


@pytest.mark.parametrize("kind", ["relu6", "relu", "nothing", "unsigned", "signed"])
def test_layers_give_what_they_gave(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """`normalize_and_act` with the fused kernels, also where there is no GPU but the interpreter."""
    floats = {"relu6": (False, True), "relu": (False, False), "nothing": (True, True)}
    act: nn.Module = (
        FloatActivation(*floats[kind])
        if kind in floats
        else QuantLayers().relu6(4) if kind == "unsigned" else QuantLayers().identity(4)
    )  # fmt: skip
    if kind not in floats:
        set_activation_threshold(act, 1.7)
    act.to(DEVICE)
    x, norm, _ = made(24, (6, 9, 7), torch.float32)
    expected = act(F.batch_norm(x, None, None, norm.weight, norm.bias, True, 0.0, norm.eps))
    if not INTERPRETED:
        found = normalize_and_act(x, norm, act)
        assert norm.num_batches_tracked == 1
    else:
        quantizer = fused_quantizer(act)
        assert (quantizer is None) == (kind in floats)
        known = act_of(kind) if quantizer is None else quantizer
        found = normalize(x, norm, known)
        monkeypatch.setattr(cuda_norm, "normalize", lambda *_: pytest.fail("not on a CPU"))
        normalize_and_act(x, norm, act)
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)
