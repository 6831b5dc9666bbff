"""Where layers run, and what the report says of them."""

from __future__ import annotations

import numpy as np
import pytest

from hwcost import Accelerator, CostModel, Workload, layer_report, load_accelerator
from hwcost.mapping.layer_mapping import describe_mapping
from hwcost.networks import early_exit_workload, load_backbone, uniform_precision
from hwcost.report import SHARED_PLACES


@pytest.fixture(scope="module")
def chip() -> Accelerator:
    return load_accelerator("heterogeneous_quad")


@pytest.fixture(scope="module")
def workload() -> Workload:
    return early_exit_workload(load_backbone("paper"), (4,), ("fc", "fc"), uniform_precision(12), 32, 10)


def test_every_core_shows_an_array_of_its_own_catalogue(chip: Accelerator, workload: Workload) -> None:
    allocation = np.array([3, 8, 6, 3])
    report = layer_report(workload, chip, allocation, "energy")
    arrays = {
        core.name: core.catalogue[index].label
        for core, index in zip(chip.compute_cores, allocation, strict=True)
    }
    assert len(set(report.core) & set(arrays)) > 1
    for i, place in enumerate(report.core):
        assert report.pe_array[i] == arrays.get(place, "")
        assert bool(report.spatial[i]) == bool(workload.has_weights[i])


def test_unrollings_are_those_of_each_layer_mapped_alone(chip: Accelerator, workload: Workload) -> None:
    allocation = np.array([3, 8, 6, 3])
    report = layer_report(workload, chip, allocation, "energy")
    cores = {core.name: i for i, core in enumerate(chip.compute_cores)}
    for i in np.flatnonzero(workload.has_weights):
        core = chip.compute_cores[cores[report.core[i]]]
        array = core.catalogue[allocation[cores[core.name]]]
        alone = describe_mapping(core, workload.cost_rows()[i], array, "energy")
        assert report.spatial[i] == alone.spatial_label


def test_split_layers_are_at_all_cores_and_have_no_array(workload: Workload) -> None:
    quad = load_accelerator("edge_tpu_quad")
    report = layer_report(workload, quad, np.array(quad.default_allocation), "latency", mode="split")
    shared = [i for i, place in enumerate(report.core) if place in SHARED_PLACES]
    assert shared
    for i in shared:
        assert workload.has_weights[i]
        assert report.pe_array[i] == ""
    assert set(report.spatial) == {""}


@pytest.mark.parametrize("mode", ["layer_by_layer", "split", "fused"])
def test_sums_are_those_of_the_evaluation(chip: Accelerator, workload: Workload, mode: str) -> None:
    allocation = np.array(chip.default_allocation)
    model = CostModel(chip)
    report = layer_report(workload, chip, allocation, "edp", model, mode)
    costs = model.evaluate(workload, allocation[None, :], "edp", mode)
    for k in range(workload.n_segments):
        n = int((workload.segment <= k).sum())
        places = report.by_core(n)
        assert sum(layers for layers, _, _ in places.values()) == n
        cycles, energy = (sum(values[i] for values in places.values()) for i in (1, 2))
        assert cycles == pytest.approx(costs.latency_cycles[0, k])
        assert energy == pytest.approx(costs.energy_pj[0, k])
    together = report.operand_energy_pj.sum(axis=1) + report.other_energy_pj
    assert together == pytest.approx(report.energy_pj)
