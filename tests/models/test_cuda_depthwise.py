import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from models.cuda_depthwise import applies, depthwise_conv
from tests.models.kernels import DEVICE, needs_triton

TOLERANCE = {torch.float32: 1e-5, torch.bfloat16: 8e-3}


def gradients(y: Tensor, x: Tensor, weight: Tensor, gradient: Tensor) -> tuple[Tensor, ...]:
    return y.detach(), *torch.autograd.grad(y, (x, weight), gradient.to(y.dtype))


@needs_triton
@pytest.mark.parametrize(
    ("n", "channels", "size", "kernel", "stride"),
    [(2, 16, 6, 3, 1), (3, 70, 5, 3, 2), (2, 24, 4, 7, 1), (1, 33, 6, 7, 2), (1, 8, 2, 7, 1)],
)
@pytest.mark.parametrize("dtype", [torch.float32, pytest.param(torch.bfloat16, marks=pytest.mark.slow)])
def test_outputs_and_gradients_equal_those_of_pytorch(
    n: int, channels: int, size: int, kernel: int, stride: int, dtype: torch.dtype
) -> None:
    generator = torch.Generator().manual_seed(kernel)
    x = torch.randn((n, channels, size, size), generator=generator).to(DEVICE, dtype)
    x = x.to(memory_format=torch.channels_last).requires_grad_()
    weight = (
        torch.randn((channels, 1, kernel, kernel), generator=generator).to(DEVICE, dtype).requires_grad_()
    )
    exact = F.conv2d(x.double(), weight.double(), None, stride, kernel // 2, 1, channels)
    gradient = torch.randn(exact.shape, generator=generator).to(DEVICE, dtype)
    ours = gradients(depthwise_conv(x, weight, stride), x, weight, gradient)
    theirs = gradients(exact, x, weight, gradient)
    for mine, true in zip(ours, theirs, strict=True):
        assert mine.dtype == dtype
        assert float((mine.double() - true.double()).norm() / true.double().norm()) < TOLERANCE[dtype]


@needs_triton
def test_sums_of_integers_are_exact() -> None:
    """Deployed networks multiply integers: every device has to give the same bits."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randint(0, 256, (1, 32, 5, 5), generator=generator).float()
    weight = torch.randint(-127, 128, (32, 1, 7, 7), generator=generator).float()
    exact = F.conv2d(x.double(), weight.double(), None, 1, 3, 1, 32)
    assert torch.equal(depthwise_conv(x.to(DEVICE), weight.to(DEVICE), 1).cpu().double(), exact)


@needs_triton
def test_a_map_that_is_not_channels_last_is_taken_too() -> None:
    x = torch.randn((2, 16, 6, 6), generator=torch.Generator().manual_seed(0)).to(DEVICE)
    weight = torch.ones((16, 1, 3, 3), device=DEVICE)
    torch.testing.assert_close(depthwise_conv(x, weight, 1), F.conv2d(x, weight, None, 1, 1, 1, 16))


def test_on_a_cpu_the_kernels_are_left_alone() -> None:
    assert not applies(torch.zeros(1, 4, 8, 8), torch.zeros(4, 1, 3, 3), (1, 1), (1, 1), (1, 1), 4)
