"""The building blocks that stages are rebuilt from, beside `models.backbone`'s."""

from torch import Tensor, nn


class ConvAct(nn.Module):
    """Convolution with bias and an activation (quantizer), where there is no BatchNorm."""

    def __init__(self, conv: nn.Conv2d, act: nn.Module) -> None:
        super().__init__()
        self.conv = conv
        self.act = act

    def forward(self, x: Tensor) -> Tensor:
        """(n, c, h, w) to (n, k, h', w')."""
        result: Tensor = self.act(self.conv(x))
        return result


class LinearAct(nn.Module):
    """Linear layer and an activation (quantizer)."""

    def __init__(self, linear: nn.Linear, act: nn.Module) -> None:
        super().__init__()
        self.linear = linear
        self.act = act

    def forward(self, x: Tensor) -> Tensor:
        """(n, features) to (n, outputs)."""
        result: Tensor = self.act(self.linear(x))
        return result


class Pointwise(nn.Module):
    """A function of every element other than ReLU, and the quantizer of what it yields."""

    def __init__(self, function: nn.Module, act: nn.Module) -> None:
        super().__init__()
        self.function = function
        self.act = act

    def forward(self, x: Tensor) -> Tensor:
        """Any shape; the same shape."""
        result: Tensor = self.act(self.function(x))
        return result


class Multiply(nn.Module):
    """Element-wise product, one factor perhaps one number a channel, and the quantizer of the product."""

    def __init__(self, act: nn.Module) -> None:
        super().__init__()
        self.act = act

    def forward(self, first: Tensor, second: Tensor) -> Tensor:
        """Two tensors that broadcast to one shape, to that shape."""
        result: Tensor = self.act(first * second)
        return result


class MeanPool(nn.Module):
    """Average pooling, and the quantizer of the means."""

    def __init__(self, pool: nn.Module, act: nn.Module) -> None:
        super().__init__()
        self.pool = pool
        self.act = act

    def forward(self, x: Tensor) -> Tensor:
        """(n, c, h, w) to (n, c, h', w')."""
        result: Tensor = self.act(self.pool(x))
        return result
