"""Hardware costs of many genomes in one call."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from study.bounds import Bound, Bounds
from study.genome import Genome
from study.metrics import metric_named
from tests.study.bench import bench_context


@pytest.fixture(scope="module")
def context(tmp_path_factory):
    return bench_context(tmp_path_factory.mktemp("study"))


def random_genomes(context, count: int, seed: int = 0) -> list[Genome]:
    rng = np.random.default_rng(seed)
    genes = context.space.genes()
    return [
        context.space.decode({name: int(rng.integers(n)) for name, n in genes.items()}) for _ in range(count)
    ]


def test_many_genomes_cost_what_each_costs_alone(context):
    genomes = random_genomes(context, 25)
    allocations = np.array([genome.allocation for genome in genomes])
    together = context.hardware.stage_costs_of([g.architecture for g in genomes], allocations)
    for i, genome in enumerate(genomes):
        alone = context.hardware.stage_costs(genome.architecture, allocations[i : i + 1])
        design = together.design(i)
        assert design.latency_cycles.shape == alone.latency_cycles.shape
        assert np.allclose(design.latency_cycles, alone.latency_cycles, rtol=1e-11)
        assert np.allclose(design.energy_pj, alone.energy_pj, rtol=1e-11)
        assert design.weight_memory_bits == alone.weight_memory_bits
        assert design.exits.all()


def test_constraints_of_many_genomes(context):
    genomes = random_genomes(context, 25, seed=1)
    allocations = np.array([genome.allocation for genome in genomes])
    together = context.hardware.stage_costs_of([g.architecture for g in genomes], allocations)
    view = context.hardware.view(together, allocations)
    met = context.evaluator.bounds.met_before_training(view)
    assert met.tolist() == [context.evaluator.meets_constraints(genome) for genome in genomes]
    assert met.tolist() == context.evaluator.meet_constraints(genomes)
    assert 0 < met.sum() < 25


def test_a_design_on_a_bound_meets_it_among_others_too(context):
    """Its cost among others differs from that alone in last digits, which must not decide."""
    genomes = random_genomes(context, 12, seed=2)
    evaluator = context.evaluator
    for genome in genomes:
        limit = float(context.hardware.cost_of(genome).worst_latency_cycles[0])
        seconds = limit / context.hardware.static.clock_hz
        metric = metric_named("worst_latency")
        for value, met in ((seconds, True), (seconds * (1 - 2e-12), False)):
            strict = replace(evaluator, bounds=Bounds((Bound(metric, value),)))
            assert strict.meets_constraints(genome) is met
            assert strict.meet_constraints([genome, *genomes])[0] is met


def test_costs_of_many_designs_are_those_of_each_alone(tmp_path, monkeypatch):
    context = bench_context(tmp_path, space={"levels": "all"})
    rng = np.random.default_rng(3)
    drawn = [context.space.decode(context.space.random(rng)) for _ in range(6)]
    # networks in common, designs in common, and one design with another policy
    genomes = [*drawn, replace(drawn[0], allocation=drawn[1].allocation), drawn[2]]
    genomes.append(replace(drawn[3], policy_target=1.0))
    hardware = context.hardware
    together = hardware.costs_of(genomes)
    for genome, found in zip(genomes, together, strict=True):
        alone = hardware.stage_costs(
            genome.architecture, np.array([genome.allocation]), np.array([genome.level])
        )
        np.testing.assert_array_equal(found.latency_cycles, alone.latency_cycles)
        np.testing.assert_array_equal(found.energy_pj, alone.energy_pj)
        assert found.weight_memory_bits == alone.weight_memory_bits
        assert found.clock_hz == alone.clock_hz
        assert hardware.cost_of(genome) is hardware.cost_of(genome)
    monkeypatch.setattr("study.hardware.MOST_KNOWN", 4)
    hardware.cost_of(replace(drawn[0], allocation=drawn[5].allocation))
    assert len(hardware._known) == 4
    again = hardware.costs_of(genomes)
    for found, before in zip(again, together, strict=True):
        np.testing.assert_array_equal(found.energy_pj, before.energy_pj)
