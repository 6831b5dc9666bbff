"""What a pre-training refuses before its first step, and what one step does."""

from __future__ import annotations

import dataclasses
import functools
import tempfile
from pathlib import Path

import pytest
import torch
from torch import nn

from hwcost.errors import OfframpError
from models.backbones.open import open_backbone
from models.data import load_dataset
from models.network import EarlyExitNetwork, all_mounts
from models.pretraining import Pretraining
from models.recipe import PretrainRecipe
from models.training_data import TrainingData, prepare
from models.warm_start import pretrain
from tests.models.small import PRETRAIN, SPEC, digits

USER = "tests.models.backbones.user_backbone"
GROWING = dataclasses.replace(PRETRAIN, epochs=1, start_size=0.5, full_size_from=0.9)


@functools.cache
def large_digits() -> TrainingData:
    """Of 32 pixels."""
    with tempfile.TemporaryDirectory() as folder:
        return prepare(load_dataset("digits", 32, Path(folder)))


@pytest.mark.parametrize(("name", "side"), [("halved", 16), ("two_ways", 20)])
def test_images_too_small_for_a_backbone_are_refused_in_one_line(
    tmp_path: Path, name: str, side: int
) -> None:
    backbone = open_backbone(f"{USER}:{name}", 1.0, 1, 32)
    with pytest.raises(
        OfframpError,
        match=f"images of {side} pixels, to which pretrain.start_size 0.5 .* those of 32, got Runtime",
    ) as caught:
        pretrain(backbone, ("gap",), large_digits(), GROWING, tmp_path, 0)
    assert "\n" not in str(caught.value)


def test_whole_images_alone_are_not_looked_at() -> None:
    backbone = open_backbone(f"{USER}:halved", 1.0, 1, 32)
    network = EarlyExitNetwork(backbone, all_mounts(backbone, ("gap",)), 10, 32)
    Pretraining(network, large_digits(), dataclasses.replace(GROWING, start_size=1.0), 0, "cpu")


class _Drawing(nn.Module):
    """Draws a random number whenever it is called, as an author's own layer may."""

    def __init__(self) -> None:
        super().__init__()
        self.calls = 0

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.calls += 1
        return x + 0 * torch.rand(1)


def test_looking_at_small_images_changes_nothing() -> None:
    states, random = [], []
    for start_size in (0.5, 1.0):
        network = EarlyExitNetwork(SPEC, all_mounts(SPEC, ("fc",)), 10, 16)
        network.stem.append(_Drawing())
        torch.manual_seed(7)
        Pretraining(network, digits(), dataclasses.replace(GROWING, start_size=start_size), 0, "cpu")
        assert all(module.training for module in network.modules())
        states.append(network.state_dict())
        random.append(torch.rand(1))
        assert network.stem[-1].calls == (2 if start_size < 1 else 0)  # images of 8 and 12 pixels
    assert torch.equal(*random)
    assert all(torch.equal(tensor, states[1][name]) for name, tensor in states[0].items())


def one_step(recipe: PretrainRecipe, early_exits: bool) -> EarlyExitNetwork:
    """A network after one step; whatever its exits, backbone and final head start from the same weights."""
    data = dataclasses.replace(
        digits(), train_images=digits().train_images[:64], train_labels=digits().train_labels[:64]
    )
    networks = [
        EarlyExitNetwork(SPEC, all_mounts(SPEC, ("fc",), early), data.classes, data.image_size)
        for early in (True, early_exits)
    ]
    whole, chosen = (Pretraining(network, data, recipe, 0, "cpu") for network in networks)
    own = chosen.network.state_dict()
    chosen.network.load_state_dict({n: t for n, t in whole.network.state_dict().items() if n in own})
    chosen.run_epoch()
    return chosen.network


CLIPPED = dataclasses.replace(PRETRAIN, epochs=1, batch_size=64, gradient_clip=0.01, exit_gradient=0.0)


def test_a_step_without_gradient_of_early_exits_is_that_of_a_network_without_them() -> None:
    alone = one_step(CLIPPED, early_exits=False).state_dict()
    beside = one_step(CLIPPED, early_exits=True).state_dict()
    for name, tensor in alone.items():
        assert torch.equal(tensor, beside[name]), name
    # The clip is what would tell them apart, and it does where exits share their gradient.
    free = one_step(dataclasses.replace(CLIPPED, gradient_clip=1e6), early_exits=False).state_dict()
    shared = one_step(dataclasses.replace(CLIPPED, exit_gradient=1.0), early_exits=True).state_dict()
    weight = "blocks.1.project.conv.weight"
    assert not torch.equal(alone[weight], free[weight])
    assert not torch.equal(alone[weight], shared[weight])


@pytest.mark.parametrize("share", [0.0, 0.5])
def test_gradients_are_clipped_together_unless_early_heads_are_apart(share: float) -> None:
    network = one_step(dataclasses.replace(CLIPPED, exit_gradient=share), early_exits=True)
    early = [n for n, _ in network.named_parameters() if n.startswith(("heads.fc_0.", "heads.fc_1."))]
    groups: dict[bool, list[torch.Tensor]] = {True: [], False: []}
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None
        groups[name in early].append(parameter.grad.flatten())
    norms = [float(torch.cat(group).norm()) for group in (*groups.values(), groups[True] + groups[False])]
    if share == 0:
        assert norms[:2] == pytest.approx([0.01, 0.01], rel=1e-3)
    else:
        assert norms[2] == pytest.approx(0.01, rel=1e-3)
