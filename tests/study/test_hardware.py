"""Hardware costs of many genomes in one call."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from study.genome import Genome
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
