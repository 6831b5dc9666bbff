"""Exit heads as PyTorch modules; their sizes come from the tables that their cost is computed from."""

from collections import OrderedDict

import torch.nn.functional as F
from torch import Tensor, nn

from hwcost.networks.heads import SEPARABLE_KERNEL, PoolWindow, averages, pool_window, separable_convs
from models.backbone import ConvNormAct
from models.layers import LayerFactory


class MaxPool(nn.Module):
    """Max-pooling without padding; of quantized values it stays quantized.

    Maps of another size than the network is for (in early pre-training) are pooled to the same output.
    """

    def __init__(self, window: PoolWindow, in_size: int) -> None:
        super().__init__()
        self.window = window
        self.in_size = in_size

    def forward(self, x: Tensor) -> Tensor:
        """(n, c, h, w) to (n, c, window.out_size, window.out_size)."""
        if x.shape[-1] != self.in_size:
            return F.adaptive_max_pool2d(x, self.window.out_size)
        return F.max_pool2d(x, self.window.kernel, self.window.stride)


class GlobalAveragePool(nn.Module):
    """Mean over the map, and the quantizer of the pooled features."""

    def __init__(self, window: PoolWindow, act: nn.Module) -> None:
        super().__init__()
        self.window = window
        self.mean = nn.AdaptiveAvgPool2d(1)
        self.act = act

    def forward(self, x: Tensor) -> Tensor:
        """(n, c, h, w) to (n, c, 1, 1)."""
        result: Tensor = self.act(self.mean(x))
        return result


class ExitHead(nn.Module):
    """Perhaps separable convolutions, pooling, perhaps a hidden layer, a linear classifier.

    Args:
        kind: One of `models.architecture.HEAD_KINDS`.
        channels: Channels of the map.
        in_size: Its side in elements.
        classes: Number of logits.
        weight_bits: Bits of the weights.
        activation_bits: Bits of what the head itself quantizes.
        layers: Makes the layers.
    """

    def __init__(
        self,
        kind: str,
        channels: int,
        in_size: int,
        classes: int,
        weight_bits: int,
        activation_bits: int,
        layers: LayerFactory,
    ) -> None:
        super().__init__()
        window = pool_window(kind, in_size)
        features = channels * window.out_size**2
        self.out_size = window.out_size
        self.convs: nn.Sequential | None = None
        if separable_convs(kind, in_size):
            self.convs = _separable(kind, channels, in_size, weight_bits, activation_bits, layers)
        self.pool: nn.Module | None = None
        if not window.is_identity:
            self.pool = (
                GlobalAveragePool(window, layers.identity(activation_bits))
                if averages(kind)
                else MaxPool(window, in_size)
            )
        self.hidden: nn.Linear | None = None
        self.act: nn.Module | None = None
        if kind == "fc_hidden":
            self.hidden = layers.linear(features, 8 * channels, weight_bits)
            self.act = layers.relu6(activation_bits)
            features = 8 * channels
        self.fc = layers.linear(features, classes, weight_bits)

    def forward(self, x: Tensor) -> Tensor:
        """(n, c, h, w) to (n, classes)."""
        if self.convs is not None:
            x = self.convs(x)
        if self.pool is not None:
            x = self.pool(x)
        elif x.shape[-1] != self.out_size:  # a map of another size than the head is for
            x = F.adaptive_max_pool2d(x, self.out_size)
        x = x.flatten(1)  # (n, channels * out_size^2)
        if self.hidden is not None and self.act is not None:
            x = self.act(self.hidden(x))
        logits: Tensor = self.fc(x)
        return logits


def _separable(
    kind: str, channels: int, in_size: int, weight_bits: int, activation_bits: int, layers: LayerFactory
) -> nn.Sequential:
    """Depth-wise and point-wise convolutions, named as in the cost tables."""
    named: OrderedDict[str, nn.Module] = OrderedDict()
    for number, spec in enumerate(separable_convs(kind, in_size), start=1):
        depthwise = layers.conv(channels, channels, SEPARABLE_KERNEL, spec.stride, channels, weight_bits)
        pointwise = layers.conv(channels, channels, 1, 1, 1, weight_bits)
        named[f"depthwise{number}"] = ConvNormAct(depthwise, layers.relu6(activation_bits))
        named[f"pointwise{number}"] = ConvNormAct(pointwise, layers.relu6(activation_bits))
    return nn.Sequential(named)
