import pytest
from torch import nn

from models.network import EarlyExitNetwork, Mount
from models.trace import layer_name, trace_layers
from tests.models.small import SPEC


@pytest.mark.parametrize(
    ("path", "module", "name"),
    [
        ("stem.1.conv", nn.Conv2d(1, 1, 1), "stem"),
        ("blocks.3.expand.conv", nn.Conv2d(1, 1, 1), "b3.expand"),
        ("blocks.3.conv.2.conv", nn.Conv2d(1, 1, 1), "b3.conv.2"),
        ("blocks.10.add", nn.Identity(), "b10.add"),
        ("blocks.10.conv.act", nn.Identity(), "b10.conv.act"),
        ("heads.fc_hidden_3.hidden", nn.Linear(1, 1), "exit3.hidden"),
        ("heads.conv2_3.convs.depthwise2.conv", nn.Conv2d(1, 1, 1), "exit3.depthwise2"),
        ("heads.gap_11.pool", nn.Identity(), "final.pool"),
    ],
)
def test_names_are_those_of_the_cost_tables(path: str, module: nn.Module, name: str) -> None:
    assert layer_name(path, 11, module) == name


@pytest.mark.parametrize("training", [True, False])
def test_tracing_leaves_no_trace(training: bool) -> None:
    network = EarlyExitNetwork(SPEC, (Mount(2, "gap"),), 10, 16).train(training)
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    trace_layers(network)
    assert network.training == training
    assert all(tensor.equal(before[name]) for name, tensor in network.state_dict().items())
    assert not any(module._forward_hooks for module in network.modules())


def test_parameters_add_up() -> None:
    network = EarlyExitNetwork(SPEC, (Mount(0, "fc_hidden"), Mount(2, "fc")), 10, 16)
    assert sum(row.parameters for row in trace_layers(network)) == sum(
        p.numel() for p in network.parameters()
    )
