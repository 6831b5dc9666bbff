"""Backbones as PyTorch modules, built from the same table that their cost is computed from.

A backbone is a `BackboneSpec`, a table of inverted residuals, or a `StagedBackbone`, made by a factory of stages (see
`models.backbones.stages`). Both make a stem and one module a block.
"""

from torch import Tensor, nn

from hwcost.networks import BackboneSpec, BlockSpec, Precision
from models.architecture import REFERENCE_BITS
from models.backbones.staged import StagedBackbone
from models.layers import LayerFactory
from models.recompute import normalize_and_act

Backbone = BackboneSpec | StagedBackbone
"""Has `name`, `in_channels`, `n_blocks`, `mounting_points`, `blocks[i].out_channels` and `out_sizes(image_size)`."""


def code_of(backbone: Backbone) -> str:
    """SHA-256 (hex) over what the stages of a user's backbone compute; empty for ours, whose names say it all."""
    if not isinstance(backbone, StagedBackbone) or backbone.factory.startswith("models.backbones."):
        return ""
    return backbone.fingerprint


class ConvNormAct(nn.Module):
    """Convolution, BatchNorm and an activation (quantizer)."""

    def __init__(self, conv: nn.Conv2d, act: nn.Module) -> None:
        super().__init__()
        self.conv = conv
        self.norm = nn.BatchNorm2d(conv.out_channels)
        self.act = act

    def forward(self, x: Tensor) -> Tensor:
        """(n, c, h, w) to (n, k, h', w')."""
        return normalize_and_act(self.conv(x), self.norm, self.act)


class ResidualAdd(nn.Module):
    """Addition of the input of a block to its projection, and the quantizer of the sum."""

    def __init__(self, act: nn.Module) -> None:
        super().__init__()
        self.act = act

    def forward(self, projected: Tensor, skipped: Tensor) -> Tensor:
        """Two tensors of one shape to their sum."""
        result: Tensor = self.act(projected + skipped)
        return result


class InvertedResidual(nn.Module):
    """Expansion, depth-wise convolution, linear projection, residual addition where shapes allow it."""

    def __init__(self, spec: BlockSpec, weight_bits: int, activation_bits: int, layers: LayerFactory) -> None:
        super().__init__()
        expanded = spec.expanded_channels
        self.expand: ConvNormAct | None = None
        if spec.has_expand:
            self.expand = ConvNormAct(
                layers.conv(spec.in_channels, expanded, 1, 1, 1, weight_bits), layers.relu6(activation_bits)
            )
        self.depthwise = ConvNormAct(
            layers.conv(expanded, expanded, spec.kernel, spec.stride, expanded, weight_bits),
            layers.relu6(activation_bits),
        )
        self.project = ConvNormAct(
            layers.conv(expanded, spec.out_channels, 1, 1, 1, weight_bits), layers.identity(activation_bits)
        )
        self.add = ResidualAdd(layers.identity(activation_bits)) if spec.residual else None

    def forward(self, x: Tensor) -> Tensor:
        """(n, in_channels, h, w) to (n, out_channels, h / stride, w / stride)."""
        expanded = x if self.expand is None else self.expand(x)
        projected: Tensor = self.project(self.depthwise(expanded))
        return projected if self.add is None else self.add(projected, x)


def make_stem(spec: Backbone, layers: LayerFactory) -> nn.Module:
    """The quantizer of the image and what runs before block 0, 8 bit at every precision."""
    if isinstance(spec, StagedBackbone):
        return spec.make_stem(layers)
    return nn.Sequential(layers.identity(REFERENCE_BITS), stem_conv(spec, layers))


def stem_conv(spec: BackboneSpec, layers: LayerFactory) -> ConvNormAct:
    """The first convolution of a backbone of inverted residuals."""
    conv = layers.conv(
        spec.in_channels, spec.stem_channels, spec.stem_kernel, spec.stem_stride, 1, REFERENCE_BITS
    )
    return ConvNormAct(conv, layers.relu6(REFERENCE_BITS))


def make_blocks(spec: Backbone, precision: Precision, layers: LayerFactory) -> nn.ModuleList:
    """All blocks, each with its own bits."""
    if isinstance(spec, StagedBackbone):
        return spec.make_blocks(precision, layers)
    return nn.ModuleList(
        InvertedResidual(block, weight_bits, activation_bits, layers)
        for block, weight_bits, activation_bits in zip(
            spec.blocks, precision.weight_bits, precision.activation_bits, strict=True
        )
    )
