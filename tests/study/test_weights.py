"""`--weights`: a study's pre-training starts from a user's float checkpoint."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from hwcost.errors import OfframpError
from hwcost.networks import load_backbone
from models.network import EarlyExitNetwork, Mount, initialize
from study.config import StudyConfig
from study.config_io import load_preset, resolve
from study.setup import Paths, StudyContext, load_data, open_context

STILL = {"epochs": 1, "learning_rate": 1e-12, "weight_decay": 0.0, "ema_decay": 0.0, "threads": 1}
"""A pre-training that moves no weight, so that what it started from can be seen."""


def configured(weights: Path) -> StudyConfig:
    backbone = {"width": 0.125, "weights": str(weights)}
    space = {"exit_heads": ["fc"], "final_heads": ["fc"]}
    return resolve([load_preset("quickstart"), {"backbone": backbone, "space": space, "pretrain": STILL}])


def opened(weights: Path, folder: Path) -> StudyContext:
    config = configured(weights)
    return open_context(
        config, Paths(folder / "run", folder / "cache"), "cpu", load_data(config, folder / "cache")
    )


def written(path: Path, seed: int, width: float = 0.125) -> dict[str, torch.Tensor]:
    """The state dict of a network of drawn weights, in a file."""
    spec = load_backbone("paper").scaled(width).with_in_channels(1)
    network = EarlyExitNetwork(spec, (Mount(11, "gap"),), 10, 16)
    initialize(network, torch.Generator().manual_seed(seed))
    save_file(network.state_dict(), path)
    return network.state_dict()


def test_the_warm_start_sets_out_from_them(tmp_path: Path) -> None:
    given = written(tmp_path / "mine.safetensors", seed=7)
    warm = opened(tmp_path / "mine.safetensors", tmp_path).warm
    compared = [
        name for name in given if name.startswith(("stem.", "blocks.")) and name.endswith("conv.weight")
    ]
    assert len(compared) > 30
    for name in compared:
        torch.testing.assert_close(warm.state[name], given[name], rtol=0, atol=1e-6)


def test_weights_of_another_width_are_refused_by_name(tmp_path: Path) -> None:
    written(tmp_path / "mine.safetensors", seed=7, width=0.5)
    with pytest.raises(
        OfframpError, match=r"expected .* of shape .* in mine\.safetensors, got .* another width"
    ):
        opened(tmp_path / "mine.safetensors", tmp_path)
    assert not list((tmp_path / "cache").rglob("warm.safetensors"))
