"""A network from its checkpoint alone: the file says what to build."""

from __future__ import annotations

from pathlib import Path

from hwcost.errors import OfframpError
from hwcost.networks import BackboneSpec, load_backbone
from models.checkpoint import Checkpoint, load_checkpoint, read_checkpoint
from models.network import EarlyExitNetwork, architecture_mounts
from models.train import empty_network

_STEM = "stem.1.conv.weight"
"""(out_channels, in_channels, k, k): tells the channels of the images."""


def open_checkpoint(path: Path, backbone: BackboneSpec | None = None) -> tuple[EarlyExitNetwork, Checkpoint]:
    """Builds the network a checkpoint is of and loads its weights.

    Args:
        path: Of the checkpoint.
        backbone: Where the name in the file is not one of ours.

    Returns:
        The quantized network in evaluation mode, and the checkpoint.

    Raises:
        OfframpError: When the file is missing or damaged, or its backbone is unknown.
    """
    found = read_checkpoint(path)
    keys = found.keys
    spec = backbone or named_backbone(keys.backbone)
    stem = found.tensors.get(_STEM)
    if stem is not None:
        spec = spec.with_in_channels(stem.shape[1])
    architecture = keys.architecture
    network = empty_network(
        spec, architecture_mounts(architecture, spec), architecture.precision(), keys.classes, keys.image_size
    )
    load_checkpoint(path, network, keys)
    return network.eval(), found


def named_backbone(name: str) -> BackboneSpec:
    """A backbone by the name it has in a checkpoint, such as `paper-x0.25`.

    Raises:
        OfframpError: When there is none of that name.
    """
    base, separator, width = name.rpartition("-x")
    if not separator:
        return load_backbone(name)
    try:
        factor = float(width)
    except ValueError:
        raise OfframpError(
            f"expected a backbone's name with a width factor, such as paper-x0.25, got {name!r}"
        ) from None
    return load_backbone(base).scaled(factor)
