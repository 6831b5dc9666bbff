"""Resident weights against trying every placement of small chains."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from hwcost.chip.accelerator import Accelerator
from hwcost.chip.accelerator_file import load_accelerator
from hwcost.cost_model import LayerCostTable
from hwcost.evaluate import CostModel
from hwcost.mapping.loops import Operand
from hwcost.mapping.mapper import map_layers
from hwcost.placement.design_costs import design_rows
from hwcost.placement.resident import grant, place_residents
from hwcost.placement.resident_options import ResidentOptions, with_weight_memory_shared
from hwcost.placement.routes import find_routes
from hwcost.placement.split import split_options
from hwcost.placement.weight_memory import weight_bits, weight_room_bits
from hwcost.workload import Layer, Op, Workload
from hwcost.workload_batch import WorkloadBatch
from tests.reference.resident_oracle import OracleCosts, every_placement

SCORES = {
    "latency": lambda latency, energy: latency,
    "energy": lambda latency, energy: energy,
    "edp": lambda latency, energy: latency * energy,
}
KIB = 8192


def two_cores(kib: int) -> Accelerator:
    """Two cores with so much weight memory."""
    accelerator = load_accelerator("edge_tpu_quad")
    cores = []
    for core in accelerator.compute_cores[:2]:
        memories = tuple(
            replace(memory, size_bits=kib * KIB) if memory.name == "weight_sram" else memory
            for memory in core.memories
        )
        cores.append(replace(core, memories=memories))
    return replace(accelerator, compute_cores=tuple(cores))


def random_chain(rng: np.random.Generator, n_layers: int) -> Workload:
    layers, channels = [], int(rng.integers(8, 64))
    for i in range(n_layers):
        k, side = int(rng.integers(16, 160)), int(rng.choice([2, 4, 8]))
        layers.append(Layer(f"l{i}", Op.CONV, k=k, c=channels, ox=side, oy=side, sources=(i - 1,)))
        channels = k
    return Workload.from_layers(layers)


def options_of(
    accelerator: Accelerator, workload: Workload, allocation: list[int], distributed: bool = False
) -> ResidentOptions:
    batch, routes = WorkloadBatch.of(workload), find_routes(accelerator)
    allocations = np.array([allocation])
    table = LayerCostTable(accelerator)
    half = LayerCostTable(with_weight_memory_shared(accelerator, 0.5))
    rows = design_rows(batch)
    return ResidentOptions(
        split_options(table, routes, batch, allocations, "edp", "streamed", distributed),
        split_options(half, routes, batch, allocations, "edp", "streamed", distributed),
        split_options(table, routes, batch, allocations, "edp", "resident", distributed),
        weight_room_bits(accelerator, rows),
        weight_bits(rows),
    )


def oracle_costs(
    accelerator: Accelerator, workload: Workload, allocation: list[int], kib: int
) -> OracleCosts:
    """Costs of cores made here, and of moves by hand: 2048-bit SRAMs behind a 32-bit link without energy."""
    rows = workload.cost_rows()

    def costs(weight_memory_bits: int, from_dram: bool) -> list[list[tuple[float, float]]]:
        table: list[list[tuple[float, float]]] = []
        for i in range(workload.n_layers):
            table.append([])
            for core, array in zip(accelerator.compute_cores, allocation, strict=True):
                memories = [
                    replace(memory, size_bits=weight_memory_bits) if memory.name == "weight_sram" else memory
                    for memory in core.memories
                    if from_dram or memory.level != "dram" or memory.operands != (Operand.W,)
                ]
                variant = replace(core, memories=tuple(memories))
                sizes = np.array([core.catalogue[array].sizes])
                found = map_layers(variant, rows[i : i + 1], sizes, "edp")
                table[-1].append((float(found.latency_cycles[0]), float(found.energy_pj.sum())))
        return table

    moves = []
    for i in range(workload.n_layers):
        bits = int(workload.input_elements[i]) * 8
        if i:
            bits = int(workload.output_elements[i - 1]) * 8
        granules = -(-bits // 64) * 64
        write = granules * 378.4 / 2048
        if i == 0:
            here = -(-bits // 64), granules * 1000 / 64 + write
            moves.append([[here, here]])
        else:
            away = -(-bits // 32), granules * 416.16 / 2048 + write
            moves.append([[(0, 0.0), away], [away, (0, 0.0)]])
    return OracleCosts(
        costs(kib * KIB, True),
        costs(kib * KIB // 2, True),
        costs(kib * KIB, False),
        moves,
        [float(w) * 8 for w in workload.weight_elements],
        [float(kib * KIB)] * 2,
    )


def test_it_is_close_to_the_best_of_all_placements_and_never_below() -> None:
    gaps: list[float] = []
    for seed in range(8):
        rng = np.random.default_rng(seed)
        kib = int(rng.choice([4, 8, 16]))
        accelerator, workload = two_cores(kib), random_chain(rng, 4)
        allocation = [int(a) for a in rng.integers(0, 9, 2)]
        everything = list(every_placement(oracle_costs(accelerator, workload, allocation, kib)))
        options = options_of(accelerator, workload, allocation)
        for objective, score in SCORES.items():
            found = place_residents(options, objective)
            ours = score(found.latency_cycles.sum(), found.energy_pj.sum())
            gaps.append(ours / min(score(*totals) for totals in everything) - 1)
    assert min(gaps) > -1e-9
    # not exact, and not claimed to be
    assert np.mean(gaps) < 0.05
    assert np.mean(np.array(gaps) < 1e-9) > 0.75


def test_residents_fit_what_is_set_aside() -> None:
    workload = random_chain(np.random.default_rng(3), 7)
    for distributed in (False, True):
        options = options_of(two_cores(16), workload, [8, 4], distributed)
        for objective in SCORES:
            found = place_residents(options, objective)
            taken = np.zeros(2)
            for i in np.flatnonzero(found.resident[0]):
                taken += options.needed_bits[0, i, found.option[0, i]]
            assert (taken <= found.shares[0] * 16 * KIB).all()
            assert found.resident.any()


def test_it_is_never_worse_than_streaming() -> None:
    model = CostModel(load_accelerator("edge_tpu_quad"))
    workload, allocations = random_chain(np.random.default_rng(5), 8), np.array([[8, 8, 8, 8], [0, 4, 8, 12]])
    for mode in ("layer_by_layer", "split"):
        for objective, score in SCORES.items():
            streamed = model.evaluate(workload, allocations, objective, mode=mode)
            resident = model.evaluate(workload, allocations, objective, mode=mode, weights="resident")
            ours = score(resident.latency_cycles, resident.energy_pj)
            assert (ours <= score(streamed.latency_cycles, streamed.energy_pj) * (1 + 1e-12)).all()


def test_everything_stays_where_everything_fits() -> None:
    workload = random_chain(np.random.default_rng(1), 4)
    options = options_of(two_cores(1024), workload, [8, 8])
    found = place_residents(options, "energy")
    assert found.resident.all()
    # all that DRAM still does is bring the network's input
    model = CostModel(two_cores(1024))
    costs = model.evaluate(workload, np.array([[8, 8]]), "energy", weights="resident")
    dram = costs.energy_by_level_pj[0, 0, costs.level_names.index("dram")]
    assert dram == pytest.approx(int(workload.input_elements[0]) * 8 * 1000 / 64)


def test_cores_with_registers_alone_stream() -> None:
    model = CostModel(load_accelerator("tpu_quad"))
    workload, allocations = random_chain(np.random.default_rng(2), 4), np.array([[5, 5, 5, 5]])
    streamed = model.evaluate(workload, allocations, "energy")
    resident = model.evaluate(workload, allocations, "energy", weights="resident")
    assert resident.energy_pj == pytest.approx(streamed.energy_pj)


def test_room_goes_to_the_most_gain_per_bit() -> None:
    # one option a layer on one core
    gain = np.array([10.0, 9.0, 8.0, np.inf])[None, :, None]
    takes = np.array([10.0, 3.0, 2.0, 4.0])[None, :, None, None]
    nothing, option = np.zeros((1, 4, 1), dtype=bool), np.zeros((1, 4), dtype=np.int64)

    def granted(room: float, per_bit: bool) -> list[bool]:
        return grant(gain, takes, np.array([[room]]), nothing, option, per_bit)[0, :, 0].tolist()

    # what cannot be streamed first, then 8 / 2, then 9 / 3; the first no longer fits
    assert granted(9, True) == [False, True, True, True]
    assert granted(6, True) == [False, False, True, True]
    assert granted(14, False) == [True, False, False, True]


def test_a_layer_finds_room_on_another_core() -> None:
    gain = np.ones((1, 2, 2))
    takes = np.zeros((1, 2, 2, 2))
    takes[0, :, 0, 0] = takes[0, :, 1, 1] = 5.0
    nothing, option = np.zeros((1, 2, 2), dtype=bool), np.zeros((1, 2), dtype=np.int64)
    found = grant(gain, takes, np.array([[5.0, 5.0]]), nothing, option, per_bit=True)
    assert found[0].tolist() == [[True, False], [False, True]]
