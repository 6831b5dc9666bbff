"""Bits of the table against bits of the network: what each layer really reads when it runs."""

from __future__ import annotations

import dataclasses
import hashlib
import json

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from hwcost.networks import early_exit_workload
from hwcost.networks.precision import PSUM_BITS
from models import brevitas_adapter
from models.architecture import Architecture
from models.backbone import ResidualAdd
from models.backbones.modules import MeanPool, Multiply, Pointwise
from models.backbones.open import open_backbone
from models.backbones.staged import StagedBackbone
from models.heads import GlobalAveragePool, MaxPool
from models.network import EarlyExitNetwork, architecture_mounts
from models.trace import layer_name
from models.warm_start import FORMAT, warm_start_key
from tests.models.small import HEADS, PRETRAIN, digits

USER = "tests.models.backbones.user_backbone"
QUANTIZING = (ResidualAdd, Multiply, MeanPool, Pointwise, GlobalAveragePool)
PASSING = (nn.MaxPool2d, MaxPool)


def bits_that_run(network: EarlyExitNetwork) -> tuple[dict[str, int], dict[str, int]]:
    """What layers read and write, by their names in the tables; convolutions and linear layers write unseen.

    A quantizer gives its bits to the map it makes, max-pooling hands them on, everything else makes maps as wide as
    the accumulator. What a quantizer alone makes of a pooled map is what the pooling writes: it is no layer.
    """
    known: dict[int, int] = {}  # by where the values lie: flattening moves none
    kept: list[Tensor] = []  # so that nothing else comes to lie there
    pool_at: dict[int, str] = {}
    read: dict[str, int] = {}
    written: dict[str, int] = {}

    def width(x: Tensor) -> int:
        return known.get(x.untyped_storage().data_ptr(), PSUM_BITS)

    def quantized(module: nn.Module, inputs: tuple[Tensor, ...], y: Tensor) -> None:
        kept.append(y)
        known[y.untyped_storage().data_ptr()] = bits = brevitas_adapter.activation_bits(module)
        pool = pool_at.get(inputs[0].untyped_storage().data_ptr())
        if pool is not None:
            written[pool] = bits

    def passed_on(_module: nn.Module, inputs: tuple[Tensor, ...], y: Tensor) -> None:
        kept.append(y)
        known[y.untyped_storage().data_ptr()] = width(inputs[0])

    for quantizer in brevitas_adapter.activation_quantizers(network).values():
        quantizer.register_forward_hook(quantized)
    for path, module in network.named_modules():
        if isinstance(module, PASSING):
            module.register_forward_hook(passed_on)
        if not isinstance(module, (nn.Conv2d, nn.Linear, *QUANTIZING, *PASSING)):
            continue

        def note(module: nn.Module, inputs: tuple[Tensor, ...], y: Tensor, path: str = path) -> None:
            name = layer_name(path, network.spec.n_blocks - 1, module)
            read[name] = max(width(x) for x in inputs)
            if isinstance(module, (*QUANTIZING, *PASSING)):
                written[name] = width(y)
            if isinstance(module, PASSING):
                pool_at[y.untyped_storage().data_ptr()] = name

        module.register_forward_hook(note)
    with torch.no_grad():
        network.eval()(torch.randn(2, network.spec.in_channels, network.image_size, network.image_size))
    return read, written


@pytest.mark.parametrize("name", ["efficientnet_b0", f"{USER}:small", f"{USER}:unnamed", f"{USER}:pooled"])
@pytest.mark.parametrize("shift", [0, 2])
def test_layers_are_costed_at_the_bits_they_run_with(name: str, shift: int) -> None:
    backbone = open_backbone(name, 1.0 if ":" in name else 0.25, 1, 16)
    n = backbone.n_blocks
    exits = backbone.mounting_points[:: 1 if n < 10 else 5]
    heads = [("fc", "gap", "conv1", "fc_hidden", "conv2")[(i + shift) % 5] for i in range(len(exits) + 1)]
    bits = tuple((8, 4, 2, 6, 3)[(i + shift) % 5] for i in range(n))
    architecture = Architecture(exits, tuple(heads), (8,) * n, bits, 4, 6)
    mounts, precision = architecture_mounts(architecture, backbone), architecture.precision()
    network = EarlyExitNetwork(backbone, mounts, 10, 16, precision, brevitas_adapter.QuantLayers())
    read, written = bits_that_run(network)
    table = early_exit_workload(backbone, exits, architecture.heads, precision, 16, 10)
    assert set(read) == set(table.names)
    costed = dict(zip(table.names, table.input_bits.tolist(), strict=True))
    assert costed == read
    outputs = dict(zip(table.names, table.output_bits.tolist(), strict=True))
    assert {layer: outputs[layer] for layer in written} == written


def test_bits_of_a_stage_of_max_pooling_alone_change_no_cost() -> None:
    """They change nothing that is computed either: were they cheaper, a search would set them to the fewest."""
    backbone = open_backbone(f"{USER}:small", 1.0, 1, 16)
    tables = []
    for pool_bits in (2, 8):
        precision = Architecture((1,), ("gap", "fc"), (8,) * 4, (8, 4, pool_bits, 4)).precision()
        tables.append(early_exit_workload(backbone, (1,), ("gap", "fc"), precision, 16, 10))
    for column in ("weight_bits", "input_bits", "output_bits"):
        np.testing.assert_array_equal(getattr(tables[0], column), getattr(tables[1], column), column)


def test_warm_starts_of_before_are_found_again() -> None:
    """What is written down for costs alone is no part of their key."""
    backbone = open_backbone(f"{USER}:pooled", 1.0, 1, 16)
    assert isinstance(backbone, StagedBackbone)
    spec = dataclasses.asdict(backbone)
    assert any([row.pop("keeps_bits") for row in spec["trunk"]["layers"]])
    parts = {
        "format": FORMAT, "spec": spec, "head_kinds": HEADS, "data": digits().fingerprint, "image": [1, 16, 10],
        "recipe": PRETRAIN.key(), "seed": 0,
    }  # fmt: skip
    expected = hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()
    assert warm_start_key(backbone, HEADS, digits(), PRETRAIN, 0) == expected
