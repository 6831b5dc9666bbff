from pathlib import Path

import pytest
import torch

from hwcost.errors import OfframpError
from hwcost.networks import load_backbone
from models.architecture import Architecture
from models.backbones.open import open_backbone
from models.checkpoint import CheckpointKeys, save_checkpoint
from models.network import architecture_mounts
from models.open_checkpoint import name_and_width, open_checkpoint
from models.train import empty_network, quantized_network
from tests.models.small import MIXED, SPEC, warm_start


def test_the_file_says_what_to_build(tmp_path: Path) -> None:
    path = tmp_path / "network.safetensors"
    spec = load_backbone("paper").scaled(0.25).with_in_channels(1)
    architecture = Architecture((0, 4), ("fc", "gap", "fc"), (4,) * 12, (6,) * 12, 3, 8)
    network = empty_network(spec, architecture_mounts(architecture, spec), architecture.precision(), 7, 16)
    save_checkpoint(path, network, CheckpointKeys(architecture, spec.name, 7, 16, "", ""))
    copy, found = open_checkpoint(path)
    assert found.keys.architecture == architecture
    assert copy.spec == spec
    assert not copy.training
    x = torch.randn((2, 1, 16, 16), generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        for mine, theirs in zip(network.eval()(x), copy(x), strict=True):
            assert torch.equal(mine, theirs)


def test_a_backbone_of_stages(tmp_path: Path) -> None:
    path = tmp_path / "network.safetensors"
    spec = open_backbone("resnet18", 0.125, 1, 16)
    n = spec.n_blocks
    architecture = Architecture((spec.mounting_points[1],), ("gap", "fc"), (4,) * n, (6,) * n, 3, 8)
    network = empty_network(spec, architecture_mounts(architecture, spec), architecture.precision(), 5, 16)
    save_checkpoint(path, network, CheckpointKeys(architecture, spec.name, 5, 16, "", ""))
    copy, _ = open_checkpoint(path)
    assert copy.spec == spec
    assert all(torch.equal(tensor, copy.state_dict()[key]) for key, tensor in network.state_dict().items())


def test_another_backbone_has_to_be_given(tmp_path: Path) -> None:
    path = tmp_path / "network.safetensors"
    network = quantized_network(SPEC, architecture_mounts(MIXED, SPEC), MIXED.precision(), warm_start())
    save_checkpoint(path, network, CheckpointKeys(MIXED, SPEC.name, 10, 16, "", ""))
    with pytest.raises(OfframpError, match=r"expected a backbone of .*, got 'tiny'"):
        open_checkpoint(path)
    assert open_checkpoint(path, SPEC)[0].spec == SPEC
    with pytest.raises(OfframpError, match=r"expected the backbone tiny of network\.safetensors, got paper"):
        open_checkpoint(path, load_backbone("paper"))
    with pytest.raises(OfframpError, match="import no_such_module"):
        open_checkpoint(path, "no_such_module:factory")


def test_names_of_backbones() -> None:
    assert name_and_width("paper") == ("paper", 1.0)
    assert name_and_width("paper-x0.35") == ("paper", 0.35)
    assert name_and_width("my-xl") == ("my-xl", 1.0)
