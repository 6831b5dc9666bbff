"""A trained quantized network as plain PyTorch, its BatchNorms folded into the convolutions before them.

A BatchNorm in evaluation multiplies each channel by f = gamma / sqrt(variance + epsilon) and adds
beta - mean f. With one weight scale per output channel the factor goes into the scale: the integers stay, up to
their sign where f is negative, and a symmetric range has the opposite of each of its integers. So folding costs no
accuracy at any bit width; with one scale for all channels it would (the integers would have to be drawn anew).

The arithmetic of the result is exact, see `models.plain_layers` and `models.double_functions`.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from hwcost.errors import OfframpError
from models import brevitas_adapter
from models.double_functions import in_double
from models.finite import not_finite
from models.fold_trace import trace_reading
from models.plain_layers import Grid, IntegerWeight, PlainConv, PlainLinear, PlainQuantizer

Network = TypeVar("Network", bound=nn.Module)


def fold_network(network: Network, example: Tensor) -> Network:
    """The same network without Brevitas and without BatchNorms.

    Its logits are those of the network in evaluation mode up to the rounding of floating point. Where that rounding
    carries a value over the border between two levels of a quantizer, a level changes: rarely, and by one step.

    Args:
        network: A quantized network; not changed.
        example: (n, c, h, w) images of the right size: one pass shows which layer reads what.

    Returns:
        A network of the same class in evaluation mode.

    Raises:
        OfframpError: When the network is not quantized, a number in it is not finite, or a BatchNorm follows
            something else than a convolution.
    """
    layers = brevitas_adapter.weight_layers(network)
    if not layers:
        raise OfframpError(
            "expected a quantized network to fold, got a float one; train it with quantization"
        )
    broken = not_finite(network)
    if broken is not None:
        raise OfframpError(
            f"expected finite numbers in the network to fold, got NaN or infinity in {broken}; train it anew"
        )
    quantizers = brevitas_adapter.activation_quantizers(network)
    reading = trace_reading(network, layers, quantizers, example)
    plain = {name: _plain_quantizer(quantizer) for name, quantizer in quantizers.items()}
    replacements: dict[str, nn.Module] = {**plain}
    for name, layer in layers.items():
        norm, reads = reading.norm_of.get(name), reading.quantizer_of.get(name)
        replacements[name] = _plain_layer(
            layer,
            None if norm is None else network.get_submodule(norm),
            None if reads is None else Grid(plain[reads].scale, plain[reads].bits, plain[reads].signed),
        )
    replacements |= {name: nn.Identity() for name in reading.norm_of.values()}
    functions = {name: in_double(module) for name, module in network.named_modules()}
    replacements |= {name: function for name, function in functions.items() if function is not None}
    return copy_with(network, replacements).eval().requires_grad_(False)


def copy_with(network: Network, replacements: Mapping[str, nn.Module]) -> Network:
    """A deep copy in which some modules are others; the replaced ones are not copied.

    Args:
        network: Not changed.
        replacements: By module name what stands in its place.
    """
    # The memo of deepcopy holds what has been copied already: these it takes for their own copies.
    memo: dict[int, Any] = {id(network.get_submodule(name)): new for name, new in replacements.items()}
    return copy.deepcopy(network, memo)


def _plain_quantizer(quantizer: Any) -> PlainQuantizer:
    scale = brevitas_adapter.activation_scale(quantizer).clone()
    return PlainQuantizer(
        scale, brevitas_adapter.activation_bits(quantizer), brevitas_adapter.is_signed(quantizer)
    )


def _plain_layer(layer: Any, norm: nn.Module | None, grid: Grid | None) -> nn.Module:
    scale = brevitas_adapter.weight_scale(layer).reshape(-1)
    values = brevitas_adapter.quantized_weight(layer)
    shape = (-1, *[1] * (values.dim() - 1))
    integers = (values / scale.view(shape)).round().to(torch.int8)
    bias = None if layer.bias is None else layer.bias.detach().clone()
    if norm is not None:
        assert isinstance(norm, nn.BatchNorm2d)
        integers, scale, bias = _folded(integers, scale, bias, norm)
    source = IntegerWeight(integers, scale.clone(), brevitas_adapter.weight_bits(layer))
    if isinstance(layer, nn.Linear):
        return PlainLinear(source, bias, grid)
    return PlainConv(source, bias, grid, layer.stride, layer.padding, layer.dilation, layer.groups)


def _folded(
    integers: Tensor, scale: Tensor, bias: Tensor | None, norm: nn.BatchNorm2d
) -> tuple[Tensor, Tensor, Tensor]:
    """Integers, scale and bias of a convolution that does the work of its BatchNorm too; computed in float64."""
    assert norm.running_mean is not None
    assert norm.running_var is not None
    mean, variance = norm.running_mean.double(), norm.running_var.double()
    gamma = torch.ones_like(mean) if norm.weight is None else norm.weight.detach().double()
    beta = torch.zeros_like(mean) if norm.bias is None else norm.bias.detach().double()
    factor = gamma / torch.sqrt(variance + norm.eps)
    before = torch.zeros_like(mean) if bias is None else bias.double()
    new_bias = (beta + (before - mean) * factor).to(scale.dtype)
    # A channel whose scale would be 0 keeps the one it has, as scales are above 0, and loses its integers.
    new_scale = (scale.double() * factor.abs()).to(scale.dtype)
    sign = torch.where(new_scale > 0, torch.sign(factor), 0).to(torch.int8)
    rows = (-1, *[1] * (integers.dim() - 1))
    return integers * sign.view(rows), torch.where(new_scale > 0, new_scale, scale), new_bias
