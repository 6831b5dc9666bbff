"""Trained quantized networks on disk: weights together with everything that says what they are.

A state dict alone does not hold bit widths: 8-bit weights would load into a 2-bit network without a word.
"""

import dataclasses
from pathlib import Path
from typing import Any

import torch
from torch import nn

from hwcost.errors import OfframpError
from models.architecture import Architecture
from models.tensor_file import read_tensors, write_tensors

FORMAT = 1


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
    """

    architecture: Architecture
    backbone: str
    classes: int
    image_size: int
    data: str
    recipe: str


def save_checkpoint(path: Path, network: nn.Module, keys: CheckpointKeys) -> str:
    """Writes a network at once.

    Returns:
        The checksum of its tensors.
    """
    meta = {field.name: getattr(keys, field.name) for field in dataclasses.fields(keys)}
    meta["architecture"] = keys.architecture.to_dict()
    return write_tensors(path, network.state_dict(), {"format": FORMAT, **meta})


def read_checkpoint_keys(path: Path) -> CheckpointKeys:
    """What a checkpoint is of, after its checksum was verified.

    Raises:
        OfframpError: When the file is missing, damaged or of another version.
    """
    return _keys(path, read_tensors(path)[1])


def load_checkpoint(path: Path, network: nn.Module, expected: CheckpointKeys) -> None:
    """Puts the weights of a checkpoint into a network of the same kind.

    Args:
        path: Of the checkpoint.
        network: Overwritten, unless an error is raised.
        expected: What the network is; `data` and `recipe` may be empty to accept any.

    Raises:
        OfframpError: When the file is damaged or belongs to another network; the first difference is named.
    """
    tensors, meta = read_tensors(path)
    difference = _difference(_keys(path, meta), expected)
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


def _keys(path: Path, meta: dict[str, Any]) -> CheckpointKeys:
    try:
        if meta["format"] != FORMAT:
            raise ValueError(f"format {meta['format']}")
        values = {field.name: meta[field.name] for field in dataclasses.fields(CheckpointKeys)}
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
    for field in dataclasses.fields(CheckpointKeys):
        have, want = getattr(found, field.name), getattr(expected, field.name)
        if (
            field.name != "architecture"
            and have != want
            and not (field.name in ("data", "recipe") and not want)
        ):
            return f"{field.name.replace('_', ' ')} {want}, got {have}"
    return ""


def _plain(value: object) -> object:
    return list(value) if isinstance(value, tuple) else value
