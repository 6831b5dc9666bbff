import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch

from hwcost.errors import OfframpError
from models.architecture import Architecture
from models.checkpoint import (
    CheckpointKeys,
    load_checkpoint,
    read_checkpoint,
    read_checkpoint_keys,
    save_checkpoint,
    set_policy,
)
from models.checkpoint_notes import CheckpointNotes
from models.exit_policy import ExitPolicy
from models.network import EarlyExitNetwork, architecture_mounts
from models.tensor_file import write_tensors
from models.train import empty_network, quantized_network
from tests.models.small import MIXED, SPEC, digits, warm_start

KEYS = CheckpointKeys(MIXED, SPEC.name, 10, 16, "data-1", "recipe-1")


NOTES = CheckpointNotes((0.3,), (0.4,), tuple("0123456789"), "digits", validation_accuracies=(0.7, 0.8, 0.9))
POLICY = ExitPolicy(np.array([0.9, np.inf, -np.inf]), "margin", np.array([1.5, 1.0, 0.8]))


def trained(architecture: Architecture = MIXED) -> EarlyExitNetwork:
    mounts = architecture_mounts(architecture, SPEC)
    return quantized_network(SPEC, mounts, architecture.precision(), warm_start())


def empty(architecture: Architecture = MIXED, classes: int = 10) -> EarlyExitNetwork:
    mounts = architecture_mounts(architecture, SPEC)
    return empty_network(SPEC, mounts, architecture.precision(), classes, 16)


def test_logits_are_equal_bit_by_bit_after_reload(tmp_path: Path) -> None:
    path = tmp_path / "network.safetensors"
    network = trained().eval()
    save_checkpoint(path, network, KEYS)
    copy = empty()
    load_checkpoint(path, copy, KEYS)
    copy.eval()
    x = torch.randn((8, 1, 16, 16), generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        for mine, theirs in zip(network(x), copy(x), strict=True):
            assert torch.equal(mine, theirs)
    assert read_checkpoint_keys(path) == KEYS


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"weight_bits": (8, 4, 2)}, r"weight bits \[8, 4, 2\], got \[8, 4, 3\]"),
        ({"activation_bits": (8, 6, 8)}, "activation bits"),
        ({"heads": ("fc", "gap", "fc")}, "heads"),
        ({"exits": (0,), "heads": ("fc_hidden", "fc")}, "exits"),
        ({"head_weight_bits": 8}, "head weight bits"),
        ({"head_activation_bits": 8}, "head activation bits"),
    ],
)
def test_another_architecture_is_refused_by_name(
    tmp_path: Path, change: dict[str, object], text: str
) -> None:
    path = tmp_path / "network.safetensors"
    save_checkpoint(path, trained(), KEYS)
    other = dataclasses.replace(MIXED, **change)  # type: ignore[arg-type]
    network = empty(other)
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    with pytest.raises(OfframpError, match=text):
        load_checkpoint(path, network, dataclasses.replace(KEYS, architecture=other))
    assert all(torch.equal(before[name], tensor) for name, tensor in network.state_dict().items())


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"classes": 100}, "classes 100, got 10"),
        ({"backbone": "paper"}, "backbone paper, got tiny"),
        ({"image_size": 32}, "image size"),
        ({"data": "data-2"}, "data data-2"),
        ({"recipe": "recipe-2"}, "recipe"),
    ],
)
def test_other_keys_are_refused_by_name(tmp_path: Path, change: dict[str, object], text: str) -> None:
    path = tmp_path / "network.safetensors"
    save_checkpoint(path, trained(), KEYS)
    with pytest.raises(OfframpError, match=text):
        load_checkpoint(path, empty(), dataclasses.replace(KEYS, **change))  # type: ignore[arg-type]


def test_data_and_recipe_may_be_left_open(tmp_path: Path) -> None:
    path = tmp_path / "network.safetensors"
    save_checkpoint(path, trained(), KEYS)
    load_checkpoint(path, empty(), dataclasses.replace(KEYS, data="", recipe=""))


@pytest.mark.parametrize("position", [0.0, 0.02, 0.2, 0.5, 0.999])
def test_a_flipped_byte_is_refused(tmp_path: Path, position: float) -> None:
    path = tmp_path / "network.safetensors"
    save_checkpoint(path, trained(), KEYS)
    content = bytearray(path.read_bytes())
    content[int(position * len(content))] ^= 0x10
    path.write_bytes(content)
    with pytest.raises(OfframpError, match=r"network\.safetensors"):
        load_checkpoint(path, empty(), KEYS)


@pytest.mark.parametrize("content", [b"", b"hello", b"\xff" * 100])
def test_other_files_are_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "network.safetensors"
    path.write_bytes(content)
    with pytest.raises(OfframpError, match=r"network\.safetensors"):
        load_checkpoint(path, empty(), KEYS)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(OfframpError, match=r"none\.safetensors"):
        read_checkpoint_keys(tmp_path / "none.safetensors")


def test_notes_and_policy_come_back(tmp_path: Path) -> None:
    path = tmp_path / "network.safetensors"
    save_checkpoint(path, trained(), KEYS, NOTES, POLICY)
    found = read_checkpoint(path)
    assert (found.keys, found.notes) == (KEYS, NOTES)
    assert found.policy is not None
    assert found.policy.to_dict() == POLICY.to_dict()
    plain = tmp_path / "plain.safetensors"
    save_checkpoint(plain, trained(), KEYS)
    assert (read_checkpoint(plain).notes, read_checkpoint(plain).policy) == (None, None)


def test_a_policy_can_be_put_in_later(tmp_path: Path) -> None:
    path, other = tmp_path / "network.safetensors", tmp_path / "other.safetensors"
    save_checkpoint(path, trained(), KEYS, NOTES)
    before = read_checkpoint(path)
    set_policy(path, POLICY, other)
    assert read_checkpoint(path).policy is None
    set_policy(path, POLICY)
    for after in (read_checkpoint(path), read_checkpoint(other)):
        assert after.policy is not None
        np.testing.assert_array_equal(after.policy.thresholds, POLICY.thresholds)
        assert after.notes == NOTES
        assert all(torch.equal(tensor, after.tensors[name]) for name, tensor in before.tensors.items())
    with pytest.raises(OfframpError, match="3 exits of this network, got one for 2"):
        set_policy(path, ExitPolicy.never_early(2))


def test_checkpoints_of_the_first_format_are_read(tmp_path: Path) -> None:
    path = tmp_path / "old.safetensors"
    meta = {field.name: getattr(KEYS, field.name) for field in dataclasses.fields(KEYS)}
    meta |= {"architecture": MIXED.to_dict(), "format": 1}
    write_tensors(path, trained().state_dict(), meta)
    assert read_checkpoint_keys(path) == KEYS
    load_checkpoint(path, empty(), KEYS)
    write_tensors(path, trained().state_dict(), {**meta, "format": 3})
    with pytest.raises(OfframpError, match=r"checkpoint of format 2 in old\.safetensors, got format 3"):
        read_checkpoint_keys(path)


def test_notes_of_a_training() -> None:
    data = digits()
    notes = CheckpointNotes.of_training(data)
    assert (notes.mean, notes.std, notes.data_name, notes.n_validation) == (
        data.mean,
        data.std,
        "digits",
        200,
    )
    assert CheckpointNotes.from_dict(notes.to_dict()) == notes
    with pytest.raises(OfframpError, match="expected the notes"):
        CheckpointNotes.from_dict({"mean": [0.0]})
    with pytest.raises(OfframpError, match="one mean and one deviation above 0"):
        CheckpointNotes((0.1,), (0.0,), ("a",))
