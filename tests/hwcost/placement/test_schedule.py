"""Assignments of layers to cores against trying every one."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest

from hwcost import CostModel, load_accelerator
from hwcost.chip.accelerator import Accelerator
from hwcost.cost_model import LayerCostTable
from hwcost.placement.transfers import Transfers
from hwcost.workload import Layer, Op, Workload


@pytest.fixture(scope="module")
def quad() -> Accelerator:
    return load_accelerator("edge_tpu_quad")


def block(bits: int) -> Workload:
    """An inverted residual with a head: five layers with a choice of four cores."""
    base = Layer("", Op.CONV, ox=16, oy=16, weight_bits=bits, input_bits=bits, output_bits=bits)
    layers = [
        replace(base, name="expand", k=96, c=16),
        replace(base, name="depthwise", g=96, fx=7, fy=7, sources=(0,)),
        replace(base, name="project", k=96, c=96, sources=(1,)),
        Layer(
            "add",
            Op.ADD,
            g=96,
            ox=16,
            oy=16,
            weight_bits=0,
            input_bits=bits,
            output_bits=bits,
            sources=(2, 0),
        ),
        Layer(
            "pool", Op.POOL, g=96, ox=1, oy=1, fx=16, fy=16, stride=16, weight_bits=0, head=True, sources=(3,)
        ),
        Layer("fc", Op.LINEAR, k=10, c=96, head=True, sources=(4,)),
        replace(base, name="next", k=160, c=96, segment=1, sources=(3,)),
    ]
    return Workload.from_layers(layers)


def every_assignment(
    quad: Accelerator, workload: Workload, allocation: list[int], objective: str
) -> np.ndarray:
    """Latency and energy of all assignments, summed in plain Python: (n_assignments, 2)."""
    costs = LayerCostTable(quad).costs(workload.cost_rows(), objective)
    transfers = Transfers(quad)
    sources = [[int(s) for s in pair if s > -2] for pair in workload.sources]
    moves = [[transfers.costs(workload, i, s) for s in own] for i, own in enumerate(sources)]
    options = [range(4) if weighted else range(1) for weighted in workload.has_weights]
    sums = []
    for choice in itertools.product(*options):
        latency = energy = 0.0
        for i, core in enumerate(choice):
            latency += float(costs.latency_cycles[i, 0, allocation[core]])
            energy += float(costs.energy_pj[i, 0, allocation[core]].sum())
            for source, move in zip(sources[i], moves[i], strict=True):
                origin = choice[source] if source >= 0 else 0
                latency += float(move.latency_cycles[origin, core])
                energy += float(move.energy_pj[origin, core].sum())
        sums.append((latency, energy))
    return np.array(sums)


@pytest.mark.parametrize("allocation", [[8, 8, 8, 8], [4, 8, 10, 7], [0, 3, 11, 13]])
@pytest.mark.parametrize("bits", [8, 4])
@pytest.mark.parametrize("objective", ["latency", "energy", "edp"])
def test_no_assignment_is_better(quad: Accelerator, allocation: list[int], bits: int, objective: str) -> None:
    workload = block(bits)
    found = CostModel(quad).evaluate(workload, np.array([allocation]), objective)
    latency, energy = found.latency_cycles[0, -1], found.energy_pj[0, -1]
    every = every_assignment(quad, workload, allocation, objective)
    if objective == "latency":
        assert latency == pytest.approx(every[:, 0].min(), rel=1e-12)
    elif objective == "energy":
        assert energy == pytest.approx(every[:, 1].min(), rel=1e-12)
    else:
        assert latency * energy == pytest.approx(every.prod(axis=1).min(), rel=1e-12)
