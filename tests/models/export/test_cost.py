import numpy as np
import pytest

from hwcost.networks import load_backbone
from models.architecture import Architecture
from models.backbones.open import open_backbone
from models.export.cost import segment_macs, simulated_cost
from models.network import EarlyExitNetwork, architecture_mounts
from models.trace import trace_layers


def test_macs_are_those_of_the_layers_that_run() -> None:
    spec = load_backbone("paper").scaled(0.25)
    architecture = Architecture((0, 4), ("fc", "fc_hidden", "gap"), (8,) * 12, (8,) * 12)
    network = EarlyExitNetwork(spec, architecture_mounts(architecture, spec), 10, 16)
    rows = trace_layers(network)
    found = segment_macs(architecture, spec, 16, 10)
    assert found.sum() == sum(row.macs for row in rows)
    first = [row.macs for row in rows if row.name in ("stem", "b0.depthwise", "b0.project", "b0.expand")]
    head = [row.macs for row in rows if row.name.startswith("exit0.")]
    assert found[0] == sum(first) + sum(head)


def test_a_static_network_costs_what_its_reference_costs() -> None:
    spec = load_backbone("paper").scaled(0.25)
    cost = simulated_cost(Architecture.static(12), spec, 16, 10, "edge_tpu_quad")
    assert cost.mean_over_static([1.0]) == pytest.approx((1.0, 1.0, 1.0))
    early = simulated_cost(
        Architecture((4,), ("fc", "fc"), (8,) * 12, (8,) * 12), spec, 16, 10, "edge_tpu_quad"
    )
    assert early.latency_cycles[0] < cost.static_latency_cycles < early.latency_cycles[1]
    latency, energy, product = early.mean_over_static([0.5, 0.5])
    assert latency < 1
    assert energy < 1
    assert product > latency * energy  # a mean of products, not a product of means
    assert np.isfinite(early.to_dict()["energy_pj"]).all()


def test_backbones_of_stages_are_costed_too() -> None:
    spec = open_backbone("resnet18", 0.25, 3, 16)
    n = spec.n_blocks
    architecture = Architecture((spec.mounting_points[0],), ("gap", "fc"), (8,) * n, (8,) * n)
    macs = segment_macs(architecture, spec, 16, 10)
    assert macs.shape == (2,)
    assert (macs > 0).all()
