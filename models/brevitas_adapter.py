"""All of Brevitas: quantized layers, and access to what their quantizers have learned.

Weights have one scale per output channel, activations one per tensor. Scales are learned as the base-2
logarithm of the clipping threshold (Jain et al. 2020, "Trained quantization thresholds", section 3.3), so one
learning rate suits all of them. They start from constants: Brevitas's default of collecting percentiles for
300 steps is the slowest part of a step on a CPU.
"""

from typing import Any

import torch
from brevitas import nn as qnn
from brevitas.core.quant import RescalingIntQuant
from brevitas.inject.enum import RestrictValueType, ScalingImplType
from brevitas.quant.scaled_int import (
    Int8ActPerTensorFloatMinMaxInit,
    Int8WeightPerChannelFloat,
    Uint8ActPerTensorFloatMaxInit,
)
from torch import Tensor, nn

from models import cuda_quantizer, fast_quantizer, weight_quantizer
from models.depthwise import DepthwiseMixin
from models.fast_quantizer import Quantizer

SCALE_SUFFIX = "scaling_impl.value"
"""How the names of learned scales end in a state dict; a float network has none of these."""


class QuantLayers:
    """Makes quantized layers (see `models.layers.LayerFactory`).

    Args:
        fast: Use our arithmetic instead of Brevitas's where it is faster; results are the same.
    """

    def __init__(self, fast: bool = True) -> None:
        self.fast = fast

    def conv(
        self, in_channels: int, out_channels: int, kernel: int, stride: int, groups: int, weight_bits: int
    ) -> nn.Conv2d:
        """A convolution without bias, its weights quantized per output channel."""
        make: Any = _QuantConv  # its constructor is Brevitas's
        layer = make(
            in_channels,
            out_channels,
            kernel,
            stride=stride,
            padding=kernel // 2,
            groups=groups,
            bias=False,
            weight_quant=self._weight_quantizer(weight_bits),
        )
        layer.weight_quant.skip_create_quant_tensor = True
        convolution: nn.Conv2d = layer
        return convolution

    def linear(self, in_features: int, out_features: int, weight_bits: int) -> nn.Linear:
        """A linear layer, its weights quantized per output; the bias stays as wide as the accumulator."""
        layer = qnn.QuantLinear(
            in_features, out_features, bias=True, weight_quant=self._weight_quantizer(weight_bits)
        )
        layer.weight_quant.skip_create_quant_tensor = True
        linear: nn.Linear = layer
        return linear

    def relu6(self, bits: int) -> nn.Module:
        """An unsigned quantizer: it cuts at 0 and at a learned threshold that starts at 6 or below."""
        quantizer = Uint8ActPerTensorFloatMaxInit.let(
            bit_width=bits, min_val=0.0, max_val=6.0, restrict_scaling_type=RestrictValueType.LOG_FP
        )
        return self._activation(quantizer)

    def identity(self, bits: int) -> nn.Module:
        """A signed quantizer."""
        quantizer = Int8ActPerTensorFloatMinMaxInit.let(
            bit_width=bits, min_val=-6.0, max_val=6.0, restrict_scaling_type=RestrictValueType.LOG_FP
        )
        return self._activation(quantizer)

    def _activation(self, quantizer: Any) -> nn.Module:
        # As part of the recipe of the quantizer, not put in afterwards: Brevitas builds quantizers anew
        # whenever a state dict is loaded.
        layer = qnn.QuantIdentity(
            act_quant=quantizer.let(tensor_quant=FusedIntQuant) if self.fast else quantizer
        )
        layer.act_quant.skip_create_quant_tensor = True
        module: nn.Module = layer
        return module

    def _weight_quantizer(self, bits: int) -> Any:
        quantizer = Int8WeightPerChannelFloat.let(
            bit_width=bits,
            scaling_impl_type=ScalingImplType.PARAMETER,
            scaling_init=1.0,
            restrict_scaling_type=RestrictValueType.LOG_FP,
        )
        return quantizer.let(tensor_quant=FusedIntQuant) if self.fast else quantizer


class _QuantConv(DepthwiseMixin, qnn.QuantConv2d):
    """Brevitas's convolution with our gradient of depth-wise weights."""


