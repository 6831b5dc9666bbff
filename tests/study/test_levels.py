"""Voltage and frequency levels: the gene, its costs, and designs derived over the full product."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from hwcost.chip.accelerator_file import load_accelerator
from hwcost.errors import OfframpError
from hwcost.evaluate import CostModel
from study.genome import Genome
from study.levels import LevelSpace, level_texts
from study.reference import choose_reference
from tests.study.bench import bench_context, predictions
from tests.study.chips import chip_with_areas

QUAD = load_accelerator("edge_tpu_quad")  # low, nominal, high: 350, 500, 600 MHz
LOW, NOMINAL, HIGH = range(3)


def random_genomes(context, count: int, seed: int = 0) -> list[Genome]:
    rng = np.random.default_rng(seed)
    return [context.space.decode(context.space.random(rng)) for _ in range(count)]


@pytest.fixture(scope="module")
def context(tmp_path_factory):
    return bench_context(tmp_path_factory.mktemp("levels"), space={"levels": "all"})


@pytest.mark.parametrize(
    ("asked", "offered", "default", "differ"),
    [
        ("nominal", (NOMINAL,), NOMINAL, False),
        ("all", (LOW, NOMINAL, HIGH), NOMINAL, True),
        (("high", "low"), (LOW, HIGH), LOW, True),
        (("nominal",), (NOMINAL,), NOMINAL, False),
        (("low",), (LOW,), LOW, True),
    ],
)
def test_what_a_configuration_asks_for(asked, offered, default, differ):
    levels = LevelSpace.of(asked, QUAD)
    assert (levels.offered, levels.default, levels.clocks_differ) == (offered, default, differ)


def test_a_chip_with_one_level_has_one_choice():
    single = load_accelerator("tpu_quad")
    for asked in ("nominal", "all"):
        assert LevelSpace.of(asked, single) == LevelSpace((0,), 0)
        assert not LevelSpace.of(asked, single).clocks_differ


def test_an_unknown_level_is_refused_beside_the_known_ones():
    with pytest.raises(OfframpError, match=r"space\.levels: expected a level of low, nominal, high.*'turbo'"):
        LevelSpace.of(("low", "turbo"), QUAD)


def test_choices_are_named_with_voltage_and_clock():
    texts = level_texts(LevelSpace.of("all", QUAD), QUAD)
    assert texts == ["low (0.65 V, 350 MHz)", "nominal (0.8 V, 500 MHz)", "high (0.95 V, 600 MHz)"]


def test_the_gene_is_always_there(tmp_path, context):
    pinned = bench_context(tmp_path, space={"levels": ["high"]})
    assert (pinned.space.genes()["level"], context.space.genes()["level"]) == (1, 3)
    assert {genome.level for genome in random_genomes(pinned, 10)} == {HIGH}
    assert {genome.level for genome in random_genomes(context, 40)} == {LOW, NOMINAL, HIGH}
    one = random_genomes(context, 1)[0]
    assert len({replace(one, level=level).key() for level in range(3)}) == 3


@pytest.mark.parametrize("level", range(3))
def test_costs_are_those_of_the_chip_at_that_level(context, level):
    """In seconds and joules; cycles are the nominal clock's."""
    genome = replace(random_genomes(context, 1, seed=level)[0], level=level)
    found = context.hardware.cost_of(genome)
    chip = CostModel(QUAD.at_level(level))
    alone = chip.evaluate(
        context.hardware.workload(genome.architecture), np.array([genome.allocation]), "edp"
    )
    assert found.latency_s == pytest.approx(alone.latency_s)
    assert found.energy_j == pytest.approx(alone.energy_j)
    assert found.clock_hz.tolist() == [5e8]
    if level == NOMINAL:
        assert (found.latency_cycles == alone.latency_cycles).all()
    report = context.hardware.layer_report(genome)
    assert report.latency_cycles.sum() == pytest.approx(found.latency_cycles[0, -1])
    assert report.energy_pj.sum() == pytest.approx(found.energy_pj[0, -1])


def test_many_genomes_at_levels_of_their_own(context):
    genomes = random_genomes(context, 12)
    together = context.hardware.stage_costs_of(
        [g.architecture for g in genomes],
        np.array([g.allocation for g in genomes]),
        np.array([g.level for g in genomes]),
    )
    for i, genome in enumerate(genomes):
        alone = context.hardware.cost_of(genome)
        np.testing.assert_allclose(together.design(i).latency_cycles, alone.latency_cycles, rtol=1e-11)
        np.testing.assert_allclose(together.design(i).energy_pj, alone.energy_pj, rtol=1e-11)


