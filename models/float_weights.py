"""A user's own float weights as the start of the pre-training."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import safetensors
import torch
from safetensors.torch import load
from torch import Tensor, nn

from hwcost.errors import OfframpError
from hwcost.networks import uniform_precision
from models.backbone import Backbone, make_blocks, make_stem
from models.backbones.staged import StagedBackbone
from models.layers import FloatLayers
from models.tensor_file import stored_values
from models.trained_on import TrainedOn, from_values

_COUNTER = "num_batches_tracked"
_OWN = "state."
"""What names begin with in the file of a warm start, see `models.warm_start`."""
_HEADS = "heads."
AVERAGED = "averaged"
"""Names the networks whose mean a file has, among its values."""


@dataclass(frozen=True, eq=False)
class FloatWeights:
    """Weights of a backbone, and of heads where the file is a warm start.

    Attributes:
        state: By name in an `EarlyExitNetwork`: every parameter and BatchNorm statistic of stem and blocks.
        heads: The same of the heads of a warm start; empty for any other file.
        unused: Names in the file that are neither, such as a classifier.
        checksum: SHA-256 (hex) of the file, part of what a warm start depends on.
        of_warm_start: Whether the file is a warm start.
        trained_on: What a warm start and those before it were trained on; empty where the file does not say.
        averaged: Whether they are a mean of networks, whose BatchNorm statistics are to be measured.
    """

    state: Mapping[str, Tensor]
    heads: Mapping[str, Tensor]
    unused: tuple[str, ...]
    checksum: str
    of_warm_start: bool = False
    trained_on: tuple[TrainedOn, ...] = ()
    averaged: bool = False

    def put_into(self, network: nn.Module) -> tuple[str, ...]:
        """Overwrites the backbone of a float network, and those of its heads that are here.

        A head is here where a head of its kind behind its block has its shapes; the others stay as they are. A
        network for other classes or another image size therefore keeps all of its own.

        Returns:
            Names of the heads that stayed as they were, such as `heads.fc_3`.
        """
        shapes = {name: tensor.shape for name, tensor in network.state_dict().items()}
        unlike = {_head(name) for name, tensor in self.heads.items() if shapes.get(name) != tensor.shape}
        heads = {name: tensor for name, tensor in self.heads.items() if _head(name) not in unlike}
        network.load_state_dict({**self.state, **heads}, strict=False)
        filled = {_head(name) for name in heads}
        own = {_head(name): None for name in shapes if name.startswith(_HEADS)}
        return tuple(name for name in own if name not in filled)


def load_float_weights(path: Path, backbone: Backbone) -> FloatWeights:
    """Reads a safetensors file with the state dict of a float network.

    For a backbone made of stages the names are those of its author's model (`Stages.model`), so the state dict of an
    ordinary training script fits; else, and for the paper's backbone, they are those of an `EarlyExitNetwork`
    (`stem.1.conv.weight`, `blocks.0.depthwise.conv.weight`, ...). The `warm.safetensors` of another pre-training of
    the backbone, with other heads or another recipe, fits too, and is gone on from: its heads are kept. Heads and
    classifiers in other files are left aside.

    Args:
        path: Of the file: `safetensors.torch.save_file(model.state_dict(), path)`.
        backbone: What the weights are for.

    Raises:
        OfframpError: When the file is missing or damaged, or a weight is missing, of another shape or not finite.
    """
    tensors, values, checksum = read_weights(path)
    expected = _shapes(backbone)
    of_warm_start = any(f"{_OWN}{name}" in tensors for name in expected)
    # A warm start has the names of an `EarlyExitNetwork`, whatever its author's model calls them.
    names = {f"{_OWN}{name}": name for name in expected} if of_warm_start else _names(backbone, expected)
    ours = {names.get(name, name): name for name in tensors if names.get(name, name) in expected}
    theirs = {own: name for name, own in names.items()}
    missing = [name for name in expected if name not in ours and not name.endswith(_COUNTER)]
    if missing:
        wanted = [theirs.get(name, name) for name in missing]
        raise OfframpError(
            f"expected the weights of {backbone.name} in {path.name}, got none named {_some(wanted)}; "
            f"it has {_some(list(tensors))}"
        )
    state: dict[str, Tensor] = {}
    for own, name in ours.items():
        tensor, shape = tensors[name], expected[own]
        if tuple(tensor.shape) != shape:
            raise OfframpError(
                f"expected {name} of shape {list(shape)} in {path.name}, got {list(tensor.shape)}; "
                f"{backbone.name} needs another width, other channels or another image size"
            )
        if not own.endswith(_COUNTER):
            state[own] = finite(tensor, name, path)
    heads = {n.removeprefix(_OWN): n for n in tensors if of_warm_start and n.startswith(f"{_OWN}{_HEADS}")}
    head_state = {
        own: finite(tensors[name], name, path) for own, name in heads.items() if not own.endswith(_COUNTER)
    }
    unused = tuple(sorted(set(tensors) - set(ours.values()) - set(heads.values())))
    seen = from_values(values) if of_warm_start else ()
    return FloatWeights(state, head_state, unused, checksum, of_warm_start, seen, AVERAGED in values)


def finite(tensor: Tensor, name: str, path: Path) -> Tensor:
    """A weight of a file in float32.

    Raises:
        OfframpError: It is not finite.
    """
    if not torch.isfinite(tensor).all():
        raise OfframpError(
            f"expected finite weights in {path.name}, got NaN or infinity in {name}; name another file"
        )
    return tensor.float()


def weights_in(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The weights among the tensors of a file: of a warm start without what was measured on it, else all."""
    own = {name: tensor for name, tensor in tensors.items() if name.startswith(_OWN)}
    return own or dict(tensors)


