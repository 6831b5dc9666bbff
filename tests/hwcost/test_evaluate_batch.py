"""Batches of different networks: equal to one at a time, in any parts, at any level."""

from __future__ import annotations

from importlib import import_module

import numpy as np
import pytest

from hwcost import CostModel, load_accelerator
from hwcost.chip.link import Link
from hwcost.cost_model import LayerCostTable
from hwcost.errors import OfframpError
from hwcost.placement.layer_by_layer import LayerByLayer
from hwcost.placement.looked_up import look_up
from hwcost.placement.solve import solve
from hwcost.placement.transfers import Transfers
from hwcost.stage_costs import StageCosts
from tests.hwcost.designs import allocations_of, leaking, with_link
from tests.hwcost.networks.genomes import batch_of, random_genomes, single_workloads
from tests.reference.placement_oracle import non_dominated

OBJECTIVES = ("latency", "energy", "edp")
FIGURES = ("latency_cycles", "energy_pj", "energy_by_level_pj")


@pytest.fixture(scope="module")
def models() -> dict[str, CostModel]:
    return {name: CostModel(load_accelerator(name)) for name in ("edge_tpu_quad", "heterogeneous_quad")}


def check_same(found: StageCosts, expected: StageCosts) -> None:
    for name in FIGURES:
        assert np.allclose(getattr(found, name), getattr(expected, name), rtol=1e-11, atol=0), name


