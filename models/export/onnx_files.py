"""ONNX files of the parts of a network."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import torch
from torch import nn

from models.backbone import ResidualAdd
from models.backbones.modules import Multiply
from models.export.extra import need
from models.export.parts import Part, network_parts
from models.export.qcdq import qcdq_module
from models.export.qonnx import DOMAIN, DOMAIN_VERSION, qonnx_module
from models.fold import copy_with
from models.network import EarlyExitNetwork
from models.plain_layers import PlainLayer, PlainQuantizer

OnnxFormat = Literal["qcdq", "qonnx"]

OPSET = 17


def write_onnx(
    folded: EarlyExitNetwork, kind: OnnxFormat, folder: Path, metadata: Mapping[str, str]
) -> list[Path]:
    """Writes the whole network, and each segment and head by itself.

    QCDQ files take any batch. QONNX files take one image: the tools that read them want fixed shapes.

    Args:
        folded: Of `models.fold.fold_network`.
        kind: How quantizers are written.
        folder: Must be there.
        metadata: Kept in each file.

    Returns:
        The files in the order of `network_parts`.

    Raises:
        OfframpError: When the package onnx is missing.
    """
    pairs = {id(module.act) for module in folded.modules() if isinstance(module, (ResidualAdd, Multiply))}
    exported = copy_with(
        folded,
        {
            name: _twin(module, kind, id(module) in pairs)
            for name, module in folded.named_modules()
            if isinstance(module, (PlainLayer, PlainQuantizer))
        },
    ).eval()
    # The tracer writes what is seen: in channels-last, transpositions around layers.
    exported.to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]
    return [_write(part, kind, folder, metadata) for part in network_parts(exported)]


def _twin(module: PlainLayer | PlainQuantizer, kind: OnnxFormat, of_a_pair: bool) -> nn.Module:
    """What stands for a module in a file; `of_a_pair`: it quantizes a sum or product of two tensors."""
    return qcdq_module(module, of_a_pair) if kind == "qcdq" else qonnx_module(module)


def _write(part: Part, kind: OnnxFormat, folder: Path, metadata: Mapping[str, str]) -> Path:
    onnx = need("onnx")
    path = folder / f"{part.name}.onnx"
    options: dict[str, Any] = {}
    if kind == "qcdq":
        options["dynamic_axes"] = {name: {0: "n"} for name in (part.input_name, *part.output_names)}
    else:
        options["custom_opsets"] = {DOMAIN: DOMAIN_VERSION}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about the age of this exporter: the other one drops quantizers
        torch.onnx.export(
            part.module.eval(),
            (part.example(),),
            str(path),
            input_names=[part.input_name],
            output_names=list(part.output_names),
            opset_version=OPSET,
            dynamo=False,
            **options,
        )
    model = onnx.load(str(path))
    _inline_identities(model.graph)
    onnx.helper.set_model_props(model, dict(metadata))
    model.graph.name = part.name
    onnx.checker.check_model(model)
    onnx.save(model, str(path))
    return path


def _inline_identities(graph: Any) -> None:
    """Removes the Identity nodes through which the exporter shares equal constants.

    Tools that read quantizers want their bits and scales to be constants, not results of nodes.
    """
    stored = {constant.name for constant in graph.initializer}
    source: dict[str, str] = {}
    for node in graph.node:  # in order of execution, so that an Identity of an Identity leads to the constant
        origin = source.get(node.input[0], node.input[0]) if node.op_type == "Identity" else ""
        if origin in stored:
            source[node.output[0]] = origin
    for node in graph.node:
        for position, name in enumerate(node.input):
            node.input[position] = source.get(name, name)
    kept = [node for node in graph.node if node.output[0] not in source]
    del graph.node[:]
    graph.node.extend(kept)
