import numpy as np
import pytest
import torch

from hwcost.networks import BackboneSpec, early_exit_workload, head_parameters, load_backbone
from models import brevitas_adapter
from models.architecture import HEAD_KINDS, Architecture
from models.heads import ExitHead
from models.layers import FloatLayers
from models.network import EarlyExitNetwork, architecture_mounts
from models.trace import trace_layers

COLUMNS = ("op", "k", "c", "g", "ox", "oy", "fx", "fy", "stride")


def head(kind: str, size: int = 16, channels: int = 8) -> ExitHead:
    return ExitHead(kind, channels, size, 10, 4, 4, FloatLayers())


@pytest.mark.parametrize("kind", HEAD_KINDS)
@pytest.mark.parametrize("size", [1, 3, 4, 5, 8, 16])
def test_parameters_are_those_of_the_table(kind: str, size: int) -> None:
    built = head(kind, size)
    assert built.eval()(torch.randn(3, 8, size, size)).shape == (3, 10)
    assert sum(p.numel() for p in built.parameters()) == head_parameters(kind, 8, size, 10)


@pytest.mark.parametrize("size", [16, 24, 32])
@pytest.mark.parametrize("exits", [(), (0, 4, 8, 9)])
@pytest.mark.parametrize(("early", "final"), [("conv1", "conv2"), ("conv2", "conv1"), ("conv1", "fc")])
def test_layers_that_run_are_the_layers_that_are_costed(
    size: int, exits: tuple[int, ...], early: str, final: str
) -> None:
    spec: BackboneSpec = load_backbone("paper").scaled(0.25)
    n = spec.n_blocks
    heads = (early,) * len(exits) + (final,)
    architecture = Architecture(exits, heads, (8,) * n, (8,) * n)
    with torch.device("meta"):
        built = EarlyExitNetwork(spec, architecture_mounts(architecture, spec), 10, size)
    rows = trace_layers(built.to_empty(device="cpu"))
    table = early_exit_workload(spec, exits, heads, architecture.precision(), size, 10)
    assert tuple(row.name for row in rows) == table.names
    for column in COLUMNS:
        np.testing.assert_array_equal([getattr(row, column) for row in rows], getattr(table, column), column)


@pytest.mark.parametrize("kind", HEAD_KINDS)
def test_maps_of_another_size_give_logits_too(kind: str) -> None:
    """Early pre-training may use smaller images than the network is for."""
    assert head(kind, 16).eval()(torch.randn(2, 8, 12, 12)).shape == (2, 10)


@pytest.mark.parametrize("kind", ["conv1", "conv2"])
@pytest.mark.parametrize("bits", [2, 4])
def test_everything_inside_a_separable_head_is_quantized(kind: str, bits: int) -> None:
    built = ExitHead(kind, 8, 16, 10, bits, bits, brevitas_adapter.QuantLayers())
    weights = brevitas_adapter.weight_layers(built)
    n_convs = 2 * int(kind[-1])
    assert len(weights) == n_convs + 1
    assert {brevitas_adapter.weight_bits(layer) for layer in weights.values()} == {bits}
    quantizers = brevitas_adapter.activation_quantizers(built)
    assert len(quantizers) == n_convs  # one behind each convolution; max-pooling keeps what is quantized
    assert {brevitas_adapter.activation_bits(q) for q in quantizers.values()} == {bits}
    seen: dict[str, int] = {}
    for name, quantizer in quantizers.items():
        quantizer.register_forward_hook(
            lambda _module, _inputs, y, name=name: seen.update({name: len(torch.unique(y))})
        )
    built.eval()(torch.randn(4, 8, 16, 16))
    assert all(0 < n_values <= 2**bits for n_values in seen.values())


def test_float_and_quantized_heads_share_parameter_names() -> None:
    for kind in HEAD_KINDS:
        quantized = ExitHead(kind, 8, 16, 10, 4, 4, brevitas_adapter.QuantLayers())
        names = {n for n in quantized.state_dict() if not n.endswith(brevitas_adapter.SCALE_SUFFIX)}
        assert names == set(head(kind).state_dict())


@pytest.mark.parametrize("kind", ["conv1", "conv2"])
def test_bits_of_a_separable_head_are_genes(kind: str) -> None:
    with_head = Architecture((1,), (kind, "fc"), (8,) * 3, (8,) * 3, 8, 4)
    assert with_head.canonical() == with_head
