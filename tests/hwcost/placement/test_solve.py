"""Placements against trying every assignment."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from hwcost.errors import OfframpError
from hwcost.placement.problem import Move, Placement, PlacementProblem
from hwcost.placement.solve import solve
from tests.hwcost.placement.graphs import random_problem, residual_with_heads
from tests.reference.placement_oracle import cost_of, every_assignment, non_dominated, running_layers

OPTIONS = [3, 2, 3, 1, 1, 3, 2, 3, 2]
PROBLEMS = [random_problem(residual_with_heads(), OPTIONS, 6, seed, seed % 2 == 1) for seed in range(16)]


def check_adds_up(problem: PlacementProblem, placement: Placement) -> None:
    """The costs reported are those of the options reported."""
    for design in range(problem.n_designs):
        running = running_layers(problem, design)
        option = {i: int(placement.option[design, i]) for i in running}
        latency, energy = cost_of(problem, design, option)
        assert placement.latency_cycles[design].sum() == pytest.approx(latency, rel=1e-12)
        assert placement.energy_pj[design].sum() == pytest.approx(energy, rel=1e-12)
        idle = np.setdiff1d(np.arange(problem.workload.n_layers), running)
        assert not placement.latency_cycles[design, idle].any()
        assert not placement.energy_pj[design, idle].any()
        assert not placement.option[design, idle].any()


@pytest.mark.parametrize("problem", PROBLEMS)
@pytest.mark.parametrize("objective", ["latency", "energy", "edp"])
def test_no_assignment_is_better(problem: PlacementProblem, objective: str) -> None:
    placement = solve(problem, objective)
    check_adds_up(problem, placement)
    for design in range(problem.n_designs):
        every = np.array(every_assignment(problem, design))
        found = placement.latency_cycles[design].sum(), placement.energy_pj[design].sum()
        if objective == "edp":
            assert found[0] * found[1] == pytest.approx(every.prod(axis=1).min(), rel=1e-11)
            continue
        first = 0 if objective == "latency" else 1
        assert found[first] == pytest.approx(every[:, first].min(), rel=1e-11)
        ties = every[every[:, first] <= every[:, first].min() * (1 + 1e-13)]
        if objective == "energy" or (every[:, 0] == every[:, 0].round()).all():
            assert found[1 - first] == pytest.approx(ties[:, 1 - first].min(), rel=1e-11)


@pytest.mark.parametrize("problem", PROBLEMS[:4])
def test_any_weighting_is_exact(problem: PlacementProblem) -> None:
    rng = np.random.default_rng(1)
    cycle = rng.random(problem.n_designs)
    placement = solve(problem, "weighted", (cycle, 0.3))
    check_adds_up(problem, placement)
    for design in range(problem.n_designs):
        every = np.array(every_assignment(problem, design)) @ [cycle[design], 0.3]
        found = (
            cycle[design] * placement.latency_cycles[design].sum() + 0.3 * placement.energy_pj[design].sum()
        )
        assert found == pytest.approx(every.min(), rel=1e-11)


@pytest.mark.parametrize("problem", PROBLEMS[:4])
def test_the_label_oracle_has_what_brute_force_has(problem: PlacementProblem) -> None:
    for design in range(problem.n_designs):
        every = np.array(every_assignment(problem, design))
        labels = non_dominated(problem, design)
        for latency, energy in labels:
            better = (every < [latency - 1e-9, energy - 1e-9]).all(axis=1)
            assert not better.any()
        assert min(a * b for a, b in labels) == pytest.approx(every.prod(axis=1).min(), rel=1e-12)


def test_a_front_with_many_corners() -> None:
    # 12 layers in a row, each with its own exchange rate of latency for energy: a hull of many corners and inner
    # points closer to the product's minimum than most of them
    from hwcost.workload import Layer, Op, Workload

    workload = Workload.from_layers(
        [Layer(f"l{i}", Op.CONV, k=4, c=4, ox=4, oy=4, sources=(i - 1,)) for i in range(12)]
    )
    problem = random_problem_of_chain(workload, 40)
    placement = solve(problem, "edp")
    for design in range(problem.n_designs):
        found = placement.latency_cycles[design].sum() * placement.energy_pj[design].sum()
        best = min(a * b for a, b in non_dominated(problem, design))
        assert found == pytest.approx(best, rel=1e-11)


def random_problem_of_chain(workload, n_designs: int) -> PlacementProblem:
    rng = np.random.default_rng(3)
    n = workload.n_layers
    fast = rng.random((n_designs, n, 3)) * 10 ** rng.integers(0, 3, (n_designs, n, 1))
    cheap = rng.random((n_designs, n, 3)) * 10 ** rng.integers(0, 3, (n_designs, n, 1))
    moves = [
        (Move(i - 1, rng.random((1, 3 if i else 1, 3)), rng.random((1, 3 if i else 1, 3))),) for i in range(n)
    ]
    return PlacementProblem(
        workload,
        tuple(fast[:, i] for i in range(n)),
        tuple(cheap[:, i] for i in range(n)),
        tuple(moves),
    )


def test_a_design_is_decided_alone_as_in_a_batch() -> None:
    problem = PROBLEMS[0]
    whole = solve(problem, "edp")
    assert problem.active is not None
    for design in range(problem.n_designs):
        one = slice(design, design + 1)

        def part(values: np.ndarray, one: slice = one) -> np.ndarray:
            return values[one] if values.shape[0] > 1 else values

        alone = PlacementProblem(
            problem.workload,
            tuple(part(v) for v in problem.latency_cycles),
            tuple(part(v) for v in problem.energy_pj),
            tuple(
                tuple(
                    replace(m, latency_cycles=part(m.latency_cycles), energy_pj=part(m.energy_pj))
                    for m in own
                )
                for own in problem.moves
            ),
            problem.active[one],
        )
        single = solve(alone, "edp")
        assert np.array_equal(single.option[0], whole.option[design])


@pytest.mark.parametrize("objective", ["energy", "edp"])
def test_thousands_of_designs_have_their_own_moves(objective: str) -> None:
    """4 x 4 ways of 3,000 designs are more entries than the numbers of options count to."""
    problem = random_problem(residual_with_heads(), [4] * 9, 3000, 5)
    moves = [move for own in problem.moves for move in own if isinstance(move, Move)]
    assert any(move.latency_cycles.shape == (3000, 4, 4) for move in moves)
    placement = solve(problem, objective)
    for design in (0, 1, 2047, 2048, 2999):
        labels = non_dominated(problem, design)
        found = placement.latency_cycles[design].sum(), placement.energy_pj[design].sum()
        if objective == "edp":
            assert found[0] * found[1] == pytest.approx(min(a * b for a, b in labels), rel=1e-11)
        else:
            assert found[1] == pytest.approx(min(b for _, b in labels), rel=1e-11)


def test_infinite_options_are_not_taken() -> None:
    problem = PROBLEMS[0]
    latency, energy = [v.copy() for v in problem.latency_cycles], [v.copy() for v in problem.energy_pj]
    for i in (0, 2, 7):
        latency[i][:, 0] = energy[i][:, 0] = np.inf
    barred = replace(problem, latency_cycles=tuple(latency), energy_pj=tuple(energy))
    for objective in ("latency", "energy", "edp"):
        placement = solve(barred, objective)
        check_adds_up(barred, placement)
        assert (placement.option[:, [0, 2, 7]] > 0).all()


def test_a_layer_without_options_is_refused() -> None:
    problem = PROBLEMS[0]
    latency = [v.copy() for v in problem.latency_cycles]
    latency[1][:] = np.inf
    with pytest.raises(OfframpError, match="layer 1"):
        solve(replace(problem, latency_cycles=tuple(latency)), "latency")


@pytest.mark.parametrize("layer", [0, 4])
def test_only_whole_heads_may_be_left_out(layer: int) -> None:
    problem = PROBLEMS[0]
    assert problem.active is not None
    active = np.ones_like(problem.active)
    active[2, layer] = False
    with pytest.raises(OfframpError, match="trunk" if layer == 0 else "head"):
        solve(replace(problem, active=active), "latency")


@pytest.mark.parametrize(("objective", "weights"), [("area", None), ("weighted", None), ("edp", (1.0, 1.0))])
def test_refuses_other_objectives(objective: str, weights: tuple[float, float] | None) -> None:
    with pytest.raises(OfframpError, match="objective"):
        solve(PROBLEMS[0], objective, weights)
