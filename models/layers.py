"""The few kinds of layers networks are built from, behind one interface: float here, quantized elsewhere.

Both kinds have the same parameter names, so weights of a float network load into a quantized one.
"""

from typing import Protocol

import torch.nn.functional as F
from torch import Tensor, nn

from models.depthwise import DepthwiseMixin


class LayerFactory(Protocol):
    """Makes the layers of one network."""

    def conv(
        self, in_channels: int, out_channels: int, kernel: int, stride: int, groups: int, weight_bits: int
    ) -> nn.Conv2d:
        """A convolution without bias, padded to keep the size at stride 1."""
        ...

    def linear(self, in_features: int, out_features: int, weight_bits: int) -> nn.Linear:
        """A linear layer with bias."""
        ...

    def relu6(self, bits: int) -> nn.Module:
        """ReLU6, its output unsigned with `bits`."""
        ...

    def identity(self, bits: int) -> nn.Module:
        """No function, its output signed with `bits`."""
        ...


class FloatActivation(nn.Module):
    """Where a quantized network has an activation quantizer, a float one has this.

    Attributes:
        signed: Whether values below zero occur; without them the function is ReLU6, or ReLU.
        capped: Whether an unsigned one ends at 6.
    """

    def __init__(self, signed: bool, capped: bool = True) -> None:
        super().__init__()
        self.signed = signed
        self.capped = capped

    def forward(self, x: Tensor) -> Tensor:
        """Any shape; the same shape."""
        if self.signed:
            return x
        return F.relu6(x) if self.capped else F.relu(x)


class _FloatConv(DepthwiseMixin, nn.Conv2d):
    """A float convolution."""


class FloatLayers:
    """Layers without quantization; bits are ignored."""

    def conv(
        self, in_channels: int, out_channels: int, kernel: int, stride: int, groups: int, weight_bits: int
    ) -> nn.Conv2d:
        """See `LayerFactory`."""
        del weight_bits
        padding = kernel // 2
        return _FloatConv(in_channels, out_channels, kernel, stride, padding, groups=groups, bias=False)

    def linear(self, in_features: int, out_features: int, weight_bits: int) -> nn.Linear:
        """See `LayerFactory`."""
        del weight_bits
        return nn.Linear(in_features, out_features)

    def relu6(self, bits: int) -> nn.Module:
        """See `LayerFactory`."""
        del bits
        return FloatActivation(signed=False)

    def identity(self, bits: int) -> nn.Module:
        """See `LayerFactory`."""
        del bits
        return FloatActivation(signed=True)


def relu(layers: LayerFactory, bits: int) -> nn.Module:
    """ReLU, its output unsigned with `bits`.

    A quantizer cuts where calibration found the float values to end, so a quantized ReLU and a quantized ReLU6 are
    the same thing; float layers differ.
    """
    layer = layers.relu6(bits)
    return FloatActivation(signed=False, capped=False) if isinstance(layer, FloatActivation) else layer


def unsigned(layers: LayerFactory, bits: int) -> nn.Module:
    """What quantizes values that are never below zero; no function of its own."""
    return relu(layers, bits)
