"""Each move against the plain loop over every value that one threshold could take."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.predictions import ExitPredictions
from study.threshold_goals import CheapestAboveFloor, MostAccurateBelowCeiling
from study.threshold_moves import BestChanges, best_change, descend
from study.threshold_table import SampleTable
from tests.reference.policy_oracle import run_policy
from tests.study.policy_cases import small_cases


def single_changes(predictions, thresholds, costs):
    """What every change of one threshold gives: (thresholds, plain result)."""
    confidence, correct = predictions.confidence.astype(float).tolist(), predictions.correct.tolist()
    for j in range(predictions.n_exits - 1):
        for value in {row[j] for row in confidence} | {math.inf}:
            changed = [*thresholds[:j].tolist(), value, *thresholds[j + 1 :].tolist()]
            yield changed, run_policy(confidence, correct, changed, costs.tolist(), [1.0] * len(costs))


def starts(draw, predictions):
    levels = st.sampled_from([0.1, 0.3, 0.7, 0.9, 1.0, math.inf])
    free = predictions.n_exits - 1
    values = draw(st.lists(levels, min_size=free, max_size=free))
    return np.array([float(np.float32(v)) for v in values] + [-math.inf])


@given(
    case=small_cases(max_samples=10, max_exits=4),
    price=st.sampled_from([0.0, 0.5, 3.0, 20.0]),
    data=st.data(),
)
@settings(max_examples=150, deadline=None)
def test_descent_ends_where_no_single_change_is_better(case, price, data):
    predictions, costs, _ = case
    table = SampleTable.of(predictions)
    found = descend(table, starts(data.draw, predictions), costs, price)
    counts, right = table.outcome(found)
    value = counts @ costs - price * right
    for _, point in single_changes(predictions, found, costs):
        assert value <= (point.latency - price * point.accuracy) * table.n_samples + 1e-9


@given(case=small_cases(max_samples=10, max_exits=4), slack=st.integers(-2, 4), data=st.data())
@settings(max_examples=150, deadline=None)
def test_takes_the_cheapest_single_change_above_a_floor(case, slack, data):
    predictions, costs, _ = case
    table = SampleTable.of(predictions)
    start = starts(data.draw, predictions)
    floor = table.never_early_correct - slack
    counts, right = table.outcome(start)
    feasible = [p.latency for _, p in single_changes(predictions, start, costs) if p.right >= floor]
    best = min(feasible, default=math.inf) * table.n_samples
    changed = best_change(table, start, costs, CheapestAboveFloor(), floor)
    if changed is None:
        assert best == math.inf or (right >= floor and best >= counts @ costs - 1e-9)
        return
    assert int((changed != start).sum()) <= 1
    counts, right = table.outcome(changed)
    assert right >= floor
    assert counts @ costs == pytest.approx(best)


@given(case=small_cases(max_samples=10, max_exits=4), share=st.floats(0.2, 1.1), data=st.data())
@settings(max_examples=150, deadline=None)
def test_takes_the_most_accurate_single_change_below_a_ceiling(case, share, data):
    predictions, costs, _ = case
    table = SampleTable.of(predictions)
    start = starts(data.draw, predictions)
    ceiling = share * costs[-1] * table.n_samples
    counts, right = table.outcome(start)
    within = [
        (p.right, -p.latency)
        for _, p in single_changes(predictions, start, costs)
        if p.latency * table.n_samples <= ceiling + 1e-9
    ]
    changed = best_change(table, start, costs, MostAccurateBelowCeiling(), ceiling)
    if changed is None:
        now = (right, -(counts @ costs) / table.n_samples)
        assert not within or (counts @ costs <= ceiling + 1e-9 and max(within) <= (now[0], now[1] + 1e-9))
        return
    assert int((changed != start).sum()) <= 1
    counts, right = table.outcome(changed)
    assert counts @ costs <= ceiling + 1e-9
    assert right == max(within)[0]
    assert -(counts @ costs) / table.n_samples == pytest.approx(max(within)[1])


def test_descent_does_not_cut_through_equal_confidences():
    # The first sample alone would be better off leaving, but all have one confidence: they leave together or not.
    correct = np.array([[True, False], *[[False, True]] * 4])
    table = SampleTable.of(ExitPredictions(np.full((5, 2), 0.5, np.float32), correct))
    assert descend(table, np.array([np.inf, -np.inf]), np.array([1.0, 2.0]), price=10.0)[0] == np.inf


@given(case=small_cases(max_samples=10, max_exits=4), data=st.data())
@settings(max_examples=60, deadline=None)
def test_changes_that_are_kept_are_those_of_the_same_vector_costs_and_limit(case, data):
    """Each asked for twice, in any order: the answer is that of a search from the start."""
    predictions, costs, _ = case
    table, goal = SampleTable.of(predictions), CheapestAboveFloor()
    changes = BestChanges(table, goal)
    asked = [
        (starts(data.draw, predictions), factor * costs, float(table.never_early_correct - slack))
        for factor, slack in ((1.0, 0), (1.0, 2), (np.linspace(1.0, 3.0, len(costs)), 0))
    ]
    for thresholds, cost, limit in data.draw(st.permutations([*asked, *asked])):
        found = changes.of(thresholds, cost, limit)
        wanted = best_change(table, thresholds, cost, goal, limit)
        assert (found is None) == (wanted is None)
        if wanted is not None:
            np.testing.assert_array_equal(found, wanted)


def test_a_change_is_looked_for_once(monkeypatch):
    table = SampleTable.of(
        ExitPredictions(np.array([[0.4, 0.9], [0.8, 0.7]]), np.array([[True, True], [False, True]]))
    )
    changes, start = BestChanges(table, CheapestAboveFloor()), np.array([np.inf, -np.inf])
    first = changes.of(start, np.array([1.0, 2.0]), 1.0)
    assert first is not None
    monkeypatch.setattr("study.threshold_moves.best_change", None)  # cannot be called
    assert changes.of(start.copy(), np.array([1.0, 2.0]), 1.0) is first
