import pytest
import torch

from hwcost.networks import load_backbone, uniform_precision
from models import brevitas_adapter
from models.backbone import InvertedResidual, make_blocks, make_stem
from models.backbones.open import open_backbone
from models.layers import FloatLayers

BACKBONES = ("paper", "mobilenet_v2", "tests.models.backbones.user_backbone:small")


@pytest.mark.parametrize("name", BACKBONES)
def test_stem_and_blocks_make_the_maps_the_backbone_says(name: str) -> None:
    backbone = open_backbone(name, 1.0 if ":" in name else 0.25, 1, 24)
    layers = FloatLayers()
    with torch.device("meta"):
        stem = make_stem(backbone, layers)
        blocks = make_blocks(backbone, uniform_precision(backbone.n_blocks), layers)
    x = stem(torch.zeros(2, 1, 24, 24, device="meta"))
    assert len(blocks) == backbone.n_blocks
    for block, out, size in zip(blocks, backbone.blocks, backbone.out_sizes(24), strict=True):
        x = block(x)
        assert x.shape == (2, out.out_channels, size, size)


def test_the_stem_is_8_bit_and_blocks_have_their_own_bits() -> None:
    spec = load_backbone("paper").scaled(0.25)
    layers = brevitas_adapter.QuantLayers()
    stem = make_stem(spec, layers)
    blocks = make_blocks(spec, uniform_precision(12, 2, 3), layers)
    found = [brevitas_adapter.weight_bits(m) for m in brevitas_adapter.weight_layers(stem).values()]
    assert found == [8]
    for part, weight_bits, activation_bits in ((stem, 8, 8), (blocks, 2, 3)):
        weights = brevitas_adapter.weight_layers(part).values()
        quantizers = brevitas_adapter.activation_quantizers(part).values()
        assert {brevitas_adapter.weight_bits(m) for m in weights} == {weight_bits}
        assert {brevitas_adapter.activation_bits(q) for q in quantizers} == {activation_bits}


def test_a_block_adds_its_input_where_shapes_allow_it() -> None:
    spec = load_backbone("paper").scaled(0.25)
    for block in spec.blocks:
        built = InvertedResidual(block, 8, 8, FloatLayers())
        assert (built.add is not None) == (block.stride == 1 and block.in_channels == block.out_channels)
        assert (built.expand is not None) == (block.expansion > 1)
        assert sum(p.numel() for p in built.parameters()) == block.parameters
