import dataclasses

import pytest
import torch
from torch import nn

from hwcost.errors import OfframpError
from models import brevitas_adapter
from models.architecture import ALLOWED_BITS, Architecture
from models.augment import normalize_batch
from models.fold import copy_with, fold_network
from models.loop import torch_threads
from models.network import EarlyExitNetwork, Mount, architecture_mounts
from models.plain_layers import PlainConv, PlainLayer, PlainQuantizer
from models.train import quantized_network
from tests.models.small import MIXED, SPEC, digits, warm_start


def uniform(bits: int) -> Architecture:
    n = SPEC.n_blocks
    return Architecture((0, 1), ("fc_hidden", "gap", "fc"), (bits,) * n, (bits,) * n, bits, bits)


def network_of(architecture: Architecture) -> EarlyExitNetwork:
    """Weights of the warm start, and BatchNorms with factors of both signs and one of zero."""
    mounts = architecture_mounts(architecture, SPEC)
    network = quantized_network(SPEC, mounts, architecture.precision(), warm_start())
    generator = torch.Generator().manual_seed(architecture.weight_bits[0])
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            with torch.no_grad():
                flip = torch.rand(module.weight.shape, generator=generator) < 0.3
                module.weight[flip] *= -1
                module.weight[0] = 0.0
    return network.eval()


def images(n: int = 40) -> torch.Tensor:
    data = digits()
    return normalize_batch(data.validation_images[:n], data.mean, data.std, channels_last=True)


def logits(network: EarlyExitNetwork, x: torch.Tensor) -> torch.Tensor:
    with torch.no_grad():
        return torch.stack(network(x), dim=1)


@pytest.mark.parametrize("bits", [*ALLOWED_BITS, 0])
def test_folded_and_unfolded_logits_agree(bits: int) -> None:
    """In float64, where rounding does not carry values over the borders of quantizers."""
    network = network_of(uniform(bits) if bits else MIXED).double()
    folded = fold_network(network, images(1).double())
    before, after = logits(network, images().double()), logits(folded, images().double())
    assert before.std() > 0.1
    torch.testing.assert_close(after, before, rtol=0, atol=1e-4)


@pytest.mark.parametrize("bits", ALLOWED_BITS)
def test_in_float32_few_images_see_another_level(bits: int) -> None:
    network = network_of(uniform(bits))
    before, after = logits(network, images()), logits(fold_network(network, images(1)), images())
    within = ((after - before).abs().amax((1, 2)) <= 1e-4).float().mean()
    assert within >= 0.9
    assert (after.argmax(-1) == before.argmax(-1)).float().mean() >= 0.98


def test_a_scale_below_the_least_float_loses_its_integers() -> None:
    """Its factor is above zero in float64, and what it multiplies adds nothing in float32."""
    network = network_of(uniform(8))
    with torch.no_grad():
        network.blocks[1].depthwise.norm.weight.fill_(1e-44)
    before, after = logits(network, images()), logits(fold_network(network, images(1)), images())
    torch.testing.assert_close(after, before, rtol=0, atol=1e-3)


@pytest.mark.parametrize("name", ["blocks.1.expand.norm.weight", "blocks.1.expand.conv.weight"])
def test_numbers_that_are_none_are_refused(name: str) -> None:
    network = network_of(uniform(8))
    with torch.no_grad():
        network.get_parameter(name).view(-1)[0] = torch.nan
    with pytest.raises(OfframpError, match=f"got NaN or infinity in {name}"):
        fold_network(network, images(1))


def test_no_brevitas_and_no_norm_is_left_and_the_source_is_untouched() -> None:
    network = network_of(MIXED)
    state = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    folded = fold_network(network, images(1))
    assert isinstance(folded, EarlyExitNetwork)
    assert not any("brevitas" in type(module).__module__ for module in folded.modules())
    assert not any(isinstance(module, nn.BatchNorm2d) for module in folded.modules())
    assert not any(parameter.requires_grad for parameter in folded.parameters())
    assert all(torch.equal(state[name], tensor) for name, tensor in network.state_dict().items())
    assert brevitas_adapter.weight_layers(network)


