"""All ways of sharing cores: batches of networks equal one network at a time, and breakdowns add up."""

from __future__ import annotations

import numpy as np
import pytest

from hwcost.chip.accelerator_file import load_accelerator
from hwcost.evaluate import CostModel
from hwcost.networks import EarlyExitGenomes
from hwcost.placement.routes import LEVEL_NAMES
from tests.hwcost.designs import allocations_of, leaking
from tests.hwcost.networks.genomes import batch_of, random_genomes, single_workloads

WAYS = [
    (mode, weights)
    for mode in ("layer_by_layer", "split", "fused")
    for weights in ("streamed", "resident")
    if (mode, weights) != ("layer_by_layer", "streamed")
]


@pytest.fixture(scope="module")
def models() -> dict[str, CostModel]:
    chips = {"leaking": leaking(load_accelerator("edge_tpu_quad"))}
    chips["heterogeneous"] = load_accelerator("heterogeneous_quad")
    return {name: CostModel(chip) for name, chip in chips.items()}


def designs(model: CostModel, n: int, seed: int) -> tuple[EarlyExitGenomes, np.ndarray]:
    """Networks at 8 bit; equal cores in the order in which evaluation takes them."""
    allocations = allocations_of(model.accelerator, n, seed=seed)
    if len(set(model.accelerator.core_groups)) == 1:
        allocations = np.sort(allocations, axis=1)
    return random_genomes(n, seed=seed, bits=(8,)), allocations


@pytest.mark.parametrize("preset", ["leaking", "heterogeneous"])
@pytest.mark.parametrize(("mode", "weights"), WAYS)
def test_a_batch_of_networks_is_one_network_at_a_time(
    models: dict[str, CostModel], preset: str, mode: str, weights: str
) -> None:
    model = models[preset]
    genomes, allocations = designs(model, 2, seed=21)
    together = model.evaluate(batch_of(genomes), allocations, "edp", mode, weights)
    for i, workload in enumerate(single_workloads(genomes)):
        alone = model.evaluate(workload, allocations[i : i + 1], "edp", mode, weights)
        of_batch = together.design(i)
        # the search for residents takes the first of equal cores: sums with and without layers that are not run
        # differ in their last digits, and may end it elsewhere
        product = alone.latency_cycles[0, -1] * alone.energy_pj[0, -1]
        within = 1e-9 if weights == "streamed" else 0.02
        assert of_batch.latency_cycles[0, -1] * of_batch.energy_pj[0, -1] == pytest.approx(
            product, rel=within
        )
        if weights == "streamed":
            assert of_batch.latency_cycles == pytest.approx(alone.latency_cycles, rel=1e-9)
            assert of_batch.energy_by_level_pj == pytest.approx(alone.energy_by_level_pj, rel=1e-9)


@pytest.mark.parametrize(("mode", "weights"), WAYS)
def test_a_later_exit_never_costs_less_and_breakdowns_add_up(
    models: dict[str, CostModel], mode: str, weights: str
) -> None:
    model = models["leaking"]
    genomes, allocations = designs(model, 2, seed=21)
    costs = model.evaluate(batch_of(genomes), allocations, "edp", mode, weights)
    assert (np.diff(costs.latency_cycles, axis=1) >= 0).all()
    assert (np.diff(costs.energy_pj, axis=1) >= 0).all()
    schedule = model.schedule(batch_of(genomes), allocations, "edp", mode, weights)
    assert schedule.latency_cycles.sum(axis=1) == pytest.approx(costs.latency_cycles[:, -1])
    assert schedule.energy_pj.sum(axis=(1, 2)) == pytest.approx(costs.energy_pj[:, -1])
    leaked = schedule.energy_pj[:, :, LEVEL_NAMES.index("leakage")].sum(axis=1)
    per_cycle = model.accelerator.leakage_pj_per_cycle(allocations)
    assert leaked == pytest.approx(costs.latency_cycles[:, -1] * per_cycle)
    assert schedule.operand_energy_pj is not None
    memories = [LEVEL_NAMES.index(level) for level in ("register", "sram", "dram")]
    in_memories = schedule.energy_pj[:, :, memories].sum(axis=2)
    # moves between cores go through memories too and are of no operand
    assert (schedule.operand_energy_pj.sum(axis=2) <= in_memories * (1 + 1e-9) + 1e-6).all()


@pytest.mark.parametrize("objective", ["latency", "energy", "edp"])
def test_more_ways_are_never_worse(models: dict[str, CostModel], objective: str) -> None:
    model = models["heterogeneous"]
    genomes, allocations = designs(model, 2, seed=21)

    def score(mode: str, weights: str) -> np.ndarray:
        costs = model.evaluate(batch_of(genomes), allocations, objective, mode, weights)
        latency, energy = costs.latency_cycles[:, -1], costs.energy_pj[:, -1]
        return np.asarray({"latency": latency, "energy": energy, "edp": latency * energy}[objective])

    plain = score("layer_by_layer", "streamed") * (1 + 1e-9)
    for mode in ("layer_by_layer", "split", "fused"):
        streamed = score(mode, "streamed")
        assert (streamed <= plain).all()
        assert (score(mode, "resident") <= streamed * (1 + 1e-9)).all()
