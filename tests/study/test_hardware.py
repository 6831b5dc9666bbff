"""Hardware costs of many genomes in one call."""

from __future__ import annotations

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


def test_constraints_of_many_genomes(context):
    genomes = random_genomes(context, 25, seed=1)
    allocations = np.array([genome.allocation for genome in genomes])
    together = context.hardware.stage_costs_of([g.architecture for g in genomes], allocations)
    view = context.hardware.view(together, allocations)
    met = context.evaluator.bounds.met_before_training(view)
    assert met.tolist() == [context.evaluator.meets_constraints(genome) for genome in genomes]
    assert 0 < met.sum() < 25
