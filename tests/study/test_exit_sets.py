"""Networks with some of the exits of another, and what they cost."""

from __future__ import annotations

import numpy as np
import pytest

from models.architecture import Architecture
from study.exit_sets import ExitSets, columns_of, keeping, smallest
from tests.study.bench import bench_context


def test_all_choices_of_ten_exits_and_the_smallest_of_more():
    ten = tuple(range(10))
    assert smallest(ten, 1024)[0] == ten
    assert len(smallest(ten, 1024)) == len(set(smallest(ten, 1024))) == 1024
    many = tuple(range(16))
    found = smallest(many, 1024)
    assert found[0] == many
    assert len(found) == 1 + 1 + 16 + 120 + 560
    assert max(len(s) for s in found[1:]) == 3


def test_heads_stay_with_their_exits_and_bits_that_cannot_matter_are_canonical():
    n = 12
    whole = Architecture((1, 4, 7), ("fc", "gap", "conv1", "fc"), (4,) * n, (6,) * n, 3, 2)
    part = keeping(whole, (1, 7))
    assert (part.exits, part.heads, part.head_activation_bits) == ((1, 7), ("fc", "conv1", "fc"), 2)
    assert keeping(whole, (1,)).head_activation_bits == 8
    assert keeping(whole, ()) == Architecture((), ("fc",), (4,) * n, (6,) * n)
    assert columns_of(whole, (4,)) == [1, 3]


def test_sets_are_costed_like_networks_of_their_own(tmp_path):
    context = bench_context(tmp_path)
    whole = Architecture((1, 4, 7), ("gap", "fc", "gap", "fc"), (4,) * 12, (6,) * 12)
    sets = ExitSets(context.evaluator, whole)
    first = sets.with_one_less(0)
    assert [column for column, _ in first] == [0, 1, 2]
    assert [sets.sets[i] for _, i in first] == [(4, 7), (1, 7), (1, 4)]
    assert sets.with_one_less(0) == first
    assert len(sets.sets) == 4
    assert sets.indices([(), (4, 7), ()]) == [4, 1, 4]
    default = np.array([context.space.allocations.default])
    for index, exits in enumerate(sets.sets):
        costs = context.hardware.stage_costs(keeping(whole, exits), default)
        columns = columns_of(whole, exits)
        there = np.zeros(4, dtype=bool)
        there[columns] = True
        assert (sets.costs.present[index] == there).all()
        expected = costs.latency_cycles[0] * costs.energy_pj[0]
        assert sets.costs.product[index, columns] == pytest.approx(expected)
        assert sets.costs.legal[index] == context.evaluator.bounds.met_before_training(
            context.hardware.view(costs, default)
        )


def test_objectives_of_sets_are_means_over_the_exits_taken(tmp_path):
    objectives = ["error", "mean_energy", "worst_latency"]
    context = bench_context(tmp_path, search={"objectives": objectives}, constraints={"weight_memory": 9.0})
    whole = Architecture((1, 4), ("gap", "gap", "fc"), (4,) * 12, (6,) * 12)
    sets = ExitSets(context.evaluator, whole)
    sets.indices([(4,)])
    ratios = np.array([[[0.5, 0.25, 0.25]], [[0.0, 0.5, 0.5]]])
    points = sets.costs.points(ratios, np.array([[0.9], [0.8]]))
    default = np.array([context.space.allocations.default])
    for index, (exits, shares) in enumerate([((1, 4), [0.5, 0.25, 0.25]), ((4,), [0.5, 0.5])]):
        costs = context.hardware.stage_costs(keeping(whole, exits), default)
        energy, latency = float(np.array(shares) @ costs.energy_pj[0]), float(costs.latency_cycles[0, -1])
        assert points[index, 0] == pytest.approx([[0.1, 0.2][index], energy, latency])
