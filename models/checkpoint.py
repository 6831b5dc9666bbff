"""Trained quantized networks on disk: weights together with everything that says what they are.

A state dict alone does not hold bit widths: 8-bit weights would load into a 2-bit network without a word.
"""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from hwcost.errors import OfframpError
from models.architecture import Architecture
from models.checkpoint_notes import CheckpointNotes
from models.exit_policy import ExitPolicy
from models.tensor_file import read_tensors, write_tensors

FORMAT = 2
"""Format 1 had no notes and no policy; it is still read."""


@dataclasses.dataclass(frozen=True)
class CheckpointKeys:
    """What a checkpoint is of.

    Attributes:
        architecture: Exits, heads and bits.
        backbone: Name of the backbone, width included.
        classes: Number of logits.
        image_size: Side of the images in pixels.
        data: Fingerprint of the data.
        recipe: Key of the recipe.
        stages: SHA-256 (hex) over what the stages of the backbone compute, see `models.backbone.code_of`; empty where
            the name says it all, and in files that are older than this.
    """

    architecture: Architecture
    backbone: str
    classes: int
    image_size: int
    data: str
    recipe: str
    stages: str = ""


@dataclasses.dataclass(frozen=True, eq=False)
class Checkpoint:
    """A checkpoint in memory.

    Attributes:
        keys: What it is of.
        tensors: The state dict.
        notes: Of its training; None in files of format 1, or where none were given.
        policy: When samples leave; None until one was chosen.
    """

    keys: CheckpointKeys
    tensors: Mapping[str, Tensor]
    notes: CheckpointNotes | None = None
    policy: ExitPolicy | None = None

    def __post_init__(self) -> None:
        n_exits = self.keys.architecture.n_exits
        if self.policy is not None and self.policy.n_exits != n_exits:
            raise OfframpError(
                f"expected a policy for the {n_exits} exits of this network, got one for {self.policy.n_exits}"
            )

    def save(self, path: Path) -> str:
        """Writes it at once; returns the checksum of the tensors."""
        meta: dict[str, Any] = {field.name: getattr(self.keys, field.name) for field in _KEYS}
        meta["architecture"] = self.keys.architecture.to_dict()
        meta["notes"] = None if self.notes is None else self.notes.to_dict()
        meta["policy"] = None if self.policy is None else self.policy.to_dict()
        return write_tensors(path, self.tensors, {"format": FORMAT, **meta})


def save_checkpoint(
    path: Path,
    network: nn.Module,
    keys: CheckpointKeys,
    notes: CheckpointNotes | None = None,
    policy: ExitPolicy | None = None,
) -> str:
    """Writes a network at once.

    Args:
        path: File to write; its folder is made.
        network: Whose state to keep.
        keys: What it is of.
        notes: Of its training.
        policy: When samples leave, for all its exits.

    Returns:
        The checksum of its tensors.
    """
    return Checkpoint(keys, network.state_dict(), notes, policy).save(path)


def read_checkpoint(path: Path) -> Checkpoint:
    """Everything in a checkpoint, after its checksum was verified.

    Raises:
        OfframpError: When the file is missing, damaged or of another version.
    """
    tensors, meta = read_tensors(path)
    keys = _keys(path, meta)
    try:
        notes, policy = meta.get("notes"), meta.get("policy")
        return Checkpoint(
            keys,
            tensors,
            None if notes is None else CheckpointNotes.from_dict(notes),
            None if policy is None else ExitPolicy.from_dict(policy),
        )
    except (TypeError, AttributeError) as error:
        raise OfframpError(f"expected notes and a policy in {path.name}, got {error}") from error


def read_checkpoint_keys(path: Path) -> CheckpointKeys:
    """What a checkpoint is of, after its checksum was verified.

    Raises:
        OfframpError: When the file is missing, damaged or of another version.
    """
    return read_checkpoint(path).keys


def set_policy(path: Path, policy: ExitPolicy, destination: Path | None = None) -> None:
    """Puts a policy into a checkpoint; weights, keys and notes stay.

    Args:
        path: Of the checkpoint.
        policy: For all its exits.
        destination: Another file to write; None replaces the checkpoint, at once.

    Raises:
        OfframpError: When the file is damaged or the policy is for another number of exits.
    """
    dataclasses.replace(read_checkpoint(path), policy=policy).save(destination or path)


def load_checkpoint(path: Path, network: nn.Module, expected: CheckpointKeys) -> None:
    """Puts the weights of a checkpoint into a network of the same kind.

    Args:
        path: Of the checkpoint.
        network: Overwritten, unless an error is raised.
        expected: What the network is; `data`, `recipe` and `stages` may be empty to accept any.

    Raises:
        OfframpError: When the file is damaged or belongs to another network; the first difference is named.
    """
    found = read_checkpoint(path)
    tensors = found.tensors
    difference = _difference(found.keys, expected)
    if difference:
        raise OfframpError(
            f"expected {path.name} to have {difference}; load it into the network it was saved from"
        )
    own = network.state_dict()
    for name in sorted(own.keys() ^ tensors.keys()):
        raise OfframpError(
            f"expected the tensors of this network in {path.name}, but {name} is on one side only"
        )
    for name, tensor in tensors.items():
        if own[name].shape != tensor.shape:
            raise OfframpError(
                f"expected {name} of shape {list(own[name].shape)} in {path.name}, got {list(tensor.shape)}"
            )
    network.load_state_dict(tensors)
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]


_KEYS = dataclasses.fields(CheckpointKeys)
_NOT_IN_ALL = ("data", "recipe", "stages")
_WORDS = {"stages": "stages that compute what those of this backbone compute, SHA-256"}


def _keys(path: Path, meta: dict[str, Any]) -> CheckpointKeys:
    try:
        if "architecture" not in meta:
            raise ValueError("a file of another kind")
        if meta["format"] not in (1, FORMAT):
            raise ValueError(f"format {meta['format']}")
        values = {field.name: meta[field.name] for field in _KEYS if field.name != "stages"}
        values["stages"] = str(meta.get("stages", ""))
        values["architecture"] = Architecture.from_dict(values["architecture"])
        return CheckpointKeys(**values)
    except (KeyError, TypeError, ValueError) as error:
        raise OfframpError(f"expected a checkpoint of format {FORMAT} in {path.name}, got {error}") from error


def _difference(found: CheckpointKeys, expected: CheckpointKeys) -> str:
    """The first thing in which two networks differ, in words; empty when there is none."""
    for field in dataclasses.fields(Architecture):
        have, want = getattr(found.architecture, field.name), getattr(expected.architecture, field.name)
        if have != want:
            return f"{field.name.replace('_', ' ')} {_plain(want)}, got {_plain(have)}"
    for field in _KEYS:
        have, want = getattr(found, field.name), getattr(expected, field.name)
        is_open = (field.name in _NOT_IN_ALL and not want) or (field.name == "stages" and not have)
        if field.name != "architecture" and have != want and not is_open:
            return f"{_WORDS.get(field.name, field.name.replace('_', ' '))} {want}, got {have}"
    return ""


def _plain(value: object) -> object:
    return list(value) if isinstance(value, tuple) else value
