"""Which exits to keep: against every choice of them tuned on its own."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest

from models.architecture import Architecture
from study.exit_choice import worth_keeping
from study.exit_sets import columns_of, keeping
from study.thresholds import tune_accuracy, tune_many
from tests.study.bench import bench_context, predictions

EXITS = (1, 4, 5, 7)


def network(exits=EXITS, heads=None):
    n = 12
    return Architecture(exits, heads or ("gap",) * (len(exits) + 1), (8,) * n, (8,) * n).canonical()


def loose(tmp_path, preset="quickstart", **changes):
    """A study whose constraints every network here meets."""
    constraints = {"worst_latency": 9.0, "weight_memory": 9.0}
    return bench_context(tmp_path, preset, constraints=constraints, **changes)


def products(context, whole, exits, trained):
    """Calibration product of each target, thresholds tuned for this choice of exits alone."""
    evaluator, part = context.evaluator, keeping(whole, exits)
    default = np.array([context.space.allocations.default])
    costs = context.hardware.stage_costs(part, default, np.array([context.space.levels.nominal]))
    calibration = trained.calibration.select(columns_of(whole, exits))
    config = evaluator.space.config
    if config.policy_goal == "accuracy":
        ceilings = context.hardware.static.edp_pj_cycles * np.array(config.policy_targets)
        tuned = tune_accuracy(calibration, costs.latency_cycles * costs.energy_pj, ceilings)
        return np.where(tuned.met[0], -tuned.accuracy[0], np.inf)
    return tune_many(calibration, costs.latency_cycles, costs.energy_pj, config.policy_targets).mean_cost[0]


def every(exits):
    return [s for count in range(len(exits) + 1) for s in combinations(exits, count)]


@pytest.mark.parametrize("goal", ["cost", "accuracy"])
def test_the_best_choice_under_each_target_is_kept(tmp_path, goal):
    targets = [0.0, 0.01, 0.04] if goal == "cost" else [0.3, 0.5, 0.8]
    context = loose(tmp_path, space={"policy_goal": goal, "policy_targets": targets})
    whole = network()
    trained = predictions(whole, n_samples=600)
    found = worth_keeping(context.evaluator, whole, [trained], most=16)
    alone = {exits: products(context, whole, exits, trained) for exits in every(EXITS)}
    for target in range(len(targets)):
        best = min(values[target] for values in alone.values())
        kept = min(alone[exits][target] for exits in [EXITS, *found])
        assert kept <= best + 0.02 * abs(best)


def test_an_exit_that_is_never_right_is_left_out(tmp_path):
    context = loose(tmp_path)
    whole = network()
    trained = predictions(whole, n_samples=600)
    wrong = trained.calibration.correct.copy()
    wrong[:, 1] = False
    sure = trained.calibration.confidence.copy()
    sure[:, 1] = 0.2
    calibration = replace(trained.calibration, correct=wrong, confidence=sure)
    found = worth_keeping(context.evaluator, whole, [replace(trained, calibration=calibration)], most=16)
    assert found
    assert all(4 not in exits for exits in found)


def test_choices_that_break_a_constraint_do_not_count(tmp_path):
    whole = network()
    memory = [
        int(
            loose(tmp_path)
            .hardware.stage_costs(keeping(whole, s), np.array([[0, 0, 0, 0]]))
            .weight_memory_bits
        )
        for s in every(EXITS)
    ]
    bound = sorted(memory)[len(memory) // 2]
    context = bench_context(tmp_path, constraints={"worst_latency": 9.0, "weight_memory": f"{bound} bit"})
    found = worth_keeping(context.evaluator, whole, [predictions(whole, 600)], most=16)
    within = {s for s, bits in zip(every(EXITS), memory, strict=True) if bits <= bound}
    assert found
    assert set(found) <= within


def test_as_many_as_asked_for_and_each_once(tmp_path):
    context = loose(tmp_path)
    whole = network()
    trained = predictions(whole, 600)
    whole_answer = worth_keeping(context.evaluator, whole, [trained], most=16)
    assert len(set(whole_answer)) == len(whole_answer) >= 2
    assert EXITS not in whole_answer
    for most in (0, 1, 2):
        assert worth_keeping(context.evaluator, whole, [trained], most) == whole_answer[:most]
    twice = worth_keeping(context.evaluator, whole, [trained, trained], most=16)
    assert twice == whole_answer


def test_a_network_without_exits_has_nothing_to_leave_out(tmp_path):
    context = loose(tmp_path)
    static = context.hardware.static_architecture
    assert worth_keeping(context.evaluator, static, [predictions(static)], most=8) == []


def test_of_more_than_ten_exits_those_that_are_never_right_are_left_out_too(tmp_path):
    backbone = {"name": "mobilenet_v2", "width": 0.5}
    context = loose(tmp_path, backbone=backbone, data={"image_size": 32})
    points, n = context.space.mounting_points, context.space.n_blocks
    assert len(points) > 12
    whole = Architecture(points, ("gap",) * (len(points) + 1), (8,) * n, (8,) * n).canonical()
    trained = predictions(whole, n_samples=200)
    good = (3, len(points) - 2)
    wrong, sure = trained.calibration.correct.copy(), trained.calibration.confidence.copy()
    bad = [k for k in range(len(points)) if k not in good]
    wrong[:, bad], sure[:, bad] = False, 0.2
    calibration = replace(trained.calibration, correct=wrong, confidence=sure)
    found = worth_keeping(context.evaluator, whole, [replace(trained, calibration=calibration)], most=4)
    assert found
    assert {block for exits in found for block in exits} <= {points[k] for k in good}


def test_with_the_published_policy_the_most_accurate_under_the_bound_is_kept(tmp_path):
    context = bench_context(tmp_path, "paper", backbone={"width": 0.25}, data={"image_size": 16})
    whole = network((0, 4, 5, 7), ("fc",) * 5)
    found = worth_keeping(context.evaluator, whole, [predictions(whole, 600)], most=16)
    assert found
    records = {}
    for exits in every(whole.exits):
        part, columns = keeping(whole, exits), columns_of(whole, exits)
        trained = predictions(whole, 600)
        on_calibration = replace(
            trained,
            calibration=trained.calibration.select(columns), validation=trained.calibration.select(columns),
        )  # fmt: skip
        default = tuple(context.space.allocations.default)
        records[exits] = context.evaluator.measure(part, on_calibration, default)
    bound = 0.5 * context.hardware.static.edp_pj_cycles
    legal = {e: r for e, r in records.items() if r.feasible and r.mean_edp_pj_cycles <= bound}
    best = max(legal.values(), key=lambda record: record.accuracy)
    assert max(legal[e].accuracy for e in [whole.exits, *found] if e in legal) == best.accuracy
