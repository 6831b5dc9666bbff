"""What must hold between the costs of chips and networks that differ in one thing."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest

from hwcost import CostModel, load_accelerator
from hwcost.chip.accelerator import Accelerator
from hwcost.chip.accelerator_file import accelerator_names
from hwcost.chip.link import Link
from hwcost.chip.memory import Memory
from hwcost.networks.early_exit_batch import EarlyExitGenomes
from tests.hwcost.designs import allocations_of, leaking, score, with_link
from tests.hwcost.networks.genomes import batch_of, random_genomes

OBJECTIVES = ("latency", "energy", "edp")


@pytest.mark.parametrize("preset", ["edge_tpu_quad", "heterogeneous_quad"])
@pytest.mark.parametrize("objective", OBJECTIVES)
def test_a_wider_link_never_costs_more(preset: str, objective: str) -> None:
    chip = load_accelerator(preset)
    width, energy = chip.link.bits_per_cycle, chip.link.pj_per_bit
    one = with_link(chip, 0, 3, Link(2 * width, energy))
    two = with_link(one, 1, 2, Link(4 * width, energy))
    batch, allocations = batch_of(random_genomes(8, seed=13)), allocations_of(chip, 8)
    costs = [CostModel(c).evaluate(batch, allocations, objective) for c in (chip, one, two)]
    for narrower, wider in itertools.pairwise(costs):
        assert (score(wider, objective) <= score(narrower, objective) * (1 + 1e-12)).all()


def widened(memory: Memory) -> Memory:
    """Twice the width at equal energy per bit."""
    return replace(
        memory,
        read_bits_per_cycle=2 * memory.read_bits_per_cycle,
        write_bits_per_cycle=2 * memory.write_bits_per_cycle,
        read_pj=2 * memory.read_pj,
        write_pj=2 * memory.write_pj,
    )


def with_wider(chip: Accelerator, name: str) -> Accelerator:
    """Every memory of a name, in all cores, with ports of twice the width."""

    def change(memory: Memory) -> Memory:
        return widened(memory) if memory.name == name else memory

    return replace(
        chip,
        compute_cores=tuple(
            replace(core, memories=tuple(change(m) for m in core.memories)) for core in chip.compute_cores
        ),
        vector_cores=tuple(replace(core, memory=change(core.memory)) for core in chip.vector_cores),
        dram=change(chip.dram),
    )


def memory_names(chip: Accelerator) -> list[str]:
    names = {m.name for core in chip.compute_cores for m in core.memories if m.level != "register"}
    return sorted(names | {core.memory.name for core in chip.vector_cores} | {chip.dram.name})


@pytest.mark.parametrize("preset", ["edge_tpu_quad", "edge_tpu_quad_dram", "heterogeneous_quad", "tpu_quad"])
@pytest.mark.parametrize("objective", OBJECTIVES)
def test_wider_ports_never_cost_more(preset: str, objective: str) -> None:
    chip = load_accelerator(preset)
    batch, allocations = batch_of(random_genomes(5, seed=15)), allocations_of(chip, 5, seed=15)
    before = score(CostModel(chip).evaluate(batch, allocations, objective), objective)
    for name in memory_names(chip):
        wider = CostModel(with_wider(chip, name)).evaluate(batch, allocations, objective)
        assert (score(wider, objective) <= before * (1 + 1e-12)).all(), name


@pytest.mark.parametrize("preset", ["edge_tpu_quad", "heterogeneous_quad"])
def test_scaling_all_energies_scales_the_result(preset: str) -> None:
    chip = leaking(load_accelerator(preset))

    def scaled(memory: Memory) -> Memory:
        return replace(memory, read_pj=3 * memory.read_pj, write_pj=3 * memory.write_pj)

    dearer = replace(
        chip,
        compute_cores=tuple(
            replace(
                core,
                mac_energy_pj=3 * core.mac_energy_pj,
                memories=tuple(scaled(m) for m in core.memories),
                leakage_w=3 * core.leakage_w,
                leakage_w_per_pe=3 * core.leakage_w_per_pe,
            )
            for core in chip.compute_cores
        ),
        vector_cores=tuple(
            replace(
                core,
                operation_energy_pj=3 * core.operation_energy_pj,
                memory=scaled(core.memory),
                leakage_w=3 * core.leakage_w,
            )
            for core in chip.vector_cores
        ),
        dram=scaled(chip.dram),
        link=replace(chip.link, pj_per_bit=3 * chip.link.pj_per_bit),
        links_between=tuple(
            replace(b, link=replace(b.link, pj_per_bit=3 * b.link.pj_per_bit)) for b in chip.links_between
        ),
    )
    batch, allocations = batch_of(random_genomes(6, seed=16)), allocations_of(chip, 6)
    before, after = (CostModel(c).evaluate(batch, allocations) for c in (chip, dearer))
    assert np.allclose(after.energy_by_level_pj, 3 * before.energy_by_level_pj, rtol=1e-9)
    assert np.array_equal(after.latency_cycles, before.latency_cycles)


GENES = ("weight_bits", "activation_bits", "head_weight_bits", "head_activation_bits")


@pytest.mark.parametrize("preset", accelerator_names())
@pytest.mark.parametrize("objective", OBJECTIVES)
def test_fewer_bits_never_cost_more(preset: str, objective: str) -> None:
    chip = load_accelerator(preset)
    model = CostModel(chip)
    genomes = random_genomes(12, seed=14, bits=(3, 4, 6, 8))
    rng = np.random.default_rng(14)
    lowered = {
        name: np.where(rng.random(getattr(genomes, name).shape) < 0.3, 3, getattr(genomes, name))
        for name in GENES
    }
    fewer: EarlyExitGenomes = replace(genomes, **lowered)
    allocations = np.resize(allocations_of(chip, 12, seed=14), (12, chip.n_compute_cores))
    more = score(model.evaluate(batch_of(genomes), allocations, objective), objective)
    less = score(model.evaluate(batch_of(fewer), allocations, objective), objective)
    assert (less <= more * (1 + 1e-12)).all()
