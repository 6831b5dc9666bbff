import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from hwcost.errors import OfframpError
from hwcost.layer_file import read_layers
from hwcost.networks import early_exit_workload, load_backbone, uniform_precision
from hwcost.workload import Op
from models.network import EarlyExitNetwork, Mount
from models.torchvision_adapter import torchvision_module
from models.trace_module import trace_module


class Small(nn.Module):
    """One of everything."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Sequential(nn.Conv2d(3, 8, 3, 2, 1), nn.BatchNorm2d(8), nn.ReLU())
        self.depthwise = nn.Conv2d(8, 8, (5, 3), padding=(2, 1), groups=8)
        self.pool = nn.MaxPool2d(2)
        self.last = nn.Linear(8, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = self.first(x)
        x = self.pool(x + self.depthwise(x))
        return self.last(x.mean((2, 3)))


def test_one_of_everything() -> None:
    workload = trace_module(Small(), (3, 16, 24), weight_bits=4, activation_bits=6, batch=2)
    assert workload.op.tolist() == [Op.CONV, Op.CONV, Op.ADD, Op.POOL, Op.POOL, Op.LINEAR]
    sizes = {
        name: getattr(workload, name).tolist() for name in ("k", "c", "g", "ox", "oy", "fx", "fy", "stride")
    }
    assert sizes == {
        "k": [8, 1, 1, 1, 1, 10], "c": [3, 1, 1, 1, 1, 8], "g": [1, 8, 8, 8, 8, 1],
        "ox": [12, 12, 12, 6, 1, 1], "oy": [8, 8, 8, 4, 1, 1], "fx": [3, 3, 1, 2, 6, 1], "fy": [3, 5, 1, 2, 4, 1],
        "stride": [2, 1, 1, 2, 4, 1],
    }  # fmt: skip
    assert workload.ix.tolist()[0] == 24
    assert workload.sources.tolist() == [[-1, -2], [0, -2], [0, 1], [2, -2], [3, -2], [4, -2]]
    assert workload.b.tolist() == [2] * 6
    assert workload.weight_bits.tolist() == [4, 4, 0, 0, 0, 4]
    assert workload.input_bits.tolist() == [6] * 6


@pytest.mark.parametrize(
    ("name", "macs", "weights"),
    [
        # torchvision's documentation: 1.81, 0.3 and 0.71 GMAC; parameters without biases and BatchNorm
        ("resnet18", 1_814_073_344, 11_678_912),
        ("mobilenet_v2", 300_774_272, 3_469_760),
        ("alexnet", 714_188_480, 61_090_496),
    ],
)
def test_networks_of_torchvision(name: str, macs: int, weights: int) -> None:
    models = torchvision_module().models
    with torch.device("meta"):
        network = getattr(models, name)()
    workload = trace_module(network, (3, 224, 224))
    assert int(workload.macs.sum()) == macs
    assert int(workload.weight_elements.sum()) == weights
    assert weights == sum(p.numel() for p in network.parameters() if p.dim() > 1)


def test_the_papers_network_gives_its_table() -> None:
    spec = load_backbone("paper").scaled(0.25)
    network = EarlyExitNetwork(spec, (Mount(spec.n_blocks - 1, "fc"),), 10, 32)

    class Whole(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.stem, self.blocks, self.head = network.stem, network.blocks, network.heads["fc_11"].fc

        def forward(self, x: Tensor) -> Tensor:
            x = self.stem(x)
            for block in self.blocks:
                x = block(x)
            return self.head(nn.functional.adaptive_avg_pool2d(x, 4).flatten(1))

    traced = trace_module(Whole(), (3, 32, 32))
    table = early_exit_workload(spec, (), ("fc",), uniform_precision(spec.n_blocks), 32, 10)
    np.testing.assert_array_equal(traced.cost_rows()[:, :9], table.cost_rows()[:, :9])


def test_what_is_no_layer_is_refused() -> None:
    class Joined(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return torch.cat([x, x * 2], 1)

    class Branching(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x if x.sum() > 0 else -x

    with pytest.raises(OfframpError, match=r"sums and products of two tensors, got .*cat"):
        trace_module(Joined(), (3, 8, 8))
    with pytest.raises(OfframpError, match=r"torch\.fx can trace"):
        trace_module(Branching(), (3, 8, 8))
    with pytest.raises(OfframpError, match=r"images of \[4, 8, 8\]"):
        trace_module(Small(), (4, 8, 8))


def test_the_command_writes_a_table(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "models.trace_module", "tests.models.test_trace_module:Small"]
    done = subprocess.run(
        [*command, "--input", "3,16,24", "--layers", str(tmp_path / "layers.csv")],
        capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    written = read_layers(tmp_path / "layers.csv")
    np.testing.assert_array_equal(written.cost_rows(), trace_module(Small(), (3, 16, 24)).cost_rows())
    refused = subprocess.run([*command[:-1], "no.such:thing", "--layers", "x.csv"],
                             capture_output=True, text=True, check=False, timeout=120)  # fmt: skip
    assert refused.returncode == 2
    assert refused.stderr.startswith("error: expected package.module:function")


class Functional(nn.Module):
    def __init__(self, kind: str) -> None:
        super().__init__()
        self.kind = kind
        self.conv = nn.Conv2d(3, 3, 3, padding=1)
        self.w = nn.Parameter(torch.zeros(3, 3, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv(x)
        if self.kind == "conv":
            return nn.functional.conv2d(x, self.w)
        if self.kind == "resize":
            return nn.functional.interpolate(x, scale_factor=2)
        if self.kind == "double":
            return x + x
        return nn.functional.max_pool2d(x, 3, 2, 1)


@pytest.mark.parametrize("kind", ["conv", "resize"])
def test_functions_that_are_no_layers_are_not_left_out(kind: str) -> None:
    with pytest.raises(OfframpError, match="describe such a network as a table of layers"):
        trace_module(Functional(kind), (3, 8, 8))


def test_functions_that_are_layers() -> None:
    double = trace_module(Functional("double"), (3, 8, 8))
    assert double.op.tolist() == [Op.CONV, Op.ADD]
    assert double.sources.tolist() == [[-1, -2], [0, 0]]
    pool = trace_module(Functional("pool"), (3, 8, 8))
    assert [int(getattr(pool, name)[1]) for name in ("fx", "fy", "stride", "ox")] == [3, 3, 2, 4]