def _head(name: str) -> str:
    """Of a tensor's name what says whose it is: `heads.fc_3` of `heads.fc_3.fc.weight`."""
    return ".".join(name.split(".")[:2])


def read_weights(path: Path) -> tuple[dict[str, Tensor], dict[str, Any], str]:
    """Everything in a file of weights, whoever wrote it.

    Returns:
        Tensors; values, where a file of ours has them; SHA-256 (hex) of the file.

    Raises:
        OfframpError: It is missing, damaged or of another kind.
    """
    try:
        content = path.read_bytes()
        return load(content), stored_values(content), hashlib.sha256(content).hexdigest()
    except (OSError, ValueError, KeyError, safetensors.SafetensorError) as error:
        reason = error.strerror if isinstance(error, OSError) else " ".join(str(error).split())
        raise OfframpError(
            f"expected a safetensors file of weights at {path}, got {reason}; "
            "write one with safetensors.torch.save_file(model.state_dict(), path)"
        ) from error


def _shapes(backbone: Backbone) -> dict[str, tuple[int, ...]]:
    """Names and shapes of everything the backbone part of a float network holds."""
    with torch.device("meta"):
        stem = make_stem(backbone, FloatLayers())
        blocks = make_blocks(backbone, uniform_precision(backbone.n_blocks), FloatLayers())
    parts = {"stem": stem, "blocks": blocks}
    return {
        f"{prefix}.{name}": tuple(tensor.shape)
        for prefix, part in parts.items()
        for name, tensor in part.state_dict().items()
    }


def _names(backbone: Backbone, expected: Mapping[str, object]) -> dict[str, str]:
    """Name in the file to name in the network."""
    if isinstance(backbone, StagedBackbone):
        from models.backbones.build import weight_names

        return weight_names(backbone.stages())
    return {name: name for name in expected}


def _some(names: list[str]) -> str:
    shown = ", ".join(names[:3])
    return f"{shown} and {len(names) - 3} more" if len(names) > 3 else shown or "nothing"
