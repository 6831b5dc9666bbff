"""Properties of the costs of whole networks."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest

from hwcost import CostModel, evaluate, layer_report, load_accelerator
from hwcost.chip.accelerator import Accelerator
from hwcost.chip.core import ComputeCore
from hwcost.chip.memory import Memory
from hwcost.errors import OfframpError
from hwcost.networks import early_exit_workload, load_backbone, uniform_precision
from hwcost.workload import Workload
from hwcost.workload_batch import WorkloadBatch


@pytest.fixture(scope="module")
def quad() -> Accelerator:
    return load_accelerator("edge_tpu_quad")


@pytest.fixture(scope="module")
def model(quad: Accelerator) -> CostModel:
    return CostModel(quad)


def network(weight_bits: int = 8, activation_bits: int = 8, width: float = 0.5) -> Workload:
    spec = load_backbone("paper").scaled(width)
    bits = uniform_precision(12, weight_bits, activation_bits)
    return early_exit_workload(spec, (0, 4, 7), ("fc", "gap", "fc_hidden", "fc"), bits, 32, 10)


def some_allocations(quad: Accelerator, n: int, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    pes = np.array([array.n_pes for array in quad.catalogues[0]])
    drawn = rng.integers(0, len(pes), size=(20 * n, quad.n_compute_cores))
    return drawn[pes[drawn].sum(axis=1) <= quad.pe_budget][:n]


def test_a_later_exit_never_costs_less(model: CostModel, quad: Accelerator) -> None:
    costs = model.evaluate(network(), some_allocations(quad, 20))
    assert (np.diff(costs.latency_cycles, axis=1) > 0).all()
    assert (np.diff(costs.energy_by_level_pj, axis=1) >= 0).all()
    assert np.array_equal(costs.worst_latency_cycles, costs.latency_cycles[:, -1])


def test_levels_add_up(model: CostModel, quad: Accelerator) -> None:
    costs = model.evaluate(network(), some_allocations(quad, 5))
    assert np.allclose(costs.energy_by_level_pj.sum(axis=2), costs.energy_pj, rtol=1e-12)
    assert costs.level_names == ("mac", "register", "sram", "dram", "link", "leakage")


@pytest.mark.parametrize("leakage", [0.0, 1e-4])
@pytest.mark.parametrize("chip", ["heterogeneous_quad", "edge_tpu_quad"])
def test_a_design_costs_the_same_whatever_is_costed_with_it(chip: str, leakage: float) -> None:
    """Also where ways between cores differ, or what leaks differs by design."""
    accelerator = load_accelerator(chip)
    cores = tuple(replace(core, leakage_w_per_pe=leakage) for core in accelerator.compute_cores)
    model = CostModel(replace(accelerator, compute_cores=cores, pe_budget=2**20))
    spec = load_backbone("paper")
    workload = early_exit_workload(spec, (4,), ("fc", "fc"), uniform_precision(12, 4, 8), 32, 10)
    rng = np.random.default_rng(0)
    sizes = [len(catalogue) for catalogue in accelerator.catalogues]
    allocations = np.stack([rng.integers(0, n, size=60) for n in sizes], axis=1)
    together = model.evaluate(workload, allocations, "edp")
    alone = [model.evaluate(workload, row[None], "edp") for row in allocations]
    for name in ("latency_cycles", "energy_pj"):
        found = np.concatenate([getattr(costs, name) for costs in alone])
        np.testing.assert_allclose(getattr(together, name), found, rtol=1e-12)


def test_a_batch_of_one_network_has_memory_for_every_allocation(model: CostModel, quad: Accelerator) -> None:
    allocations = some_allocations(quad, 3)
    costs = model.evaluate(WorkloadBatch.of(network()), allocations)
    assert costs.weight_memory_bits.shape == costs.activation_memory_bits.shape == (3,)
    assert np.array_equal(costs.take(np.array([2])).latency_cycles, costs.latency_cycles[2:])


def test_splitting_a_batch_changes_nothing(model: CostModel, quad: Accelerator) -> None:
    allocations = some_allocations(quad, 30)
    whole = model.evaluate(network(), allocations)
    for i, allocation in enumerate(allocations):
        single = model.evaluate(network(), allocation[None, :])
        assert np.array_equal(single.latency_cycles[0], whole.latency_cycles[i])
        assert np.array_equal(single.energy_pj[0], whole.energy_pj[i])


def test_equal_cores_may_be_exchanged(model: CostModel, quad: Accelerator) -> None:
    allocations = some_allocations(quad, 10)
    one, other = model.evaluate(network(), allocations), model.evaluate(network(), allocations[:, ::-1])
    assert np.array_equal(one.latency_cycles, other.latency_cycles)


def test_a_warm_table_gives_what_a_cold_one_gives(quad: Accelerator, model: CostModel) -> None:
    allocations = some_allocations(quad, 3)
    model.evaluate(network(4, 8), allocations)
    warm, cold = model.evaluate(network(), allocations), evaluate(network(), quad, allocations)
    assert np.array_equal(warm.latency_cycles, cold.latency_cycles)
    assert np.array_equal(warm.energy_pj, cold.energy_pj)


@pytest.mark.parametrize("objective", ["latency", "energy"])
def test_each_objective_is_the_best_at_its_own(model: CostModel, quad: Accelerator, objective: str) -> None:
    allocations = some_allocations(quad, 10)
    found = {o: model.evaluate(network(), allocations, o) for o in ("latency", "energy", "edp")}
    values = {
        o: (c.latency_cycles if objective == "latency" else c.energy_pj)[:, -1] for o, c in found.items()
    }
    for other in found:
        assert (values[objective] <= values[other] * (1 + 1e-9)).all()


def test_more_choice_of_cores_is_never_worse(model: CostModel, quad: Accelerator) -> None:
    # replacing a core that is there twice by another array leaves the first one to be used
    same = model.evaluate(network(), np.array([[4, 4, 4, 4]]), "latency")
    mixed = model.evaluate(network(), np.array([[4, 4, 4, 11]]), "latency")
    assert mixed.worst_latency_cycles[0] <= same.worst_latency_cycles[0]


@pytest.mark.parametrize("objective", ["latency", "energy"])
def test_fewer_bits_never_cost_more(model: CostModel, quad: Accelerator, objective: str) -> None:
    allocations = some_allocations(quad, 5)
    costs = [model.evaluate(network(b, b), allocations, objective) for b in (8, 6, 4, 3, 2)]
    for more, fewer in itertools.pairwise(costs):
        if objective == "latency":
            assert (fewer.worst_latency_cycles <= more.worst_latency_cycles).all()
        else:
            assert (fewer.energy_pj[:, -1] <= more.energy_pj[:, -1]).all()


def with_compute_memories(
    accelerator: Accelerator, change: object, dram: Memory | None = None
) -> Accelerator:
    assert callable(change)

    def core(old: ComputeCore) -> ComputeCore:
        return replace(old, memories=tuple(change(memory) for memory in old.memories))

    cores = tuple(core(old) for old in accelerator.compute_cores)
    return replace(accelerator, compute_cores=cores, dram=dram or accelerator.dram)


def widened(memory: Memory) -> Memory:
    """Twice the width at equal energy per bit."""
    return replace(
        memory,
        read_bits_per_cycle=2 * memory.read_bits_per_cycle,
        write_bits_per_cycle=2 * memory.write_bits_per_cycle,
        read_pj=2 * memory.read_pj,
        write_pj=2 * memory.write_pj,
    )


@pytest.mark.parametrize("name", ["weight_sram", "activation_sram", "dram"])
def test_a_wider_port_is_never_slower(quad: Accelerator, model: CostModel, name: str) -> None:
    wide = with_compute_memories(
        quad, lambda m: widened(m) if m.name == name else m, widened(quad.dram) if name == "dram" else None
    )
    allocations = some_allocations(quad, 5)
    before, after = (
        model.evaluate(network(), allocations, "latency"),
        evaluate(network(), wide, allocations, "latency"),
    )
    assert (after.worst_latency_cycles <= before.worst_latency_cycles).all()


def test_scaling_all_energies_scales_the_result(quad: Accelerator, model: CostModel) -> None:
    def scale(memory: Memory) -> Memory:
        return replace(memory, read_pj=3 * memory.read_pj, write_pj=3 * memory.write_pj)

    scaled = with_compute_memories(quad, scale, scale(quad.dram))
    scaled = replace(
        scaled,
        compute_cores=tuple(replace(c, mac_energy_pj=3 * c.mac_energy_pj) for c in scaled.compute_cores),
        vector_cores=tuple(
            replace(c, operation_energy_pj=3 * c.operation_energy_pj, memory=scale(c.memory))
            for c in scaled.vector_cores
        ),
    )
    allocations = some_allocations(quad, 5)
    before, after = model.evaluate(network(), allocations), evaluate(network(), scaled, allocations)
    assert np.allclose(after.energy_pj, 3 * before.energy_pj, rtol=1e-9)
    assert np.array_equal(after.latency_cycles, before.latency_cycles)


def test_the_layer_report_adds_up(quad: Accelerator, model: CostModel) -> None:
    workload = network()
    allocation = some_allocations(quad, 1)[0]
    report = layer_report(workload, quad, allocation, model=model)
    costs = model.evaluate(workload, allocation[None, :])
    assert report.latency_cycles.sum() == costs.worst_latency_cycles[0]
    assert report.energy_pj.sum() == pytest.approx(costs.energy_pj[0, -1], rel=1e-12)
    assert report.start_cycle[0] == 0
    assert np.allclose(report.start_cycle[1:], report.latency_cycles.cumsum()[:-1])
    names = [core.name for core in quad.compute_cores] + [core.name for core in quad.vector_cores]
    assert set(report.core) <= set(names)
    for i in np.flatnonzero(workload.has_weights):
        assert report.pe_array[i]
        assert report.spatial[i]


@pytest.mark.parametrize(
    ("allocation", "word"),
    [
        ([[0, 0, 0]], "shape"),
        ([[99, 0, 0, 0]], "catalogue"),
        ([[14, 14, 14, 0]], "4096"),
        ([[0.5, 0, 0, 0]], "integer"),
    ],
)
def test_refuses_bad_allocations(model: CostModel, allocation: list[list[float]], word: str) -> None:
    with pytest.raises(OfframpError, match=word):
        model.evaluate(network(), np.array(allocation))


def test_refuses_unknown_objectives(model: CostModel, quad: Accelerator) -> None:
    with pytest.raises(OfframpError, match="edp"):
        model.evaluate(network(), some_allocations(quad, 1), "area")
