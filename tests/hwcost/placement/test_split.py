"""Layers split over cores against plain Python: every channel's owner, every assignment of a small network."""

from __future__ import annotations

import functools
import itertools
from dataclasses import replace

import numpy as np
import pytest

from hwcost.chip.accelerator import Accelerator
from hwcost.chip.accelerator_file import load_accelerator
from hwcost.chip.core import PeArray
from hwcost.cost_model import LayerCostTable
from hwcost.evaluate import CostModel
from hwcost.mapping.mapper import map_layers
from hwcost.mapping.vector_cost import vector_costs
from hwcost.placement.routes import find_routes
from hwcost.placement.solve import solve
from hwcost.placement.split import SplitOptions, split_options
from hwcost.workload import Layer, Op, Workload
from hwcost.workload_batch import WorkloadBatch
from tests.reference.split_oracle import OracleMemories, OracleTensor, PartCost, exchange, layer_cost, owners

# what edge_tpu_quad's file says of the memories activations live in, per bit
PLACES = ("core0", "core1", "pooling", "adder")
MEMORIES = OracleMemories(
    read_width={"core0": 2048, "core1": 2048, "pooling": 576, "adder": 1024, "dram": 64},
    write_width={"core0": 2048, "core1": 2048, "pooling": 64, "adder": 512, "dram": 64},
    read_pj={"core0": 416.16 / 2048, "core1": 416.16 / 2048, "pooling": 60 / 576, "adder": 60 / 1024,
             "dram": 1000 / 64},
    write_pj={"core0": 378.4 / 2048, "core1": 378.4 / 2048, "pooling": 75 / 64, "adder": 75 / 512},
    link_width=32,
    link_pj=0.0,
    granule=64,
)  # fmt: skip


def network(stem: int = 20, kernel: int = 3) -> Workload:
    side = {"ox": 8, "oy": 8}
    return Workload.from_layers(
        [
            Layer("stem", Op.CONV, k=stem, c=3, fx=3, fy=3, **side),
            Layer("dw", Op.CONV, g=stem, fx=kernel, fy=kernel, **side, sources=(0,)),
            Layer("project", Op.CONV, k=stem, c=stem, **side, sources=(1,)),
            Layer("add", Op.ADD, g=stem, **side, weight_bits=0, sources=(2, 0)),
            Layer("fc", Op.LINEAR, k=10, c=stem * 64, sources=(3,), output_bits=16, head=True),
        ]
    )


def two_cores(link_bits: int = 32) -> Accelerator:
    accelerator = load_accelerator("edge_tpu_quad")
    link = replace(accelerator.link, bits_per_cycle=link_bits)
    return replace(accelerator, compute_cores=accelerator.compute_cores[:2], link=link)


def options_of(accelerator: Accelerator, workload: Workload, allocation: list[int]) -> SplitOptions:
    table = LayerCostTable(accelerator)
    batch = WorkloadBatch.of(workload)
    return split_options(table, find_routes(accelerator), batch, np.array([allocation]), "edp")


def part_costs(accelerator: Accelerator, workload: Workload, arrays: list[PeArray]) -> PartCost:
    """Costs of parts, each mapped by itself."""

    @functools.cache
    def part(layer: int, core: int, channels: int) -> tuple[float, float, float]:
        row = workload.cost_rows()[layer : layer + 1].copy()
        row[0, 4 if workload.g[layer] > 1 else 2] = channels
        found = map_layers(accelerator.compute_cores[core], row, np.array([arrays[core].sizes]), "edp")
        return float(found.latency_cycles[0]), float(found.energy_pj.sum()), float(found.dram_cycles[0])

    return part


