"""A network from its checkpoint alone: the file says what to build."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from hwcost.errors import OfframpError
from models.backbone import Backbone, code_of
from models.backbones.open import open_backbone
from models.checkpoint import Checkpoint, load_checkpoint, read_checkpoint
from models.network import EarlyExitNetwork, architecture_mounts
from models.train import empty_network


def open_checkpoint(
    path: Path, backbone: Backbone | str | None = None
) -> tuple[EarlyExitNetwork, Checkpoint]:
    """Builds the network a checkpoint is of and loads its weights.

    Args:
        path: Of the checkpoint.
        backbone: A backbone, or the factory (`package.module:function`) that makes one that is not ours. A
            checkpoint does not name the code to run: whoever opens it does.

    Returns:
        The quantized network in evaluation mode, and the checkpoint.

    Raises:
        OfframpError: When the file is missing or damaged, its backbone is unknown, or another one is given, be it one
            of the same name whose stages compute something else.
    """
    found = read_checkpoint(path)
    keys, architecture = found.keys, found.keys.architecture
    spec = backbone
    if spec is None or isinstance(spec, str):
        name, width = name_and_width(keys.backbone)
        spec = open_backbone(spec or name, width, image_channels(found), keys.image_size)
    if spec.name != keys.backbone:
        raise OfframpError(
            f"expected the backbone {keys.backbone} of {path.name}, got {spec.name}; give the one it was trained on"
        )
    mounts = architecture_mounts(architecture, spec)
    network = empty_network(spec, mounts, architecture.precision(), keys.classes, keys.image_size)
    load_checkpoint(path, network, dataclasses.replace(keys, stages=code_of(spec)))
    return network.eval(), found


def image_channels(found: Checkpoint) -> int:
    """Channels of the images, from the notes or else from the first convolution.

    Raises:
        OfframpError: When neither tells.
    """
    if found.notes is not None:
        return len(found.notes.mean)
    for name, tensor in found.tensors.items():
        if name.startswith("stem.") and name.endswith(".weight") and tensor.dim() == 4:
            return int(tensor.shape[1])
    raise OfframpError(
        f"expected a checkpoint that tells the channels of its images, got one of {found.keys.backbone}"
    )


def name_and_width(name: str) -> tuple[str, float]:
    """Of `paper-x0.25` the name and the width factor; 1 where there is none."""
    base, separator, width = name.rpartition("-x")
    try:
        return (base, float(width)) if separator else (name, 1.0)
    except ValueError:
        return name, 1.0
