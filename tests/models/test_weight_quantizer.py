import pytest
import torch
from torch import Tensor, nn

from models import weight_quantizer
from models.brevitas_adapter import (
    FusedIntQuant,
    QuantLayers,
    quantized_weight,
    scale_parameters,
    set_weight_thresholds,
)

KINDS = ("convolution", "depth-wise", "one output", "linear")


def layer(kind: str, bits: int, fast: bool) -> nn.Module:
    layers = QuantLayers(fast)
    made: nn.Module = {
        "convolution": lambda: layers.conv(6, 5, 3, 1, 1, bits),
        "depth-wise": lambda: layers.conv(8, 8, 5, 1, 8, bits),
        "one output": lambda: layers.conv(4, 1, 1, 1, 1, bits),
        "linear": lambda: layers.linear(7, 5, bits),
    }[kind]()
    generator = torch.Generator().manual_seed(bits)
    with torch.no_grad():
        made.weight.copy_(torch.randn(made.weight.shape, generator=generator))
    # From thresholds that cut much to ones that cut nothing.
    set_weight_thresholds(made, torch.logspace(-1.0, 1.0, len(made.weight)))
    return made


def run(made: nn.Module, gradient: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    quantized = made.quant_weight()
    quantized.backward(gradient)
    (scale,) = scale_parameters(made)
    assert made.weight.grad is not None
    assert scale.grad is not None
    return quantized.detach(), made.weight.grad, scale.grad


@pytest.mark.parametrize("bits", [2, 3, 4, 6, 8])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("channels_last", [True, False])
def test_weights_and_gradients_equal_those_of_brevitas(bits: int, kind: str, channels_last: bool) -> None:
    ours, stock = layer(kind, bits, True), layer(kind, bits, False)
    assert isinstance(ours.weight_quant.tensor_quant, FusedIntQuant)
    if channels_last and kind != "linear":
        for made in (ours, stock):
            made.to(memory_format=torch.channels_last)
    gradient = torch.randn(ours.weight.shape, generator=torch.Generator().manual_seed(9))
    found, expected = run(ours, gradient), run(stock, gradient)
    assert torch.equal(found[0], expected[0])
    # Brevitas multiplies by the scale and divides by it again: the last bit may differ, zeros may not.
    torch.testing.assert_close(found[1], expected[1], rtol=1e-6, atol=0.0)
    torch.testing.assert_close(found[2], expected[2], rtol=1e-4, atol=1e-4)
    assert found[2].abs().sum() > 0
    assert found[1].eq(0).any()  # some are cut


def test_the_weights_are_not_changed() -> None:
    made = layer("convolution", 4, True)
    before = made.weight.detach().clone()
    quantized_weight(made)
    assert torch.equal(made.weight, before)


def test_what_it_does_not_take() -> None:
    weight = torch.zeros(4, 3, 3, 3)
    assert weight_quantizer.applies(weight, torch.zeros(4, 1, 1, 1))
    assert not weight_quantizer.applies(weight, torch.zeros(3, 1, 1))
    assert not weight_quantizer.applies(weight.bfloat16(), torch.zeros(4, 1, 1, 1))
    assert not weight_quantizer.applies(weight.to("meta"), torch.zeros(4, 1, 1, 1))