@pytest.mark.parametrize("preset", ["edge_tpu_quad", "heterogeneous_quad"])
@pytest.mark.parametrize("objective", OBJECTIVES)
def test_equals_one_network_at_a_time(models: dict[str, CostModel], preset: str, objective: str) -> None:
    model = models[preset]
    genomes = random_genomes(10, seed=4)
    allocations = allocations_of(model.accelerator, 10)
    whole = model.evaluate(batch_of(genomes), allocations, objective)
    for i, workload in enumerate(single_workloads(genomes)):
        single = model.evaluate(workload, allocations[i : i + 1], objective)
        design = whole.design(i)
        check_same(design, single)
        assert design.weight_memory_bits == single.weight_memory_bits
        assert design.activation_memory_bits == single.activation_memory_bits


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_parts_of_a_batch_are_parts_of_the_result(
    models: dict[str, CostModel], objective: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = models["edge_tpu_quad"]
    batch = batch_of(random_genomes(23, seed=5))
    allocations = allocations_of(model.accelerator, 23)
    whole = model.evaluate(batch, allocations, objective)
    evaluation = import_module("hwcost.evaluate")  # the package has a function of that name
    monkeypatch.setattr(evaluation, "CHUNK_LOOK_UP", 11)
    monkeypatch.setattr(evaluation, "CHUNK_DESIGNS", 4)
    parts = model.evaluate(batch, allocations, objective)
    order = np.random.default_rng(0).permutation(23)
    shuffled = model.evaluate(batch.take(order), allocations[order], objective)
    for name in FIGURES:
        assert np.array_equal(getattr(parts, name), getattr(whole, name))
        assert np.array_equal(getattr(shuffled, name), getattr(whole, name)[order])


def test_a_batch_of_one_serves_all_allocations(models: dict[str, CostModel]) -> None:
    model = models["edge_tpu_quad"]
    genomes = random_genomes(1, seed=6)
    allocations = allocations_of(model.accelerator, 7)
    found = model.evaluate(batch_of(genomes), allocations)
    (workload,) = single_workloads(genomes)
    for i in range(7):
        check_same(found.design(i), model.evaluate(workload, allocations[i : i + 1]))


def test_a_slot_later_never_costs_less(models: dict[str, CostModel]) -> None:
    model = models["heterogeneous_quad"]
    costs = model.evaluate(batch_of(random_genomes(30, seed=7)), allocations_of(model.accelerator, 30))
    assert (np.diff(costs.latency_cycles, axis=1) > 0).all()
    assert (np.diff(costs.energy_by_level_pj, axis=1) >= 0).all()


@pytest.mark.parametrize("leaks", [False, True])
def test_levels_mix_in_one_call(leaks: bool) -> None:
    accelerator = load_accelerator("edge_tpu_quad")
    accelerator = leaking(accelerator) if leaks else accelerator
    levels = np.arange(12) % len(accelerator.levels)
    assert len(accelerator.levels) > 1
    genomes = random_genomes(12, seed=8, bits=(4, 8))
    allocations = allocations_of(accelerator, 12)
    found = CostModel(accelerator).evaluate(batch_of(genomes), allocations, levels=levels)
    for i, workload in enumerate(single_workloads(genomes)):
        chip = accelerator.at_level(int(levels[i]))
        single = CostModel(chip).evaluate(workload, allocations[i : i + 1])
        check_same(found.design(i), single)
        assert found.clock_hz[i] == chip.clock_hz == accelerator.levels[levels[i]].clock_hz
        seconds = single.latency_cycles[0, -1] / chip.clock_hz
        assert found.latency_s[i, -1] == pytest.approx(seconds, rel=1e-12)
        assert found.energy_j[i, -1] == pytest.approx(single.energy_pj[0, -1] * 1e-12, rel=1e-12)


@pytest.mark.parametrize("mode", ["layer_by_layer", "split", "fused"])
@pytest.mark.parametrize("objective", OBJECTIVES)
def test_all_cores_leak_all_the_time(mode: str, objective: str) -> None:
    chip = leaking(load_accelerator("edge_tpu_quad"))
    genomes, allocations = random_genomes(4, seed=9, bits=(8,)), allocations_of(chip, 4)
    costs = CostModel(chip).evaluate(batch_of(genomes), allocations, objective, mode)
    leaked = costs.energy_by_level_pj[:, :, costs.level_names.index("leakage")]
    expected = costs.latency_cycles * chip.leakage_pj_per_cycle(allocations)[:, None]
    assert np.allclose(leaked, expected, rtol=1e-12)
    watts = 4 * 0.02 + chip.n_pes(allocations).sum(axis=1) * 2e-5
    assert np.allclose(leaked[:, -1], watts * costs.latency_s[:, -1] * 1e12, rtol=1e-12)


def test_the_energy_that_is_least_counts_leakage() -> None:
    chip = leaking(load_accelerator("edge_tpu_quad"))
    genomes, allocations = random_genomes(6, seed=10, bits=(8,)), allocations_of(chip, 6)
    found = {o: CostModel(chip).evaluate(batch_of(genomes), allocations, o) for o in ("latency", "energy")}
    # the mapping inside a core is chosen without leakage, so only placements of one mapping compare
    model = CostModel(chip)
    costs = look_up(model._table, batch_of(genomes), "energy")
    problem = LayerByLayer(chip, Transfers(chip), batch_of(genomes), costs, allocations).problem()
    for design in range(6):
        least = min(energy for _, energy in non_dominated(problem, design))
        assert found["energy"].energy_pj[design, -1] == pytest.approx(least, rel=1e-11)


@pytest.mark.parametrize("preset", ["edge_tpu_quad", "heterogeneous_quad", "edge_tpu_quad_dram"])
def test_the_product_is_that_of_the_labels(preset: str) -> None:
    chip = load_accelerator(preset)
    batch, allocations = batch_of(random_genomes(4, seed=11)), allocations_of(chip, 4, seed=3)
    model = CostModel(chip)
    costs = look_up(model._table, batch, "edp")
    problem = LayerByLayer(chip, Transfers(chip), batch, costs, allocations).problem()
    placement = solve(problem, "edp")
    evaluated = model.evaluate(batch, allocations)
    for design in range(4):
        labels = non_dominated(problem, design)
        found = placement.latency_cycles[design].sum() * placement.energy_pj[design].sum()
        assert found == pytest.approx(min(a * b for a, b in labels), rel=1e-11)
        assert found == pytest.approx(
            evaluated.latency_cycles[design, -1] * evaluated.energy_pj[design, -1], rel=1e-11
        )


def test_cores_that_differ_in_links_alone_share_their_costs() -> None:
    chip = load_accelerator("edge_tpu_quad")
    linked = with_link(chip, 0, 3, Link(2 * chip.link.bits_per_cycle, chip.link.pj_per_bit))
    assert len(set(linked.core_groups)) > 1
    rows = batch_of(random_genomes(2, seed=12)).template.cost_rows()
    one, many = LayerCostTable(chip).costs(rows, "edp"), LayerCostTable(linked).costs(rows, "edp")
    for group in set(linked.core_groups):
        assert np.array_equal(many.latency_cycles[:, group], one.latency_cycles[:, 0])
        assert np.array_equal(many.energy_pj[:, group], one.energy_pj[:, 0])


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"mode": "pipelined"}, "mode"),
        ({"weights": "cached"}, "weights"),
        ({"mapping_objective": "area"}, "objective"),
        ({"levels": np.array([0, 99, 0])}, "level"),
        ({"levels": np.array([0, 0])}, "shape"),
        ({"levels": np.array([0.0, 0.0, 0.0])}, "integer"),
    ],
)
def test_refuses_other_ways(models: dict[str, CostModel], change: dict[str, object], word: str) -> None:
    model = models["edge_tpu_quad"]
    batch, allocations = batch_of(random_genomes(3, seed=1)), allocations_of(model.accelerator, 3)
    with pytest.raises(OfframpError, match=word):
        model.evaluate(batch, allocations, **change)  # type: ignore[arg-type]


def test_refuses_another_number_of_allocations(models: dict[str, CostModel]) -> None:
    model = models["edge_tpu_quad"]
    with pytest.raises(OfframpError, match="one allocation per design"):
        model.evaluate(batch_of(random_genomes(3, seed=1)), allocations_of(model.accelerator, 4))
