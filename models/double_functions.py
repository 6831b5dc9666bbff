"""Functions of deployed networks that runtimes compute differently in the last digit: in float64, rounded once.

Two float64 results that differ in their last digits are the same float32 number but for one in hundreds of millions.
Computed in float32 they are not; now and then that carries a value over the border between two levels of the
quantizer behind the function, which later layers amplify (`models.plain_layers` says the same of sums).

Only operations are used that ONNX Runtime has in float64. It lacks the error function and the average of windows
there, so GELU and `AvgPool2d` stay as they are; ReLU, ReLU6 and LeakyReLU are exact as they are.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn


def _silu(x: Tensor) -> Tensor:
    return x * torch.sigmoid(x)


def _hardsigmoid(x: Tensor) -> Tensor:
    return torch.clamp(x + 3.0, 0.0, 6.0) / 6.0


def _hardswish(x: Tensor) -> Tensor:
    return x * _hardsigmoid(x)


def _mean(x: Tensor) -> Tensor:
    return x.mean((2, 3), keepdim=True)


def _elu(alpha: float) -> Callable[[Tensor], Tensor]:
    return lambda x: torch.where(x > 0.0, x, alpha * (torch.exp(x) - 1.0))


class InDouble(nn.Module):
    """A function of a float32 tensor, computed in float64.

    Args:
        function: Of a float64 tensor.
        name: What it is, for those who print the network.
    """

    def __init__(self, function: Callable[[Tensor], Tensor], name: str) -> None:
        super().__init__()
        self.function, self.name = function, name

    def forward(self, x: Tensor) -> Tensor:
        """Any shape the function takes; the type of `x`."""
        return self.function(x.double()).to(x.dtype)

    def extra_repr(self) -> str:
        """The name."""
        return self.name


_FUNCTIONS: dict[type[nn.Module], Callable[[Tensor], Tensor]] = {
    nn.SiLU: _silu,
    nn.Sigmoid: torch.sigmoid,
    nn.Tanh: torch.tanh,
    nn.Hardsigmoid: _hardsigmoid,
    nn.Hardswish: _hardswish,
}


def in_double(module: nn.Module) -> InDouble | None:
    """What stands for a module in a deployed network; None where it stays as it is."""
    kind = type(module)
    if kind in _FUNCTIONS:
        return InDouble(_FUNCTIONS[kind], kind.__name__)
    if isinstance(module, nn.ELU):
        return InDouble(_elu(module.alpha), "ELU")
    if isinstance(module, nn.AdaptiveAvgPool2d) and module.output_size in (1, (1, 1)):
        return InDouble(_mean, "mean over the map")
    return None