def test_a_higher_level_is_faster_and_costs_more(context):
    for genome in random_genomes(context, 5, seed=3):
        low, nominal, high = (context.hardware.cost_of(replace(genome, level=level)) for level in range(3))
        assert (low.latency_s > nominal.latency_s).all()
        assert (nominal.latency_s > high.latency_s).all()
        assert (low.energy_j < nominal.energy_j).all()
        assert (nominal.energy_j < high.energy_j).all()


def feasible(context, early: int) -> Genome:
    return next(
        genome
        for genome in random_genomes(context, 600, seed=7)
        if len(genome.architecture.exits) == early and context.evaluator.check.one(genome)
    )


def test_the_array_call_gives_what_a_loop_over_designs_gives(tmp_path):
    """Every allocation, level and target: nothing is left out that is not dominated, and each value is the same."""
    changes = {
        "space": {"levels": "all", "policy_targets": [0.0, 0.02]},
        "search": {"objectives": ["error", "mean_energy", "area"]},
        "hardware": {"accelerator": str(chip_with_areas(tmp_path))},
        "constraints": {"worst_latency": 1.3, "mean_energy": "7.5 uJ", "area": 1.2},
    }
    context = bench_context(tmp_path, **changes)
    architecture = feasible(context, 2).architecture
    derived = context.evaluator.derive(architecture, predictions(architecture))
    by_key = {record.genome.key(): record for record in derived}
    assert len(by_key) == len(derived)
    allocations, levels = context.space.placements()
    assert len(allocations) == 3 * len(context.space.allocations.all())
    kept = {(r.genome.allocation, r.genome.level) for r in derived}
    assert {level for _, level in kept} == {LOW, NOMINAL, HIGH}
    assert {record.feasible for record in derived} == {
        True,
        False,
    }  # the bound on the mean is checked after training
    rng = np.random.default_rng(0)
    for place in [sorted(kept)[row] for row in rng.integers(len(kept), size=5)]:
        for target in (0.0, 0.02):
            genome = context.space.canonical(Genome(architecture, place[0], target, place[1]))
            alone = context.evaluator.evaluate(genome)
            assert replace(alone, seconds=0, source="derived", training_samples=0) == replace(
                by_key[genome.key()], seconds=0
            )
    costs = [_cost(context, architecture, *place) for place in kept]
    dominated = 0
    for row in rng.integers(len(levels), size=60):
        place = tuple(int(i) for i in allocations[row]), int(levels[row])
        genome = context.space.canonical(Genome(architecture, place[0], 0.0, place[1]))
        if place not in kept and context.evaluator.check.one(genome):
            assert any((cost <= _cost(context, architecture, *place)).all() for cost in costs)
            dominated += 1
    assert dominated > 5


def _cost(context, architecture, allocation, level) -> np.ndarray:
    costs = context.hardware.cost_of(Genome(architecture, allocation, 0.0, level))
    area = context.hardware.accelerator.area_mm2(np.array([allocation]))
    return np.concatenate([costs.latency_s[0], costs.energy_j[0], area])


def test_the_reference_is_at_the_nominal_level_and_the_best_static_design_at_any(context):
    static = context.hardware.static_architecture
    jointly = {head: predictions(static) for head in ("fc", "fc_hidden", "gap")}
    reference = choose_reference(predictions(static), jointly, context.evaluator)
    assert reference.record.genome.level == NOMINAL
    nominal_only = [
        r for r in context.evaluator.derive(static, predictions(static)) if r.genome.level == NOMINAL
    ]
    assert reference.best_static.mean_edp_joule_seconds <= min(r.mean_edp_joule_seconds for r in nominal_only)
    pinned = replace(context.space, levels=LevelSpace((HIGH,), NOMINAL))
    elsewhere = replace(context, evaluator=replace(context.evaluator, space=pinned))
    assert choose_reference(predictions(static), jointly, elsewhere.evaluator).record == reference.record


def test_a_bound_that_only_a_fast_clock_meets(tmp_path, context):
    default = context.space.allocations.canonical(context.space.allocations.default)
    static = Genome(context.hardware.static_architecture, default, 0.0, NOMINAL)
    designs = [replace(static, level=level) for level in range(3)]
    low, nominal, high = (context.hardware.cost_of(design).latency_s[0, -1] for design in designs)
    bound = {"worst_latency": f"{1e6 * (nominal + high) / 2} us"}
    strict = bench_context(tmp_path, space={"levels": "all"}, constraints=bound)
    assert [strict.evaluator.check.one(design) for design in designs] == [False, False, True]
    assert low > nominal
