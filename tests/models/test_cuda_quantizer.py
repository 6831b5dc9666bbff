import pytest
import torch
from torch import Tensor, nn

from models import cuda_quantizer
from models.brevitas_adapter import (
    FusedIntQuant,
    QuantLayers,
    scale_parameters,
    set_activation_threshold,
    set_weight_thresholds,
)
from models.fast_quantizer import Quantizer
from tests.models.kernels import DEVICE, needs_triton

Result = tuple[Tensor, Tensor, Tensor]


def steps_of(module: nn.Module) -> FusedIntQuant:
    (found,) = (part for part in module.modules() if isinstance(part, FusedIntQuant))
    return found


def fused(module: nn.Module, x: Tensor, weights: Tensor) -> Result:
    """Output and gradients of our kernels with the learned scale of a layer."""
    steps = steps_of(module)
    return differentiated(x, weights, module, lambda x: cuda_quantizer.quantize(x, steps.quantizer()))


def stock(module: nn.Module, x: Tensor, weights: Tensor) -> Result:
    """The same of Brevitas's own steps."""
    steps = steps_of(module)
    return differentiated(x, weights, module, lambda x: super(FusedIntQuant, steps).forward(x)[0])


def differentiated(x: Tensor, weights: Tensor, module: nn.Module, function) -> Result:  # type: ignore[no-untyped-def]
    x = x.detach().clone(memory_format=torch.preserve_format).requires_grad_()
    (scale,) = scale_parameters(module)
    scale.grad = None
    y = function(x)
    (y * weights).sum().backward()
    assert x.grad is not None
    assert scale.grad is not None
    return y.detach(), x.grad, scale.grad


def assert_equal(ours: Result, theirs: Result) -> None:
    assert torch.equal(ours[0], theirs[0])
    # Brevitas multiplies by the scale and divides by it again: the last bit may differ, zeros may not.
    torch.testing.assert_close(ours[1], theirs[1], rtol=1e-6, atol=0.0)
    torch.testing.assert_close(ours[2], theirs[2], rtol=1e-4, atol=1e-4)


@needs_triton
@pytest.mark.parametrize("bits", [2, 4, 8])
@pytest.mark.parametrize("signed", [True, False])
@pytest.mark.parametrize("shape", [(4, 33), (2, 300, 5, 5)])
def test_activations_and_their_gradients_equal_those_of_brevitas(
    bits: int, signed: bool, shape: tuple[int, ...]
) -> None:
    generator = torch.Generator().manual_seed(bits)
    layers = QuantLayers()
    module = (layers.identity(bits) if signed else layers.relu6(bits)).to(DEVICE)
    set_activation_threshold(module, 1.7)
    x = (torch.randn(shape, generator=generator) * 1.5).to(DEVICE)
    weights = torch.randn(shape, generator=generator).to(DEVICE)
    if len(shape) == 4:
        x = x.to(memory_format=torch.channels_last)
    assert_equal(fused(module, x, weights), stock(module, x, weights))


@needs_triton
@pytest.mark.parametrize("bits", [2, 8])
@pytest.mark.parametrize("kind", ["convolution", "long rows", "linear"])
@pytest.mark.parametrize("channels_last", [True, False])
def test_weights_and_their_gradients_equal_those_of_brevitas(
    bits: int, kind: str, channels_last: bool
) -> None:
    layers = QuantLayers()
    layer: nn.Module = {
        "convolution": lambda: layers.conv(8, 16, 3, 1, 1, bits),
        "long rows": lambda: layers.conv(300, 4, 3, 1, 1, bits),
        "linear": lambda: layers.linear(50, 7, bits),
    }[kind]()
    weight = layer.weight.detach()
    assert isinstance(weight, Tensor)
    set_weight_thresholds(layer, weight.flatten(1).abs().amax(1) * 0.7)
    layer.to(DEVICE)
    weight = weight.to(DEVICE)
    if channels_last and weight.dim() == 4:
        weight = weight.to(memory_format=torch.channels_last)
    weights = torch.randn(weight.shape, generator=torch.Generator().manual_seed(bits)).to(DEVICE)
    assert_equal(fused(layer, weight, weights), stock(layer, weight, weights))


@needs_triton
@pytest.mark.parametrize("bits", [2, 8])
def test_bfloat16_is_quantized_in_float32(bits: int) -> None:
    generator = torch.Generator().manual_seed(bits)
    module = QuantLayers().identity(bits).to(DEVICE)
    set_activation_threshold(module, 1.7)
    x = (torch.randn((4, 6, 8, 8), generator=generator) * 1.5).bfloat16().to(DEVICE)
    weights = torch.randn(x.shape, generator=generator).to(DEVICE)
    half, full = fused(module, x, weights), fused(module, x.float(), weights)
    assert half[0].dtype == half[1].dtype == torch.bfloat16
    # The levels are the same; a GPU rounds them to 8 bits, the interpreter cuts them off.
    torch.testing.assert_close(half[0].float(), full[0], rtol=2**-7, atol=0.0)
    torch.testing.assert_close(half[1].float(), full[1], rtol=2**-7, atol=0.0)
    torch.testing.assert_close(half[2], full[2], rtol=1e-2, atol=0.5)


@needs_triton
def test_what_is_not_a_number_stays_none() -> None:
    """A network that diverged must be seen to have diverged."""
    x = torch.tensor([1.0, float("nan"), 2.0], device=DEVICE)
    y = cuda_quantizer.quantize(x, Quantizer(torch.zeros(1, device=DEVICE), 7.0, 0.0, -7, 7))
    assert torch.isnan(y).tolist() == [False, True, False]


@needs_triton
@pytest.mark.parametrize("scaled", [True, False])
def test_a_fixed_scale_gives_levels_or_their_multiples(scaled: bool) -> None:
    x = torch.tensor([-3.0, -0.26, 0.25, 0.75, 1.25, 9.0], device=DEVICE)
    scale = torch.tensor(0.5, device=DEVICE)
    levels = torch.tensor([-4.0, -1.0, 0.0, 2.0, 2.0, 3.0], device=DEVICE)  # ties go to the even one
    found = cuda_quantizer.quantize_fixed(x, scale, -4.0, 3.0, scaled)
    assert torch.equal(found, levels * 0.5 if scaled else levels)


def test_on_a_cpu_the_kernels_are_left_alone() -> None:
    assert not cuda_quantizer.applies(torch.zeros(2, 3), torch.zeros(1))
