"""Moves of layers between cores: what they promise is what they bring, and none is left."""

from __future__ import annotations

import numpy as np
import pytest

from hwcost.placement.problem import Move, PlacementProblem
from hwcost.placement.resident_moves import WayCosts, improve
from tests.hwcost.placement.graphs import residual_with_heads
from tests.reference.placement_oracle import cost_of, running_layers

N_OPTIONS = 3


def case(seed: int, n: int) -> tuple[WayCosts, PlacementProblem, np.ndarray, np.ndarray]:
    """Random costs of a small graph with heads that some designs leave out; nothing is resident at first."""
    rng = np.random.default_rng(seed)
    workload = residual_with_heads()
    shape = n, workload.n_layers, N_OPTIONS
    active = np.ones(shape[:2], dtype=bool)
    active[:, 4:6] = rng.random((n, 1)) < 0.5
    moves = tuple(
        tuple(
            Move(int(s), rng.random((n, N_OPTIONS, N_OPTIONS)), rng.random((n, N_OPTIONS, N_OPTIONS)))
            for s in pair
            if s >= 0
        )
        for pair in workload.sources
    )
    latency, energy = rng.random((*shape, 2)), rng.random((*shape, 2))
    problem = PlacementProblem(
        workload,
        tuple(latency[:, i, :, 0] for i in range(shape[1])),
        tuple(energy[:, i, :, 0] for i in range(shape[1])),
        moves,
        active,
    )
    needed = np.zeros((*shape, N_OPTIONS))
    for core in range(N_OPTIONS):
        needed[:, :, core, core] = rng.integers(1, 9, shape[:2]) * active
    costs = WayCosts(latency, energy, needed, np.full((n, N_OPTIONS), 9.0))
    return costs, problem, rng.integers(0, N_OPTIONS, shape[:2]), np.zeros(shape[:2], dtype=bool)


def product(
    costs: WayCosts, problem: PlacementProblem, design: int, option: np.ndarray, resident: np.ndarray
) -> float:
    chosen = {i: int(option[i]) for i in running_layers(problem, design)}
    latency, energy = cost_of(problem, design, chosen)
    for i, own in chosen.items():
        if resident[i]:
            latency += costs.latency_cycles[design, i, own, 1] - costs.latency_cycles[design, i, own, 0]
            energy += costs.energy_pj[design, i, own, 1] - costs.energy_pj[design, i, own, 0]
    return float(latency * energy)


@pytest.mark.parametrize("seed", range(5))
def test_they_improve_until_no_single_move_does_and_fit(seed: int) -> None:
    costs, problem, option, resident = case(seed, 4)
    found, kept = improve(costs, problem, option, resident, "edp")
    for d in range(4):
        now = product(costs, problem, d, found[d], kept[d])
        assert now <= product(costs, problem, d, option[d], resident[d])
        layers = running_layers(problem, d)
        taken = sum((costs.needed_bits[d, i, found[d, i]] * kept[d, i] for i in layers), np.zeros(N_OPTIONS))
        assert (taken <= costs.room_bits[d]).all()
        for i in layers:
            for to in range(N_OPTIONS):
                for way in (False, True):
                    rest = taken - costs.needed_bits[d, i, found[d, i]] * kept[d, i]
                    if way and (rest + costs.needed_bits[d, i, to] > costs.room_bits[d]).any():
                        continue
                    other, stays = found[d].copy(), kept[d].copy()
                    other[i], stays[i] = to, way
                    assert product(costs, problem, d, other, stays) >= now * (1 - 1e-8)
