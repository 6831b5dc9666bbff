"""Nests of layers without K and C, and of batches without maps, against every order written out."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import numpy as np
import pytest

from hwcost import load_accelerator
from hwcost.chip.core import ComputeCore
from hwcost.mapping.candidates import spell_out_nests
from hwcost.mapping.jobs import Jobs
from hwcost.mapping.loops import Loop
from hwcost.mapping.mapper import map_layers
from hwcost.mapping.objective import OBJECTIVES, scores
from hwcost.mapping.temporal import TemporalNests
from hwcost.mapping.tiling import CAPACITY_USES
from hwcost.workload import Layer, Op, Workload
from tests.hwcost.mapping.strategies import jobs_of

LAYERS = [
    Layer("small", Op.CONV, g=32, ox=16, oy=16, fx=3, fy=3, weight_bits=4, input_bits=3, output_bits=4),
    Layer("window", Op.CONV, g=12, ox=8, oy=8, fx=7, fy=7, weight_bits=8, input_bits=8, output_bits=8),
]


def every_order(iterations: np.ndarray) -> list[list[tuple[Loop, int]]]:
    """G outermost, all others in any order, OY also in two parts of any size."""
    steps = [(loop, int(iterations[loop])) for loop in Loop if iterations[loop] > 1 and loop != Loop.G]
    lists = [steps]
    rest = [step for step in steps if step[0] != Loop.OY]
    n = int(iterations[Loop.OY])
    lists += [[(Loop.OY, d), *rest, (Loop.OY, n // d)] for d in range(2, n) if n % d == 0]
    outer = (Loop.G, int(iterations[Loop.G]))
    return [[*order, outer] for steps in lists for order in itertools.permutations(steps)]


def least_scores(core: ComputeCore, job: Jobs, orders: list[list[tuple[Loop, int]]]) -> dict[str, float]:
    """The best of some nests of one job, by objective."""
    least = dict.fromkeys(OBJECTIVES, np.inf)
    slots = max(map(len, orders))
    padded = [order + [(Loop.G, 1)] * (slots - len(order)) for order in orders]
    loop, factor = np.array(padded).transpose(2, 1, 0)
    nests = TemporalNests(np.zeros(len(orders), dtype=np.int64), loop, factor.astype(np.float64))
    for use in range(len(CAPACITY_USES)):
        found = spell_out_nests(core, job, nests, use)
        for objective in OBJECTIVES:
            first, _ = scores(found.latency_cycles, found.energy_pj.sum(axis=1), objective)
            least[objective] = min(least[objective], float(first.min()))
    return least


def check_least(
    core: ComputeCore, layer: Layer, orders: Callable[[np.ndarray], list[list[tuple[Loop, int]]]]
) -> None:
    """No order of any unrolling is better than what the mapper finds."""
    rows, array = Workload.from_layers([layer]).cost_rows(), np.array([core.default_array.sizes])
    jobs, _ = jobs_of(core, rows, array)
    each = [jobs.take(np.array([one])) for one in range(jobs.n)]
    found = [least_scores(core, job, orders(job.spatial.temporal[0])) for job in each]
    for objective in OBJECTIVES:
        costs = map_layers(core, rows, array, objective)
        first, _ = scores(costs.latency_cycles, costs.energy_pj.sum(axis=1), objective)
        assert first[0] <= min(least[objective] for least in found) * (1 + 1e-9), objective


@pytest.mark.parametrize("layer", LAYERS, ids=lambda layer: layer.name)
@pytest.mark.parametrize("preset", ["eyeriss_like", "tesla_npu_like", "ascend_like", "edge_tpu_quad_dram"])
def test_no_order_of_a_depthwise_layer_is_better(preset: str, layer: Layer) -> None:
    check_least(load_accelerator(preset).compute_cores[0], layer, every_order)


def every_order_cut_once(iterations: np.ndarray) -> list[list[tuple[Loop, int]]]:
    """All loops in any order, one of K and C also in two parts of any size."""
    steps = [(loop, int(iterations[loop])) for loop in Loop if iterations[loop] > 1]
    lists = [steps]
    for loop, n in steps:
        if loop in (Loop.K, Loop.C):
            rest = [step for step in steps if step[0] != loop]
            lists += [[(loop, d), *rest, (loop, n // d)] for d in range(2, n) if n % d == 0]
    return [list(order) for steps in lists for order in itertools.permutations(steps)]


BATCHED = [
    # weights bound it: they are used for all images when they come
    Layer("linear", Op.LINEAR, k=48, c=64, b=4),
    Layer("narrow", Op.LINEAR, k=37, c=150, b=4, weight_bits=4),
    Layer("wide", Op.LINEAR, k=256, c=32, b=6, output_bits=4),
]


@pytest.mark.parametrize("layer", BATCHED, ids=lambda layer: layer.name)
@pytest.mark.parametrize(
    "preset", ["edge_tpu_like", "edge_tpu_quad", "tpu_quad", "meta_prototype", "ascend_like"]
)
def test_no_order_of_a_batch_without_maps_is_better(preset: str, layer: Layer) -> None:
    check_least(load_accelerator(preset).compute_cores[0], layer, every_order_cut_once)


def test_weights_of_a_batch_come_once_while_all_images_use_them() -> None:
    # 37 x 150 weights of 8 bit over 64 bit a cycle are 693.75 cycles; 380 MAC cycles fit beside them. Ahead of the
    # last weights the first word (8 and 1) comes alone; behind them are their 4 images and the last outputs.
    core = load_accelerator("edge_tpu_quad").compute_cores[0]
    rows = Workload.from_layers([Layer("linear", Op.LINEAR, k=37, c=150, b=4)]).cost_rows()
    cycles = map_layers(core, rows, np.array([core.default_array.sizes]), "latency").latency_cycles[0]
    assert 694 <= cycles <= 694 + 1 + 4 + 1 + 2