def test_integers_keep_their_bits() -> None:
    folded = fold_network(network_of(MIXED), images(1))
    bits = {name: m.source.bits for name, m in folded.named_modules() if isinstance(m, PlainConv)}
    assert bits["stem.1.conv"] == 8
    assert {bits[f"blocks.{block}.project.conv"] for block in range(3)} == set(MIXED.weight_bits)
    for module in folded.modules():
        if isinstance(module, PlainConv):
            assert int(module.source.integers.abs().max()) <= module.source.limit
            assert (module.source.scale > 0).all()
            assert torch.equal(module.weight, module.source.integers.float())
            assert module.grid is not None
            expected = module.source.values() * module.grid.scale
            found = module.weight * module.factor.view(-1, 1, 1, 1)
            torch.testing.assert_close(found, expected)
        if isinstance(module, PlainQuantizer):
            assert (module.low, module.high) == (
                (-(2 ** (module.bits - 1)), 2 ** (module.bits - 1) - 1) if module.signed
                else (0, 2**module.bits - 1)
            )  # fmt: skip


def test_batches_and_threads_change_no_bit() -> None:
    """Sums of integers are exact in any order; with the scales inside the sums they are not."""
    folded = fold_network(network_of(dataclasses.replace(MIXED, heads=("fc_hidden", "fc", "fc"))), images(1))
    whole = logits(folded, images())
    for n in (1, 7):
        assert torch.equal(torch.cat([logits(folded, part) for part in images().split(n)]), whole)
    assert torch.equal(logits(folded, images().contiguous()), whole)
    with torch_threads(2):
        assert torch.equal(logits(folded, images()), whole)


def test_every_layer_of_the_backbone_knows_the_grid_it_reads() -> None:
    folded = fold_network(network_of(MIXED), images(1))
    grids = {n: m.grid for n, m in folded.named_modules() if isinstance(m, PlainLayer)}
    assert all(grid is not None for grid in grids.values())
    first, after_pooling = grids["stem.1.conv"], grids["heads.fc_hidden_0.hidden"]
    assert first is not None
    assert after_pooling is not None
    assert (first.bits, first.signed) == (8, True)
    assert torch.equal(after_pooling.scale, folded.get_submodule("blocks.0.project.act").scale)


def test_values_on_no_grid_are_multiplied_as_they_are() -> None:
    network = network_of(MIXED)
    network.blocks[1].expand.act = nn.Sequential(network.blocks[1].expand.act, nn.Softplus())
    folded = fold_network(network, images(1))
    assert folded.get_submodule("blocks.1.depthwise.conv").grid is None
    before, after = logits(network, images()), logits(folded, images())
    assert ((after - before).abs().amax((1, 2)) <= 1e-4).float().mean() >= 0.9


def test_a_float_network_is_refused() -> None:
    network = EarlyExitNetwork(SPEC, (Mount(2, "fc"),), 10, 16)
    with pytest.raises(OfframpError, match="expected a quantized network"):
        fold_network(network, images(1))


def test_a_norm_that_follows_no_convolution_is_named() -> None:
    network = network_of(dataclasses.replace(MIXED))
    network.blocks[1].project.act = nn.Sequential(network.blocks[1].project.act, nn.BatchNorm2d(8))
    with pytest.raises(OfframpError, match=r"convolution before the BatchNorm blocks\.1\.project\.act\.1"):
        fold_network(network, images(1))


def test_copies_share_nothing_but_the_replacements() -> None:
    network = nn.Sequential(nn.Linear(2, 2), nn.Sequential(nn.Linear(2, 2), nn.ReLU()))
    other = nn.Identity()
    copied = copy_with(network, {"1.0": other})
    assert copied[1][0] is other
    assert network[1][0] is not other
    assert copied[0] is not network[0]
    assert copied[0].weight.data_ptr() != network[0].weight.data_ptr()
