from __future__ import annotations

import numpy as np
import pytest

from hwcost.errors import OfframpError
from study.setup import folder_name
from tests.study.bench import bench_context


@pytest.mark.parametrize("budget", [4096, 6144])
def test_a_pe_budget_is_what_allocations_and_the_simulator_go_by(tmp_path, budget):
    context = bench_context(tmp_path, hardware={"pe_budget": budget})
    accelerator = context.hardware.accelerator
    allocations = context.space.allocations.all()
    assert accelerator.n_pes(allocations).sum(axis=1).max() == budget
    costs = context.hardware.stage_costs(context.hardware.static_architecture, allocations)
    assert np.isfinite(costs.latency_cycles).all()


def test_a_budget_below_the_default_allocation_is_refused(tmp_path):
    with pytest.raises(OfframpError, match="expected a PE budget of at least 4096"):
        bench_context(tmp_path, hardware={"pe_budget": 4095})


def test_cores_of_several_kinds_have_catalogues_of_their_own(tmp_path):
    context = bench_context(tmp_path, hardware={"accelerator": "heterogeneous_quad"})
    accelerator, space = context.hardware.accelerator, context.space
    labels = [[array.label for array in catalogue] for catalogue in accelerator.catalogues]
    assert space.allocations.groups == ((0, 1), (2,), (3,))
    assert [space.genes()[f"pe_array_core{i}"] for i in range(4)] == [len(own) for own in labels]
    assert [space.legend(labels, ["nominal"])[f"pe_array_core{i}"] for i in range(4)] == labels
    rng = np.random.default_rng(0)
    allocations = np.array([space.decode(space.random(rng)).allocation for _ in range(20)])
    assert (accelerator.n_pes(allocations).sum(axis=1) <= accelerator.pe_budget).all()
    costs = context.hardware.stage_costs(context.hardware.static_architecture, allocations)
    assert np.isfinite(costs.latency_cycles).all()
    assert np.isfinite(costs.energy_pj).all()


def test_no_two_names_share_a_folder() -> None:
    names = ["a_b", "a/b", "a b", ".a_b", "a" * 150, "a" * 151, "..", "/", "\u00e9t\u00e9"]
    folders = [folder_name(name) for name in names]
    assert len(set(folders)) == len(names)
    assert folders[0] == "a_b"
    assert all(name and "/" not in name and not name.startswith(".") for name in folders)
