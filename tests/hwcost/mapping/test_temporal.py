"""Nests of layers without K and C against every order written out."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from hwcost import load_accelerator
from hwcost.mapping.candidates import spell_out_nests
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


@pytest.mark.parametrize("layer", LAYERS, ids=lambda layer: layer.name)
@pytest.mark.parametrize("preset", ["eyeriss_like", "tesla_npu_like", "ascend_like", "edge_tpu_quad_dram"])
def test_no_order_of_a_depthwise_layer_is_better(preset: str, layer: Layer) -> None:
    core = load_accelerator(preset).compute_cores[0]
    rows, array = Workload.from_layers([layer]).cost_rows(), np.array([core.default_array.sizes])
    jobs, _ = jobs_of(core, rows, array)
    least = dict.fromkeys(OBJECTIVES, np.inf)
    for one in range(jobs.n):
        job = jobs.take(np.array([one]))
        orders = every_order(job.spatial.temporal[0])
        slots = max(map(len, orders))
        padded = [order + [(Loop.G, 1)] * (slots - len(order)) for order in orders]
        loop, factor = np.array(padded).transpose(2, 1, 0)
        nests = TemporalNests(np.zeros(len(orders), dtype=np.int64), loop, factor.astype(np.float64))
        for use in range(len(CAPACITY_USES)):
            found = spell_out_nests(core, job, nests, use)
            for objective in OBJECTIVES:
                first, _ = scores(found.latency_cycles, found.energy_pj.sum(axis=1), objective)
                least[objective] = min(least[objective], float(first.min()))
    for objective in OBJECTIVES:
        costs = map_layers(core, rows, array, objective)
        first, _ = scores(costs.latency_cycles, costs.energy_pj.sum(axis=1), objective)
        assert first[0] <= least[objective] * (1 + 1e-9), objective
