import pytest
import torch
from torch import Tensor, nn

from models.brevitas_adapter import QuantLayers
from models.depthwise import SMALLEST_KERNEL
from models.layers import FloatLayers
from models.loop import arithmetic
from models.recipe import Arithmetic


@pytest.mark.parametrize("kernel", [3, SMALLEST_KERNEL, 7])
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("size", [4, 7, 8, 9])
@pytest.mark.parametrize("channels_last", [True, False])
def test_gradients_equal_those_of_pytorch(kernel: int, stride: int, size: int, channels_last: bool) -> None:
    generator = torch.Generator().manual_seed(0)
    ours = FloatLayers().conv(6, 6, kernel, stride, 6, 8)
    stock = nn.Conv2d(6, 6, kernel, stride, kernel // 2, groups=6, bias=False)
    stock.load_state_dict(ours.state_dict())
    x = torch.randn((3, 6, size, size), generator=generator)
    if channels_last:
        x = x.to(memory_format=torch.channels_last)
    gradient = torch.randn(stock(x).shape, generator=generator)

    def run(layer: nn.Conv2d) -> list[Tensor]:
        source = x.clone(memory_format=torch.preserve_format).requires_grad_()
        y = layer(source)
        y.backward(gradient)
        assert source.grad is not None
        assert layer.weight.grad is not None
        return [y.detach(), source.grad, layer.weight.grad]

    for mine, theirs in zip(run(ours), run(stock), strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("kernel", [3, 7])
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("size", [8, 9])
def test_gradients_under_mixed_precision_are_those_of_float32_to_its_8_bits(
    kernel: int, stride: int, size: int
) -> None:
    generator = torch.Generator().manual_seed(0)
    layer = FloatLayers().conv(6, 6, kernel, stride, 6, 8)
    x = torch.randn((4, 6, size, size), generator=generator)

    def run(precision: Arithmetic) -> list[Tensor]:
        source = x.clone().requires_grad_()
        layer.zero_grad()
        with arithmetic(precision, x.device):
            y = layer(source)
        assert (y.dtype == torch.bfloat16) == (precision == "bfloat16")
        y.float().square().sum().backward()
        assert source.grad is not None
        assert layer.weight.grad is not None
        return [source.grad, layer.weight.grad.clone()]

    for half, whole in zip(run("bfloat16"), run("float32"), strict=True):
        assert half.dtype == torch.float32
        assert float((half - whole).norm() / whole.norm()) < 0.02


def test_the_gradient_reaches_quantized_weights() -> None:
    layer = QuantLayers().conv(6, 6, 7, 1, 6, 4)
    layer(torch.randn((2, 6, 8, 8), generator=torch.Generator().manual_seed(0))).square().sum().backward()
    assert layer.weight.grad is not None
    assert layer.weight.grad.abs().sum() > 0


def test_gradients_are_right_to_second_order_of_a_step() -> None:
    layer = FloatLayers().conv(2, 2, 5, 2, 2, 8).double()
    x = torch.randn((2, 2, 7, 7), generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    x.requires_grad_()
    assert torch.autograd.gradcheck(lambda a, w: layer._conv_forward(a, w, None), (x, layer.weight))