def oracle_totals(
    accelerator: Accelerator,
    workload: Workload,
    arrays: list[PeArray],
    part: PartCost,
    choice: tuple[int, ...],
    memories: OracleMemories,
) -> tuple[float, float]:
    """Latency and energy when layer i takes option `choice[i]`: core 0, core 1, equal or proportional parts."""
    rows = workload.cost_rows()

    latency = energy = 0.0
    made: list[list[str]] = []
    for i in range(workload.n_layers):
        channels = int(workload.g[i] * workload.k[i])
        if workload.has_weights[i]:
            pes = ([1, 0], [0, 1], [1, 1], [array.n_pes for array in arrays])[choice[i]]
            own = owners(channels, pes)
            cycles, picojoules = layer_cost(i, own, part)
            made.append([PLACES[core] for core in own])
        else:
            vector = accelerator.vector_cores[accelerator.vector_core_index(Op(workload.op[i]))]
            found = vector_costs(vector, rows[i : i + 1])
            cycles, picojoules = float(found[0][0]), float(found[1].sum())
            made.append(["adder"] * channels)
        latency, energy = latency + cycles, energy + picojoules
        for source in (int(s) for s in workload.sources[i] if s > -2):
            if source < 0:
                tensor = OracleTensor(3, int(workload.ix[i] * workload.iy[i] * workload.input_bits[i]))
                before = ["dram"] * 3
            else:
                tensor = OracleTensor(
                    int(workload.g[source] * workload.k[source]),
                    int(workload.ox[source] * workload.oy[source] * workload.output_bits[source]),
                )
                before = made[source]
            needed = {place: set(range(tensor.channels)) for place in made[i]}
            if workload.g[i] > 1 and workload.has_weights[i]:
                needed = {p: {c for c in range(channels) if made[i][c] == p} for p in made[i]}
            cycles, picojoules = exchange(tensor, before, needed, memories)
            latency, energy = latency + cycles, energy + picojoules
    return latency, energy


@pytest.mark.parametrize(("link_bits", "stem"), [(32, 20), (512, 33)])
def test_it_is_the_best_of_all_assignments(link_bits: int, stem: int) -> None:
    accelerator, workload, allocation = two_cores(link_bits), network(stem), [4, 8]
    memories = replace(MEMORIES, link_width=link_bits)
    options = options_of(accelerator, workload, allocation)
    problem = options.problem()
    ranges = [range(values.shape[1]) for values in problem.latency_cycles]
    arrays = [core.catalogue[a] for core, a in zip(accelerator.compute_cores, allocation, strict=True)]
    part = part_costs(accelerator, workload, arrays)
    everything = {
        choice: oracle_totals(accelerator, workload, arrays, part, choice, memories)
        for choice in itertools.product(*ranges)
    }
    for objective, score in (
        ("latency", lambda t: t[0]),
        ("energy", lambda t: t[1]),
        ("edp", lambda t: t[0] * t[1]),
    ):
        placed = solve(problem, objective)
        schedule = options.schedule(placed)
        ours = schedule.latency_cycles.sum(), schedule.energy_pj.sum()
        chosen = everything[tuple(placed.option[0].tolist())]
        assert ours == pytest.approx(chosen)
        assert score(ours) == pytest.approx(min(score(totals) for totals in everything.values()))
    # with wide links at least one layer is split
    if link_bits == 512:
        assert (solve(problem, "latency").option >= 2).any()


def test_it_is_never_worse_than_whole_layers() -> None:
    model = CostModel(load_accelerator("edge_tpu_quad"))
    allocations = np.array([[8, 8, 8, 8], [1, 4, 8, 12]])
    for objective in ("latency", "energy", "edp"):
        whole = model.evaluate(network(), allocations, objective)
        split = model.evaluate(network(), allocations, objective, mode="split")
        for costs in (whole, split):
            assert costs.latency_cycles.shape == (2, 1)
        score = {
            "latency": lambda c: c.latency_cycles,
            "energy": lambda c: c.energy_pj,
            "edp": lambda c: c.latency_cycles * c.energy_pj,
        }[objective]
        assert (score(split) <= score(whole) * (1 + 1e-12)).all()


def test_parts_never_outrun_the_dram_port_they_share() -> None:
    accelerator = two_cores()
    workload = Workload.from_layers([Layer("fc", Op.LINEAR, k=512, c=512)])
    options = options_of(accelerator, workload, [8, 8])
    assert options.latency_cycles[0, 0].min() >= 512 * 512 * 8 / 64


def test_cores_with_activations_in_dram_exchange_nothing() -> None:
    accelerator = load_accelerator("edge_tpu_quad_dram")
    options = options_of(accelerator, network(), [8, 8, 8, 8])
    problem = options.problem()
    for layer in (0, 1, 2):
        assert not problem.moves[layer][0].latency_cycles.any()
    # the adder's output is written to DRAM once, whoever reads it: 20 channels of 64 words
    cycles = problem.moves[4][0].latency_cycles
    assert (cycles == 20 * 64 * 8 / 64).all()
