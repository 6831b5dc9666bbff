"""Tables of traced backbones: against published figures, against what runs, against the paper's own table."""

import dataclasses

import numpy as np
import pytest
import torch

from hwcost.networks import early_exit_workload, load_backbone
from hwcost.networks.precision import PSUM_BITS
from hwcost.networks.trunk import spec_trunk
from hwcost.workload import Op
from models.architecture import Architecture
from models.backbones.open import open_backbone
from models.backbones.strides import strides_for
from models.network import EarlyExitNetwork, Mount, architecture_mounts
from models.torchvision_adapter import torchvision_module
from models.trace import trace_layers

USER = "tests.models.backbones.user_backbone"
COLUMNS = ("op", "k", "c", "g", "ox", "oy", "fx", "fy", "stride")
# As torchvision publishes them with its weights: name of the weights, inputs of the classifier.
PUBLISHED = {
    "resnet18": ("ResNet18_Weights", 512),
    "mobilenet_v2": ("MobileNet_V2_Weights", 1280),
    "efficientnet_b0": ("EfficientNet_B0_Weights", 1280),
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_the_original_size_has_the_published_macs_and_parameters(name: str) -> None:
    weights, features = PUBLISHED[name]
    meta = getattr(torchvision_module().models, weights).IMAGENET1K_V1.meta
    backbone = open_backbone(name, 1.0, 3, 224)
    n = backbone.n_blocks
    table = early_exit_workload(backbone, (), ("gap",), Architecture.static(n).precision(), 224, 1000)
    assert table.macs.sum() / 1e9 == pytest.approx(meta["_ops"], rel=2e-3)
    with torch.device("meta"):
        network = EarlyExitNetwork(backbone, (Mount(n - 1, "gap"),), 1000, 224)
    assert sum(p.numel() for p in network.parameters()) == meta["num_params"]
    assert backbone.blocks[-1].out_channels == features
    assert backbone.blocks[-1].out_size == 7


@pytest.mark.parametrize("name", [*PUBLISHED, f"{USER}:small", f"{USER}:unnamed"])
@pytest.mark.parametrize("size", [24])
def test_layers_that_run_are_the_layers_that_are_costed(name: str, size: int) -> None:
    backbone = open_backbone(name, 1.0 if ":" in name else 0.25, 1, size)
    n = backbone.n_blocks
    exits = backbone.mounting_points[::2]
    heads = ("conv1", "gap", "fc", "conv2", "fc_hidden", "gap", "fc", "conv1", "gap")[: len(exits) + 1]
    architecture = Architecture(exits, heads, (8,) * n, (8,) * n)
    network = EarlyExitNetwork(backbone, architecture_mounts(architecture, backbone), 10, size)
    rows = trace_layers(network)
    table = early_exit_workload(backbone, exits, heads, architecture.precision(), size, 10)
    assert tuple(row.name for row in rows) == table.names
    for column in COLUMNS:
        np.testing.assert_array_equal([getattr(row, column) for row in rows], getattr(table, column), column)
    assert sum(row.parameters for row in rows) == sum(p.numel() for p in network.parameters())


@pytest.mark.parametrize("name", ["efficientnet_b0", f"{USER}:small"])
def test_rows_read_what_their_sources_write(name: str) -> None:
    backbone = open_backbone(name, 1.0, 1, 32)
    n = backbone.n_blocks
    precision = Architecture.static(n, bits=4).precision()
    table = early_exit_workload(backbone, (), ("gap",), precision, 32, 10)
    for i in range(1, table.n_layers):
        sources = [s for s in table.sources[i] if s >= 0]
        written = max(table.output_elements[s] for s in sources)
        share = 2 if table.op[i] == Op.ADD else 1  # a gate's vector is charged like a map
        assert table.input_elements[i] == share * written, table.names[i]
        assert table.input_bits[i] == max(table.output_bits[s] for s in sources)


def test_functions_are_rows_that_read_unquantized_values() -> None:
    trunk = open_backbone("efficientnet_b0", 0.25, 3, 32).trunk
    assert [row.name for row in trunk.layers[:4]] == [
        "stem.0",
        "stem.0.act",
        "b0.block.0.0",
        "b0.block.0.0.act",
    ]
    for index, row in enumerate(trunk.layers):
        if row.name.endswith(".act"):
            assert not trunk.layers[index - 1].quantized
            assert row.quantized
            assert (row.fx, row.stride, row.sources) == (1, 1, (index - 1,))
    table = early_exit_workload(trunk, (), ("gap",), Architecture.static(16, bits=4).precision(), 32, 10)
    act = table.names.index("b1.block.0.0.act")
    assert (table.input_bits[act], table.output_bits[act]) == (PSUM_BITS, 4)


@pytest.mark.parametrize("width", [0.25, 1.0])
def test_the_papers_backbone_through_the_interface_is_the_papers_table(width: float) -> None:
    spec = load_backbone("paper").scaled(width).with_in_channels(3)
    trunk = open_backbone(f"{USER}:paper", width, 3, 32).trunk
    assert trunk == dataclasses.replace(spec_trunk(spec, 32), name=trunk.name)


def test_the_papers_backbone_through_the_interface_has_its_parameter_names() -> None:
    spec = load_backbone("paper").scaled(0.25)
    backbone = open_backbone(f"{USER}:paper", 0.25, 3, 32)
    mounts = (Mount(3, "fc"), Mount(11, "gap"))
    table, interface = (EarlyExitNetwork(b, mounts, 10, 32).eval() for b in (spec, backbone))
    interface.load_state_dict(table.state_dict())
    x = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        for mine, theirs in zip(interface(x), table(x), strict=True):
            assert torch.equal(mine, theirs)


@pytest.mark.parametrize(
    ("size", "kept"),
    [(224, (2, 2, 2, 2, 2)), (128, (2, 2, 2, 2, 2)), (96, (1, 2, 2, 2, 2)), (64, (1, 2, 2, 2, 2)),
     (32, (1, 1, 2, 2, 2)), (28, (1, 1, 2, 2, 2)), (16, (1, 1, 1, 2, 2)), (4, (1,) * 5), (1, (1,) * 5)],
)  # fmt: skip
def test_first_strides_go_until_the_last_map_is_4x4(size: int, kept: tuple[int, ...]) -> None:
    assert strides_for(size, (2, 2, 2, 2, 2)) == kept


@pytest.mark.parametrize("name", PUBLISHED)
@pytest.mark.parametrize("size", [16, 48])
def test_last_maps_of_small_images_stay_at_4x4_or_more(name: str, size: int) -> None:
    sizes = open_backbone(name, 0.25, 3, size).out_sizes(size)
    assert 4 <= sizes[-1] < 8
    assert list(sizes) == sorted(sizes, reverse=True)


def test_resnet_for_cifar_has_a_3x3_stem_and_no_pooling() -> None:
    trunk = open_backbone("resnet18", 1.0, 3, 32).trunk
    assert (trunk.layers[0].fx, trunk.layers[0].stride) == (3, 1)
    assert all(row.op != Op.POOL for row in trunk.layers)
    original = open_backbone("resnet18", 1.0, 3, 224).trunk
    assert (original.layers[0].fx, original.layers[0].stride) == (7, 2)
    assert (original.layers[1].op, original.layers[1].fx, original.layers[1].ox) == (Op.POOL, 3, 56)