class FusedIntQuant(RescalingIntQuant):
    """Brevitas's integer quantizer with arithmetic of our own that includes that of its scale, on CPUs and GPUs.

    Elsewhere Brevitas's own steps run one by one, in float32 also where the map is bfloat16: the quotient of a value
    and its scale needs more than 8 bits to be rounded.
    """

    _constants: tuple[float, float, int, int] | None = None

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Any shape; the same shape, scale, zero point and bit width."""
        value = self.scaling_impl.value
        if cuda_quantizer.applies(x, value):
            y = cuda_quantizer.quantize(x, self.quantizer())
        elif fast_quantizer.applies(x, value):
            y = fast_quantizer.quantize(x, self.quantizer())
        elif weight_quantizer.applies(x, value):
            y = weight_quantizer.quantize(x, self.quantizer())
        else:
            slow, scale, zero_point, bits = super().forward(x.float() if x.dtype == torch.bfloat16 else x)
            return slow.to(x.dtype), scale, zero_point, bits
        # Who asks for the last three has a quantized tensor made, which `skip_create_quant_tensor` switches off.
        return y, value, value, value

    def quantizer(self) -> Quantizer:
        """What it computes with."""
        return Quantizer(self.scaling_impl.value, *self.constants())

    def constants(self) -> tuple[float, float, int, int]:
        """Integer threshold, least threshold, smallest and largest integer; none of them is learned."""
        if self._constants is None:  # kept: reading them waits for the GPU
            scaling, bits = self.scaling_impl, self.msb_clamp_bit_width_impl()
            threshold = self.int_scaling_impl(bits)
            levels = float(scaling.restrict_clamp_threshold(scaling.restrict_threshold_pre(threshold)))
            smallest = float(getattr(scaling.restrict_clamp_scaling.clamp_ste, "min_val", 0.0))
            limits = int(self.int_quant.min_int(bits)), int(self.int_quant.max_int(bits))
            self._constants = levels, smallest, *limits
        return self._constants


def activation_quantizers(network: nn.Module) -> dict[str, Any]:
    """All activation quantizers by their module name."""
    return {name: module for name, module in network.named_modules() if isinstance(module, qnn.QuantIdentity)}


def weight_layers(network: nn.Module) -> dict[str, Any]:
    """All layers with quantized weights by their module name."""
    kinds = (qnn.QuantConv2d, qnn.QuantLinear)
    return {name: module for name, module in network.named_modules() if isinstance(module, kinds)}


def activation_bits(quantizer: Any) -> int:
    """Bits of an activation quantizer."""
    return int(_activation_tensor_quant(quantizer).msb_clamp_bit_width_impl())


def fused_quantizer(act: nn.Module) -> Quantizer | None:
    """What an activation quantizer computes with where arithmetic of our own can do it."""
    if not isinstance(act, qnn.QuantIdentity) or not act.act_quant.is_quant_enabled:
        return None
    quantizer = _activation_tensor_quant(act)
    if (
        not isinstance(quantizer, FusedIntQuant)
        or not act.act_quant.skip_create_quant_tensor
        or act.export_mode
    ):
        return None
    return quantizer.quantizer()


def is_signed(quantizer: Any) -> bool:
    """Whether an activation quantizer keeps values below zero."""
    return bool(quantizer.act_quant.is_signed)


def activation_scale(quantizer: Any) -> Tensor:
    """Step of an activation quantizer, a scalar."""
    scale: Tensor = _scale(_activation_tensor_quant(quantizer)).detach()
    return scale


def set_activation_threshold(quantizer: Any, threshold: float) -> None:
    """Sets where an activation quantizer cuts.

    Args:
        quantizer: One of `activation_quantizers`.
        threshold: Largest magnitude it represents, above 0 (signed: that of the most negative value).
    """
    _set_threshold(_activation_tensor_quant(quantizer), torch.tensor(threshold))


def weight_bits(layer: Any) -> int:
    """Bits of a layer's weights."""
    return int(layer.weight_quant.tensor_quant.msb_clamp_bit_width_impl())


def weight_scale(layer: Any) -> Tensor:
    """Steps of a layer's weights, shaped (out_channels, 1, ...)."""
    scale: Tensor = _scale(layer.weight_quant.tensor_quant).detach()
    return scale


def quantized_weight(layer: Any) -> Tensor:
    """A layer's weights as the forward pass sees them."""
    weight: Tensor = layer.quant_weight()
    return weight.detach()


def set_weight_thresholds(layer: Any, thresholds: Tensor) -> None:
    """Sets where the weights of each output channel are cut.

    Args:
        layer: One of `weight_layers`.
        thresholds: (out_channels,) largest magnitudes, above 0.
    """
    _set_threshold(layer.weight_quant.tensor_quant, thresholds)


def scale_parameters(network: nn.Module) -> list[nn.Parameter]:
    """The learned scales, of activations and weights."""
    return [parameter for name, parameter in network.named_parameters() if name.endswith(SCALE_SUFFIX)]


def _activation_tensor_quant(quantizer: Any) -> Any:
    return quantizer.act_quant.fused_activation_quant_proxy.tensor_quant


def _scale(tensor_quant: Any) -> Tensor:
    integer_threshold = tensor_quant.int_scaling_impl(tensor_quant.msb_clamp_bit_width_impl())
    scale: Tensor = tensor_quant.scaling_impl(torch.zeros(1), integer_threshold)
    return scale


def _set_threshold(tensor_quant: Any, thresholds: Tensor) -> None:
    parameter = tensor_quant.scaling_impl.value
    with torch.no_grad():
        parameter.copy_(torch.log2(thresholds).reshape(parameter.shape))
