from typing import Literal

import numpy as np
import pytest

from hwcost.chip.accelerator_file import load_accelerator
from hwcost.networks import load_backbone
from models.architecture import Architecture
from models.backbones.open import open_backbone
from models.export.cost import Placement, segment_macs, simulated_cost
from models.network import EarlyExitNetwork, architecture_mounts
from models.trace import trace_layers
from study.genome import Genome
from study.hardware import HardwareCosts


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
    cost = simulated_cost(Architecture.static(12), spec, 16, 10, Placement())
    assert (cost.pe_arrays, cost.level) == (("8x8x4x4",) * 4, "nominal")
    assert cost.mean_over_static([1.0]) == pytest.approx((1.0, 1.0, 1.0))
    early = simulated_cost(Architecture((4,), ("fc", "fc"), (8,) * 12, (8,) * 12), spec, 16, 10, Placement())
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


@pytest.mark.parametrize("mapping", ["edp", "latency"])
def test_other_arrays_and_levels_cost_what_a_study_says(mapping: Literal["edp", "latency"]) -> None:
    """The oracle is the simulator of studies, which counts by catalogue indices."""
    spec = load_backbone("paper").scaled(0.25)
    architecture = Architecture((4,), ("fc", "gap"), (8, 4) * 6, (8,) * 12)
    chip = load_accelerator("edge_tpu_quad")
    allocation, level = (12, 5, 2, 0), chip.level_index("low")
    labels = [core.catalogue[i].label for core, i in zip(chip.compute_cores, allocation, strict=True)]
    study = HardwareCosts(spec, 10, 16, chip, mapping)
    expected = study.cost_of(Genome(architecture, allocation, 0.0, level))
    for separator in (",", " "):
        placement = Placement("edge_tpu_quad", separator.join(labels), "low", mapping)
        found = simulated_cost(architecture, spec, 16, 10, placement)
        np.testing.assert_allclose(found.latency_cycles, expected.latency_cycles[0])
        np.testing.assert_allclose(found.energy_pj, expected.energy_pj[0])
        assert found.static_latency_cycles == pytest.approx(study.static.latency_cycles)
        assert found.static_energy_pj == pytest.approx(study.static.energy_pj)
        assert (found.pe_arrays, found.level) == (tuple(labels), "low")
    elsewhere = simulated_cost(architecture, spec, 16, 10, Placement())
    assert not np.allclose(elsewhere.latency_cycles, expected.latency_cycles[0], rtol=0.05)
    assert not np.allclose(elsewhere.energy_pj, expected.energy_pj[0], rtol=0.05)


def test_arrays_over_the_chips_own_budget_belong_to_a_larger_chip() -> None:
    spec = load_backbone("paper").scaled(0.25)
    most = ",".join(["16x8x4x4"] * 4)
    found = simulated_cost(Architecture.static(12), spec, 16, 10, Placement(allocation=most))
    assert found.latency_cycles[0] != found.static_latency_cycles
