"""Networks from stages: float and quantized ones, their layer table, and which weight is whose."""

import hashlib

import torch
from torch import Tensor, fx, nn

from hwcost.networks import Precision, uniform_precision
from hwcost.networks.trunk import Trunk
from models.architecture import REFERENCE_BITS
from models.backbones.convert import Converted, build_stage
from models.backbones.rows import trace_trunk
from models.backbones.stages import Stage, Stages
from models.layers import FloatLayers, LayerFactory


def build_stem(stages: Stages, layers: LayerFactory) -> nn.Sequential:
    """The quantizer of the image and the stem, 8 bit at every precision."""
    quantizer = layers.identity(REFERENCE_BITS)
    if stages.stem is None:
        return nn.Sequential(quantizer)
    return nn.Sequential(quantizer, _stem(stages, layers).module)


def build_blocks(stages: Stages, precision: Precision, layers: LayerFactory) -> nn.ModuleList:
    """All stages, each with its own bits."""
    return nn.ModuleList(converted.module for converted in _blocks(stages, precision, layers))


def trunk_of(stages: Stages, name: str, in_channels: int, image_size: int) -> tuple[Trunk, str]:
    """The layer table of a backbone, and a SHA-256 (hex) over what its stages compute.

    Args:
        stages: From the factory.
        name: Of the backbone, width included.
        in_channels: Channels of the image.
        image_size: Its side in pixels.

    Raises:
        OfframpError: When a stage cannot be rebuilt or does not take the map of the one before.
    """
    with torch.device("meta"):
        stem = _stem(stages, FloatLayers()).module if stages.stem is not None else None
        precision = uniform_precision(len(stages.stages))
        blocks = [converted.module for converted in _blocks(stages, precision, FloatLayers())]
        trunk = trace_trunk(name, stem, blocks, stages.mounts, in_channels, image_size)
    return trunk, _fingerprint([*([] if stem is None else [stem]), *blocks])


def weight_names(stages: Stages) -> dict[str, str]:
    """Where the weights of a float checkpoint go.

    Returns:
        Name in the state dict of `stages.model` (of the stages themselves where there is none) to the name in an
        `EarlyExitNetwork`, for every parameter and BatchNorm statistic of the backbone.
    """
    outer = _names_in_model(stages.model)
    names: dict[str, str] = {}
    with torch.device("meta"):
        parts: list[tuple[Stage, Converted, str, str]] = []
        if stages.stem is not None:
            parts.append((stages.stem, _stem(stages, FloatLayers()), "stem", "stem.1"))
        converted = _blocks(stages, uniform_precision(len(stages.stages)), FloatLayers())
        parts += [
            (stage, built, f"stages.{i}", f"blocks.{i}")
            for i, (stage, built) in enumerate(zip(stages.stages, converted, strict=True))
        ]
    for stage, built, theirs, ours in parts:
        if not isinstance(stage, nn.Module):  # a builder: made of our layers already
            names |= {f"{theirs}.{name}": f"{ours}.{name}" for name in built.module.state_dict()}
            continue
        for new_path, old_path in built.origins.items():
            for name, tensor in _named_tensors(stage.get_submodule(old_path)):
                own = ".".join(part for part in (theirs, old_path, name) if part)
                names[outer.get(id(tensor), own)] = f"{ours}.{new_path}.{name}"
    return names


def _stem(stages: Stages, layers: LayerFactory) -> Converted:
    assert stages.stem is not None
    return build_stage(stages.stem, REFERENCE_BITS, REFERENCE_BITS, layers, f"the stem of {stages.name}")


def _blocks(stages: Stages, precision: Precision, layers: LayerFactory) -> list[Converted]:
    bits = zip(precision.weight_bits, precision.activation_bits, strict=True)
    return [
        build_stage(stage, weight_bits, activation_bits, layers, f"stage {i} of {stages.name}")
        for i, (stage, (weight_bits, activation_bits)) in enumerate(zip(stages.stages, bits, strict=True))
    ]


def _fingerprint(modules: list[nn.Module]) -> str:
    parts = [
        f"{module.code}{module!r}" if isinstance(module, fx.GraphModule) else repr(module)
        for module in modules
    ]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def _names_in_model(model: nn.Module | None) -> dict[int, str]:
    return {} if model is None else {id(tensor): name for name, tensor in _named_tensors(model)}


def _named_tensors(module: nn.Module) -> list[tuple[str, Tensor]]:
    return list(module.state_dict(keep_vars=True).items())
