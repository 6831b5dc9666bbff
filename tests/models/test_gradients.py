import logging

import pytest
import torch
from torch import Tensor, nn

from models.gradients import Gradients

cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device here")


def squares(layer: nn.Linear):  # type: ignore[no-untyped-def]
    def compute(x: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        loss = (layer(x) - target).square().mean()
        return loss, target.sum()

    return compute


def batch(seed: int, n: int = 8, device: str = "cpu") -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    x, target = torch.randn((n, 3), generator=generator), torch.randn((n, 2), generator=generator)
    return x.to(device), target.to(device)


def expected(layer: nn.Linear, x: Tensor, target: Tensor) -> tuple[Tensor, ...]:
    loss = squares(layer)(x, target)[0]
    return loss.detach(), *torch.autograd.grad(loss, list(layer.parameters()))


@pytest.mark.parametrize("device", ["cpu", pytest.param("cuda", marks=cuda)])
def test_gradients_replace_what_was_there(device: str) -> None:
    layer = nn.Linear(3, 2).to(device)
    gradients = Gradients(squares(layer), list(layer.parameters()))
    for seed, n in ((0, 8), (1, 8), (2, 4), (3, 8)):  # shapes come back
        x, target = batch(seed, n, device)
        loss, figure = gradients(x, target)
        true = expected(layer, x, target)
        found = (loss, *(parameter.grad for parameter in layer.parameters()))
        for mine, theirs in zip(found, true, strict=True):
            torch.testing.assert_close(mine, theirs)
        torch.testing.assert_close(figure, target.sum())


@cuda
def test_steps_that_cannot_be_recorded_run_as_they_are(caplog: pytest.LogCaptureFixture) -> None:
    layer = nn.Linear(3, 2).cuda()

    def compute(x: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        loss = (layer(x) - target).square().mean() * float(x.abs().max())  # waits for the GPU
        return loss, loss.detach()

    gradients = Gradients(compute, list(layer.parameters()))
    x, target = batch(0, device="cuda")
    with caplog.at_level(logging.WARNING):
        loss, _ = gradients(x, target)
    assert "without a CUDA graph" in caplog.text
    torch.testing.assert_close(loss, expected(layer, x, target)[0] * x.abs().max())
