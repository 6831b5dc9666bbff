from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from study.bounds import Bounds
from study.genome import Genome
from tests.reference.policy_oracle import run_policy
from tests.study.bench import CLASSES, bench_context, predictions


@pytest.fixture
def context(tmp_path):
    return bench_context(tmp_path)


def random_genomes(context, count: int) -> list[Genome]:
    rng = np.random.default_rng(0)
    return [context.space.decode(context.space.random(rng)) for _ in range(count)]


def some_feasible(context, early: int = 2) -> Genome:
    for genome in random_genomes(context, 400):
        if len(genome.architecture.exits) == early and context.evaluator.check.one(genome):
            return genome
    raise AssertionError("expected a feasible design among 400")


def test_infeasible_hardware_is_found_before_training(context):
    genomes = random_genomes(context, 40)
    records = [context.evaluator.evaluate(genome) for genome in genomes]
    for genome, record in zip(genomes, records, strict=True):
        assert (
            record.feasible == context.evaluator.check.one(genome) == (max(record.violations.values()) <= 0)
        )
        assert record.trained == record.feasible
        if not record.feasible:
            assert record.accuracy == 1 / CLASSES
            assert record.mean_latency_cycles == record.worst_latency_cycles
            assert record.training_samples == 0
    kinds = [record.feasible for record in records]
    assert 5 < sum(kinds) < 35
    trained = {a.key() for a in context.evaluator.train.trained}
    assert trained == {r.genome.architecture.key() for r in records if r.feasible}


def test_violations_are_relative_to_the_bounds(context):
    static = context.hardware.static
    default = np.array([context.hardware.accelerator.default_allocation])
    costs = context.hardware.stage_costs(context.hardware.static_architecture, default)
    bounds = Bounds.of({"worst_latency": 1.25, "weight_memory": 0.5}, static)
    excess = bounds.before_training(context.hardware.view(costs, default))
    assert {name: values[0] for name, values in excess.items()} == pytest.approx(
        {"worst_latency": 1 / 1.25 - 1, "weight_memory": 1 / 0.5 - 1}
    )
    assert static.edp_pj_cycles == pytest.approx(costs.latency_cycles[0, -1] * costs.energy_pj[0, -1])


def test_a_record_is_what_a_walk_through_the_exits_gives(context):
    for early in (0, 1, 3):
        genome = some_feasible(context, early)
        record = context.evaluator.evaluate(genome)
        costs = context.hardware.stage_costs(genome.architecture, np.array([genome.allocation]))
        validation = predictions(genome.architecture).validation
        plain = run_policy(
            validation.confidence.astype(float).tolist(),
            validation.correct.tolist(),
            [*record.thresholds, -np.inf],
            costs.latency_cycles[0].tolist(),
            costs.energy_pj[0].tolist(),
        )
        assert record.accuracy == pytest.approx(plain.accuracy)
        assert record.mean_latency_cycles == pytest.approx(plain.latency)
        assert record.mean_energy_pj == pytest.approx(plain.energy)
        assert record.mean_edp_pj_cycles == pytest.approx(plain.edp)
        assert np.array(record.exit_ratios) * validation.n_samples == pytest.approx(plain.left)
        assert record.exit_accuracies == pytest.approx(validation.accuracies)
        assert record.worst_latency_cycles == costs.latency_cycles[0, -1]
        assert record.genome == genome


def test_thresholds_are_chosen_on_calibration_and_keep_the_target_there(context):
    genome = some_feasible(context, early=3)
    calibration = predictions(genome.architecture).calibration
    products = []
    for target in context.config.space.policy_targets:
        record = context.evaluator.evaluate(replace(genome, policy_target=target))
        plain = run_policy(
            calibration.confidence.astype(float).tolist(), calibration.correct.tolist(),
            [*record.thresholds, -np.inf], [1.0, 2.0, 3.0, 4.0], [1.0] * 4,
        )  # fmt: skip
        assert plain.accuracy >= calibration.accuracies[-1] - target - 1e-9
        products.append(record.mean_edp_pj_cycles)
    assert products[-1] < products[0]


def test_accuracy_goal_keeps_its_ceiling_on_calibration(tmp_path):
    targets = (0.01, 0.05, 0.5)
    space = {"policy_goal": "accuracy", "policy_targets": targets}
    context = bench_context(tmp_path, space=space)
    genome = some_feasible(context, early=3)
    calibration = predictions(genome.architecture).calibration
    reference = context.hardware.static.edp_pj_cycles
    costs = context.hardware.stage_costs(genome.architecture, np.array([genome.allocation]))
    accuracies = []
    for target in targets:
        record = context.evaluator.evaluate(replace(genome, policy_target=target))
        plain = run_policy(
            calibration.confidence.astype(float).tolist(), calibration.correct.tolist(),
            [*record.thresholds, -np.inf], costs.latency_cycles[0].tolist(), costs.energy_pj[0].tolist(),
        )  # fmt: skip
        assert plain.edp <= target * reference * (1 + 1e-9) or plain.left[0] == calibration.n_samples
        accuracies.append(plain.accuracy)
    assert accuracies == sorted(accuracies)
    assert accuracies[-1] > accuracies[0]


