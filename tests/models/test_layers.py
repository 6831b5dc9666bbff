import pytest
import torch
import torch.nn.functional as F

from models import brevitas_adapter
from models.layers import FloatLayers, relu, unsigned

X = torch.linspace(-10, 10, 4001)


def test_float_activations_are_their_functions() -> None:
    layers = FloatLayers()
    assert torch.equal(layers.identity(4)(X), X)
    assert torch.equal(layers.relu6(4)(X), F.relu6(X))
    assert torch.equal(relu(layers, 4)(X), F.relu(X))
    # For values that are never below zero it does nothing.
    assert torch.equal(unsigned(layers, 4)(X.abs()), X.abs())


@pytest.mark.parametrize("bits", [2, 4, 8])
def test_a_quantized_relu_is_unsigned_and_ends_at_its_learned_threshold(bits: int) -> None:
    quantizer = relu(brevitas_adapter.QuantLayers(), bits)
    brevitas_adapter.set_activation_threshold(quantizer, 9.0)  # above 6: a ReLU has no end of its own
    y = quantizer(X).detach()
    assert not brevitas_adapter.is_signed(quantizer)
    assert float(y.max()) == pytest.approx(9.0)
    assert float(y.min()) == 0
    assert len(torch.unique(y)) == 2**bits


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("kernel", [1, 3, 7])
def test_convolutions_keep_the_size_at_stride_1(kernel: int, stride: int) -> None:
    for layers in (FloatLayers(), brevitas_adapter.QuantLayers()):
        conv = layers.conv(4, 6, kernel, stride, 2, 4)
        assert conv.bias is None
        assert conv(torch.randn(1, 4, 9, 9)).shape == (1, 6, -(-9 // stride), -(-9 // stride))
