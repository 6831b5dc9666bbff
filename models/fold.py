"""A trained quantized network as plain PyTorch, its BatchNorms folded into the convolutions before them.

A BatchNorm in evaluation multiplies each channel by f = gamma / sqrt(variance + epsilon) and adds
beta - mean f. With one weight scale per output channel the factor goes into the scale: the integers stay, up to
their sign where f is negative, and a symmetric range has the opposite of each of its integers. So folding costs no
accuracy at any bit width; with one scale for all channels it would (the integers would have to be drawn anew).
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from hwcost.errors import OfframpError
from models import brevitas_adapter
from models.plain_layers import IntegerWeight, PlainConv, PlainLinear, PlainQuantizer

Network = TypeVar("Network", bound=nn.Module)


def fold_network(network: Network, example: Tensor) -> Network:
    """The same network without Brevitas and without BatchNorms.

    Its logits are those of the network in evaluation mode up to the rounding of floating point. Where that rounding
    carries a value over the border between two levels of a quantizer, a level changes: rarely, and by one step.

    Args:
        network: A quantized network; not changed.
        example: (n, c, h, w) images of the right size: one pass shows which BatchNorm follows which convolution.

    Returns:
        A network of the same class in evaluation mode.

    Raises:
        OfframpError: When the network is not quantized, or a BatchNorm follows something else than a convolution.
    """
    layers = brevitas_adapter.weight_layers(network)
    if not layers:
        raise OfframpError(
            "expected a quantized network to fold, got a float one; train it with quantization"
        )
    norms = norms_behind(network, layers, example)
    replacements: dict[str, nn.Module] = {
        name: _plain_layer(layer, network.get_submodule(norms[name]) if name in norms else None)
        for name, layer in layers.items()
    }
    replacements |= {name: nn.Identity() for name in norms.values()}
    for name, quantizer in brevitas_adapter.activation_quantizers(network).items():
        scale = brevitas_adapter.activation_scale(quantizer).clone()
        bits, signed = brevitas_adapter.activation_bits(quantizer), brevitas_adapter.is_signed(quantizer)
        replacements[name] = PlainQuantizer(scale, bits, signed)
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


def norms_behind(network: nn.Module, layers: Mapping[str, nn.Module], example: Tensor) -> dict[str, str]:
    """By layer name the name of the BatchNorm that reads its output, found by running the network.

    Raises:
        OfframpError: When a BatchNorm reads something else.
    """
    made_by: dict[int, str] = {}
    alive: list[Tensor] = []  # an output must not be freed: another tensor would get its identity
    found: dict[str, str] = {}

    def note_output(name: str, y: Tensor) -> None:
        alive.append(y)
        made_by[id(y)] = name

    def note_norm(name: str, x: Tensor) -> None:
        if id(x) not in made_by:
            raise OfframpError(
                f"expected a convolution before the BatchNorm {name}, got another layer; place each BatchNorm "
                "directly behind a convolution of the layer factory"
            )
        found[made_by[id(x)]] = name

    handles = [
        layer.register_forward_hook(lambda _m, _inputs, y, name=name: note_output(name, y))
        for name, layer in layers.items()
    ] + [
        module.register_forward_pre_hook(lambda _m, inputs, name=name: note_norm(name, inputs[0]))
        for name, module in network.named_modules()
        if isinstance(module, nn.BatchNorm2d)
    ]
    was_training = network.training
    network.eval()
    try:
        with torch.no_grad():
            network(example)
    finally:
        network.train(was_training)
        for handle in handles:
            handle.remove()
    return found


def _plain_layer(layer: Any, norm: nn.Module | None) -> nn.Module:
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
        return PlainLinear(source, bias)
    return PlainConv(source, bias, layer.stride, layer.padding, layer.dilation, layer.groups)


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
    # A channel whose factor is 0 keeps its scale, which has to be above 0, and loses its integers.
    sign = torch.sign(factor).to(torch.int8).view(-1, *[1] * (integers.dim() - 1))
    new_scale = (scale.double() * factor.abs()).to(scale.dtype)
    return integers * sign, torch.where(new_scale > 0, new_scale, scale), new_bias