def test_one_network_is_trained_once_whatever_it_runs_on(context):
    genome = some_feasible(context)
    other = replace(genome, policy_target=0.04)
    first = context.evaluator.evaluate(genome)
    second = context.evaluator.evaluate(other)
    assert (first.source, first.training_samples) == ("proposed", 1000)
    assert (second.source, second.training_samples) == ("memo", 0)
    assert len(context.evaluator.train.trained) == 1


def test_more_targets_leave_the_others_as_they_are(context):
    genome = some_feasible(context)
    network = predictions(genome.architecture)
    few = {r.genome.key(): r for r in context.evaluator.derive(genome.architecture, network)}
    more = context.evaluator.with_more_targets((0.003, 0.02)).derive(genome.architecture, network)
    assert {r.genome.policy_target for r in more} == {*context.config.space.policy_targets, 0.003}
    ours = [r for r in more if r.genome.policy_target != 0.003]
    assert [replace(r, seconds=0.0) for r in ours] == [
        replace(few[r.genome.key()], seconds=0.0) for r in ours
    ]
    assert len(ours) == len(few)


def test_derived_designs_are_the_best_of_all_allocations(context):
    genome = some_feasible(context)
    network = predictions(genome.architecture)
    derived = context.evaluator.derive(genome.architecture, network)
    keys = [record.genome.key() for record in derived]
    assert len(set(keys)) == len(keys)
    for record in derived:
        assert record.source == "derived"
        assert record.feasible
        assert record.training_samples == 0
        assert context.space.canonical(record.genome) == record.genome
        assert context.evaluator.check.one(record.genome)
    assert {r.genome.policy_target for r in derived} == set(context.config.space.policy_targets)
    kept = {r.genome.allocation for r in derived}
    assert len(derived) == len(kept) * len(context.config.space.policy_targets)
    # Whatever the thresholds, no feasible allocation that was left out is cheaper than every one that was kept.
    everything = [tuple(int(i) for i in row) for row in context.space.allocations.all()]
    costs = context.hardware.stage_costs(genome.architecture, np.array(everything))
    view = context.hardware.view(costs, np.array(everything))
    feasible = context.evaluator.bounds.met_before_training(view)
    rows = [
        (e, np.concatenate([costs.latency_cycles[i], costs.energy_pj[i]])) for i, e in enumerate(everything)
    ]
    survivors = [cost for allocation, cost in rows if allocation in kept]
    assert 0 < len(survivors) < feasible.sum()
    for usable, (_, cost) in zip(feasible, rows, strict=True):
        assert not usable or any((survivor <= cost).all() for survivor in survivors)
    for one in survivors:
        assert not any((other <= one).all() and (other < one).any() for other in survivors)
    # A random allocation, evaluated on its own, is beaten or equalled at the strictest target.
    strict = [r for r in derived if r.genome.policy_target == 0.0]
    alone = context.evaluator.measure(genome.architecture, network, genome.allocation)
    assert min(r.mean_latency_cycles for r in strict) <= alone.mean_latency_cycles * 1.001
    assert min(r.mean_energy_pj for r in strict) <= alone.mean_energy_pj * 1.001


def test_a_network_without_exits_has_one_policy(context):
    static = context.hardware.static_architecture
    derived = context.evaluator.derive(static, predictions(static))
    assert {r.genome.policy_target for r in derived} == {0.0}
    assert all(r.exit_ratios == (1.0,) and r.thresholds == () for r in derived)


def test_the_published_policy_has_one_threshold_for_all_exits(tmp_path):
    context = bench_context(tmp_path, "paper", backbone={"width": 0.25}, data={"image_size": 16})
    genome = some_feasible(context, early=3)
    record = context.evaluator.evaluate(genome)
    assert len(set(record.thresholds)) == 1
    assert record.thresholds[0] in (0.70, 0.75, 0.80, 0.85, 0.90, 0.95)


def infeasible(context) -> Genome:
    return next(g for g in random_genomes(context, 40) if not context.evaluator.check.one(g))


def test_hardware_first_can_be_switched_off(context):
    genome = infeasible(context)
    record = replace(context.evaluator, hardware_first=False).evaluate(genome)
    assert record.trained
    assert not record.feasible
    assert not record.may_lead
    assert record.accuracy != 1 / CLASSES


def test_the_memo_can_be_switched_off(context):
    genome = some_feasible(context)
    forgetful = replace(context.evaluator, memoized=False)
    records = [forgetful.evaluate(genome) for _ in range(2)]
    assert [r.source for r in records] == ["proposed", "proposed"]
    assert len(context.evaluator.train.trained) == 2
    assert context.evaluator.longest_known(genome.architecture) is not None


def test_a_design_that_is_not_trained_has_a_value_of_every_constraint(tmp_path):
    """Gaussian processes take none less: what only training tells is that of a network that guesses."""
    context = bench_context(tmp_path, constraints={"error": "50 %", "worst_latency": 1.2})
    record = context.evaluator.evaluate(infeasible(context))
    trained = context.evaluator.evaluate(some_feasible(context))
    assert record.violations.keys() == trained.violations.keys()
    assert record.violations["error"] == pytest.approx((1 - 1 / CLASSES) / 0.5 - 1)
