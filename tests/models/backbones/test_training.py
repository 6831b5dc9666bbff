"""A user's backbone goes the whole way: pre-training, quantization-aware training, checkpoint, folding."""

import dataclasses
import functools
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from hwcost.errors import OfframpError
from models.architecture import Architecture
from models.backbone import code_of
from models.backbones.build import weight_names
from models.backbones.open import open_backbone
from models.backbones.staged import StagedBackbone
from models.checkpoint import CheckpointKeys, load_checkpoint, save_checkpoint
from models.float_weights import load_float_weights
from models.fold import fold_network
from models.network import architecture_mounts
from models.open_checkpoint import open_checkpoint
from models.train import empty_network, quantized_network, train_architecture
from models.warm_start import WarmStart, pretrain, warm_start_key
from tests.models.small import PRETRAIN, QAT, digits

SIZE = 16
GENES = Architecture((0, 1), ("conv1", "gap", "fc"), (8, 4, 8, 4), (8, 4, 6, 4), 4, 4)
HEADS = ("conv1", "fc", "gap")


@functools.cache
def backbone() -> StagedBackbone:
    found = open_backbone("tests.models.backbones.user_backbone:small", 1.0, 1, SIZE)
    assert isinstance(found, StagedBackbone)
    return found


@pytest.fixture(scope="module")
def warm(tmp_path_factory: pytest.TempPathFactory) -> WarmStart:
    recipe = dataclasses.replace(PRETRAIN, epochs=3)
    return pretrain(backbone(), HEADS, digits(), recipe, tmp_path_factory.mktemp("warm"), seed=0)


def test_all_heads_learn(warm: WarmStart) -> None:
    assert set(warm.accuracies) == {f"{kind}_{block}" for kind in HEADS for block in (0, 1, 3)}
    # The mean over 8 channels says little about a digit so early in training.
    assert min(value for name, value in warm.accuracies.items() if not name.startswith("gap")) > 0.4


def test_a_trained_network_comes_back_from_its_checkpoint_and_folds(warm: WarmStart, tmp_path: Path) -> None:
    path = tmp_path / "network.safetensors"
    result = train_architecture(GENES, backbone(), digits(), warm, QAT, 1, checkpoint=path)
    assert np.isfinite(result.final_loss)
    assert result.validation.accuracies[-1] > 0.7
    mounts = architecture_mounts(GENES, backbone())
    network = empty_network(backbone(), mounts, GENES.precision(), 10, SIZE)
    keys = CheckpointKeys(GENES.canonical(), backbone().name, 10, SIZE, digits().fingerprint, QAT.key())
    load_checkpoint(path, network, keys)
    network.eval()
    images = (digits().validation_images[:64].float() / 255 - 0.5) / 0.3
    with torch.no_grad():
        expected = network(images)
        found = fold_network(network, images[:2])(images)
    for mine, theirs in zip(found, expected, strict=True):
        # Rounding may carry a value over a level of a quantizer, seldom and by one step.
        assert (mine - theirs).abs().median() < 1e-4
        assert (mine.argmax(1) == theirs.argmax(1)).float().mean() > 0.95


def test_stages_that_compute_something_else_under_the_same_name_are_refused(tmp_path: Path) -> None:
    path, spec = tmp_path / "network.safetensors", backbone()
    network = empty_network(spec, architecture_mounts(GENES, spec), GENES.precision(), 10, SIZE)
    keys = CheckpointKeys(GENES, spec.name, 10, SIZE, "", "")
    save_checkpoint(path, network, dataclasses.replace(keys, stages=code_of(spec)))
    assert open_checkpoint(path, spec)[1].keys.stages == spec.fingerprint
    other = dataclasses.replace(spec, fingerprint="of other code")
    with pytest.raises(OfframpError, match="stages that compute what those of this backbone compute"):
        open_checkpoint(path, other)
    save_checkpoint(path, network, keys)  # as files were before: they do not say
    assert open_checkpoint(path, other)[1].keys.stages == ""


def test_another_backbone_has_another_warm_start(warm: WarmStart) -> None:
    wide = open_backbone("tests.models.backbones.user_backbone:small", 2.0, 1, SIZE)
    keys = {warm_start_key(spec, HEADS, digits(), PRETRAIN, 0) for spec in (backbone(), wide)}
    keys.add(
        warm_start_key(
            dataclasses.replace(backbone(), fingerprint="other code"), HEADS, digits(), PRETRAIN, 0
        )
    )
    assert len(keys) == 3
    with pytest.raises(OfframpError, match="expected a warm start of small-x2, got one of small"):
        quantized_network(wide, architecture_mounts(GENES, wide), GENES.precision(), warm)


def test_a_users_float_weights_are_the_start(warm: WarmStart, tmp_path: Path) -> None:
    """One short epoch: from weights that are trained already the backbone's heads learn faster than from none."""
    inverse = {ours: own for own, ours in weight_names(backbone().stages()).items()}
    save_file({inverse[n]: t for n, t in warm.state.items() if n in inverse}, tmp_path / "own.safetensors")
    start = load_float_weights(tmp_path / "own.safetensors", backbone())
    recipe = dataclasses.replace(PRETRAIN, epochs=1, learning_rate=0.02)
    fresh, started = (
        pretrain(backbone(), ("fc",), digits(), recipe, tmp_path, seed=0, start=one) for one in (None, start)
    )
    assert started.accuracies["fc_3"] > fresh.accuracies["fc_3"] + 0.1
    assert fresh.checksum != started.checksum
    assert len(list((tmp_path / "warm").iterdir())) == 2  # each in a folder of its own
