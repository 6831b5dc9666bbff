"""Assignments of fused schedules: against all of them on small cases, and against layer by layer."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest

from hwcost.chip.accelerator_file import load_accelerator
from hwcost.cost_model import LayerCostTable
from hwcost.evaluate import CostModel
from hwcost.mapping.loops import Operand
from hwcost.mapping.mapper import map_layers
from hwcost.networks import early_exit_workload, load_backbone, uniform_precision
from hwcost.placement.fused import fused_plans, schedule_fused
from hwcost.placement.fused_plan import FusedPlan, fused_plan
from hwcost.placement.fused_schedule import run_fused
from hwcost.placement.routes import find_routes
from hwcost.workload import Layer, Op, Workload
from hwcost.workload_batch import WorkloadBatch
from tests.hwcost.placement.fused_cases import random_network, random_plan

SCORES = {
    "latency": lambda latency, energy: latency,
    "energy": lambda latency, energy: energy,
    "edp": lambda latency, energy: latency * energy,
}


def paper(exits: tuple[int, ...] = (0, 4)) -> Workload:
    spec = load_backbone("paper")
    precision = uniform_precision(spec.n_blocks)
    return early_exit_workload(spec, exits, ("fc",) * (len(exits) + 1), precision, 32, 10)


def every_score(plan: FusedPlan, objective: str) -> np.ndarray:
    """Scores of all assignments of the only design of a plan."""
    options = np.array(list(itertools.product(*(range(len(places)) for places in plan.places))))
    latency = run_fused(plan, np.zeros(len(options), dtype=np.int64), options).end[:, -1]
    energy = np.zeros(len(options))
    for i in range(plan.workload.n_layers):
        energy += plan.energy_pj[0, i, options[:, i]].sum(axis=1)
        for move in plan.moves(i):
            origin = options[:, move.source] if move.source >= 0 else 0
            energy += move.energy_pj[0, origin, options[:, i]]
    return np.asarray(SCORES[objective](latency, energy))


@pytest.mark.parametrize("objective", ["latency", "edp"])
def test_the_search_is_close_to_the_best_of_all_assignments(objective: str) -> None:
    gaps = []
    for seed in range(12):
        rng = np.random.default_rng(seed)
        plan = random_plan(rng, random_network(rng, 6), 1, 2)
        found = schedule_fused([plan], objective)
        ours = SCORES[objective](found.latency_cycles.sum(), found.energy_pj.sum())
        gaps.append(ours / every_score(plan, objective).min() - 1)
    assert min(gaps) > -1e-9
    # a local search: not exact, and not claimed to be
    assert np.mean(gaps) < 0.02
    assert max(gaps) < 0.15


def test_energy_is_exact() -> None:
    for seed in range(5):
        rng = np.random.default_rng(seed)
        plan = random_plan(rng, random_network(rng, 6), 1, 2)
        found = schedule_fused([plan], "energy")
        assert found.energy_pj.sum() == pytest.approx(every_score(plan, "energy").min())


@pytest.mark.parametrize("objective", sorted(SCORES))
@pytest.mark.parametrize("preset", ["edge_tpu_quad", "edge_tpu_quad_dram", "tpu_quad"])
def test_it_is_never_worse_than_layer_by_layer(preset: str, objective: str) -> None:
    accelerator = load_accelerator(preset)
    model = CostModel(accelerator)
    allocations = np.array([accelerator.default_allocation, (0, 1, 2, 3)])
    one = model.evaluate(paper(), allocations, objective)
    fused = model.evaluate(paper(), allocations, objective, mode="fused")
    score = SCORES[objective]
    ours = score(fused.latency_cycles[:, -1], fused.energy_pj[:, -1])
    assert (ours <= score(one.latency_cycles[:, -1], one.energy_pj[:, -1]) * (1 + 1e-9)).all()


def test_cores_work_at_the_same_time() -> None:
    # two layers of equal work on wide links: together little longer than one
    accelerator = load_accelerator("edge_tpu_quad")
    accelerator = replace(accelerator, link=replace(accelerator.link, bits_per_cycle=2048))
    conv = {"k": 64, "c": 64, "ox": 64, "oy": 64, "fx": 3, "fy": 3}
    layers = [Layer(f"l{i}", Op.CONV, **conv, sources=(i - 1,)) for i in range(2)]
    layers = [replace(layer, weight_bits=4, input_bits=4, output_bits=4) for layer in layers]
    model = CostModel(accelerator)
    allocation = np.array([accelerator.default_allocation])
    one, two = (
        model.evaluate(Workload.from_layers(layers[:n]), allocation, "latency", mode="fused").latency_cycles[
            0, 0
        ]
        for n in (1, 2)
    )
    assert two < 1.35 * one


def test_a_segment_waits_for_the_decision_before_it() -> None:
    model = CostModel(load_accelerator("edge_tpu_quad"))
    allocation = np.array([model.accelerator.default_allocation])
    with_exit = model.evaluate(paper((4,)), allocation, "latency", mode="fused")
    # the first exit's latency is that of the network that ends there, were it searched by itself: not less
    workload = paper((4,))
    last = int(np.flatnonzero(workload.segment == 0)[-1]) + 1
    columns = {
        name: getattr(workload, name)[:last] for name in Workload.__dataclass_fields__ if name != "names"
    }
    first = Workload(names=workload.names[:last], **columns)
    alone = model.evaluate(first, allocation, "latency", mode="fused").latency_cycles[0, 0]
    assert with_exit.latency_cycles[0, 0] >= 0.999 * alone


def test_a_plan_holds_the_costs_of_its_tiles() -> None:
    accelerator = load_accelerator("edge_tpu_quad")
    core = accelerator.compute_cores[0]
    workload = Workload.from_layers([Layer("conv", Op.CONV, k=16, c=16, ox=10, oy=10, fx=3, fy=3)])
    batch, table = WorkloadBatch.of(workload), LayerCostTable(accelerator)
    allocation = np.array([accelerator.default_allocation])
    plan = fused_plan(table, find_routes(accelerator), batch, allocation, "edp", 4)
    memories = tuple(m for m in core.memories if m.operands != (Operand.W,) or m.level != "dram")
    tile = replace(core, memories=memories)
    # tiles of 4, 4 and 2 rows under windows of 6 and 4 rows
    rows = np.repeat(workload.cost_rows(), 2, axis=0)
    rows[:, 6], rows[:, 11] = (4, 2), (6, 4)
    sizes = np.array([core.default_array.sizes] * 2)
    found = map_layers(tile, rows, sizes, "edp")
    assert plan.latency_cycles[0, 0, 0] == found.latency_cycles[0]
    assert plan.last_latency_cycles[0, 0, 0] == found.latency_cycles[1]
    # 16 x 16 x 9 weights of 8 bit once from DRAM, 1000 pJ per 64 bit, into the SRAM at 52.01 pJ per 512
    weights = 16 * 16 * 9 * 8
    assert plan.load_cycles[0, 0, 0] == weights / 64
    load = weights / 64 * 1000 + weights / 512 * 52.01
    tiles = 2 * found.energy_pj[0].sum() + found.energy_pj[1].sum()
    assert plan.energy_pj[0, 0, 0].sum() == pytest.approx(tiles + load)
    assert plan.operand_energy_pj[0, 0, 0].sum() < plan.energy_pj[0, 0, 0].sum()


def test_weights_that_do_not_fit_are_streamed() -> None:
    accelerator = load_accelerator("edge_tpu_quad")
    # 32 KiB hold 64 x 512 weights of 8 bit and not one more row
    layers = [
        Layer("fits", Op.LINEAR, k=64, c=512),
        Layer("does_not", Op.LINEAR, k=64, c=513),
    ]
    plans = fused_plans(
        LayerCostTable(accelerator),
        find_routes(accelerator),
        WorkloadBatch.of(Workload.from_layers(layers)),
        np.array([accelerator.default_allocation]),
        "edp",
    )
    assert not plans[0].held.any()
    assert plans[-1].held[0, 0].all()
    assert not plans[-1].held[0, 1].any()


def test_batches_are_what_their_designs_are_alone() -> None:
    accelerator = load_accelerator("edge_tpu_quad")
    model = CostModel(accelerator)
    allocations = np.array([[8, 8, 8, 8], [1, 4, 8, 8], [0, 0, 12, 8]])
    together = model.evaluate(paper(), allocations, "edp", mode="fused")
    for i in range(3):
        alone = model.evaluate(paper(), allocations[i : i + 1], "edp", mode="fused")
        assert alone.latency_cycles[0] == pytest.approx(together.latency_cycles[i])
        assert alone.energy_pj[0] == pytest.approx(together.energy_pj[i])


def test_weights_that_stay_save_their_loads_and_never_cost() -> None:
    accelerator = load_accelerator("edge_tpu_quad")
    model = CostModel(accelerator)
    allocation = np.array([accelerator.default_allocation])
    for objective, score in SCORES.items():
        streamed = model.evaluate(paper(), allocation, objective, mode="fused")
        resident = model.evaluate(paper(), allocation, objective, mode="fused", weights="resident")
        ours = score(resident.latency_cycles[0, -1], resident.energy_pj[0, -1])
        assert ours <= score(streamed.latency_cycles[0, -1], streamed.energy_pj[0, -1]) * (1 + 1e-9)
    # one layer that fits half of the memory: all DRAM still does is bring the input
    layer = Workload.from_layers([Layer("conv", Op.CONV, k=32, c=32, ox=8, oy=8)])
    costs = model.evaluate(layer, allocation, "energy", mode="fused", weights="resident")
    dram = costs.energy_by_level_pj[0, 0, costs.level_names.index("dram")]
    assert dram == pytest.approx(32 * 64 * 8 * 1000 / 64)
    schedule = model.schedule(layer, allocation, "energy", mode="fused", weights="resident")
    assert schedule.operand_energy_pj is not None
    assert (schedule.operand_energy_pj >= 0).all()


def chain(channels: list[int], side: int, weight_bits: list[int]) -> list[Layer]:
    """1x1 convolutions one behind the other."""
    pairs = zip(itertools.pairwise(channels), weight_bits, strict=True)
    return [
        Layer(
            f"c{i}",
            Op.CONV,
            k=k,
            c=c,
            g=1,
            ox=side,
            oy=side,
            fx=1,
            fy=1,
            stride=1,
            weight_bits=bits,
            sources=(i - 1,),
        )
        for i, ((c, k), bits) in enumerate(pairs)
    ]


@pytest.mark.parametrize("objective", list(SCORES))
def test_a_core_that_cannot_run_a_layer_does_not_win(objective: str) -> None:
    """16-bit weights fit the registers of one core alone; the others are infinitely slow there."""
    accelerator = load_accelerator("heterogeneous_quad")
    model, workload = CostModel(accelerator), Workload.from_layers(chain([64, 64, 64], 32, [16, 8]))
    default = np.array([accelerator.default_allocation])
    plain = model.evaluate(workload, default, objective)
    fused = model.evaluate(workload, default, objective, "fused")
    scores = [SCORES[objective](c.latency_cycles[0, -1], c.energy_pj[0, -1]) for c in (fused, plain)]
    assert np.isfinite(scores).all()
    assert scores[0] <= scores[1] * (1 + 1e-9)


def test_tiles_run_where_the_whole_map_fits() -> None:
    accelerator = load_accelerator("heterogeneous_quad")
    number = [core.name for core in accelerator.compute_cores].index("depthwise")
    small = accelerator.compute_cores[number]
    memories = tuple(
        replace(m, size_bits=64 * 8192) if m.level == "sram" and Operand.I in m.operands else m
        for m in small.memories
    )
    cores = [*accelerator.compute_cores]
    cores[number] = replace(small, memories=memories)
    accelerator = replace(accelerator, compute_cores=tuple(cores))
    layer = Layer("d", Op.CONV, k=1, c=1, g=64, ox=64, oy=64, fx=3, fy=3, stride=1, sources=(-1,))
    default = np.array([accelerator.default_allocation])
    batch = WorkloadBatch.of(Workload.from_layers([layer]))
    table = LayerCostTable(accelerator)
    plan = fused_plan(table, find_routes(accelerator), batch, default, "latency", tile_rows=4)
    assert not plan.held[0, 0, number]
    fits = replace(layer, ox=16, oy=16)
    batch = WorkloadBatch.of(Workload.from_layers([fits]))
    plan = fused_plan(table, find_routes(accelerator), batch, default, "latency", tile_rows=4)
    assert plan.held[0, 0, number]


def test_what_stays_on_the_chip_does_not_depend_on_other_designs() -> None:
    accelerator = load_accelerator("edge_tpu_like")
    model = CostModel(accelerator)
    bits = [[8, 2, 4, 2, 8, 2], [2, 8, 2, 4, 2, 8], [8] * 6]
    channels = [128, 128, 112, 96, 80, 64, 48]
    workloads = [Workload.from_layers(chain(channels, 8, row)) for row in bits]
    one = WorkloadBatch.of(workloads[2])  # the widest
    columns = {
        name: np.stack([getattr(w, name) for w in workloads]).astype(np.uint8)
        for name in ("weight_bits", "input_bits", "output_bits")
    }
    batch = replace(
        one, exits=np.repeat(one.exits, 3, axis=0), active=np.repeat(one.active, 3, axis=0), **columns
    )
    allocations = np.repeat([accelerator.default_allocation], 3, axis=0)
    together = model.evaluate(batch, allocations, "edp", "fused", "resident")
    for i, workload in enumerate(workloads):
        alone = model.evaluate(workload, allocations[:1], "edp", "fused", "resident")
        assert together.latency_cycles[i] == pytest.approx(alone.latency_cycles[0], rel=1e-12)
        assert together.energy_pj[i] == pytest.approx(alone.energy_pj[0], rel=1e-12)
