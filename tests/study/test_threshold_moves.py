"""Each move against the plain loop over every value that one threshold could take."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.predictions import ExitPredictions
from study.threshold_moves import SampleTable, descend, lowest_feasible
from tests.reference.policy_oracle import run_policy
from tests.study.policy_cases import realistic, small_cases


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
def test_lowering_takes_the_best_single_change_that_is_feasible(case, slack, data):
    predictions, costs, _ = case
    table = SampleTable.of(predictions)
    start = starts(data.draw, predictions)
    floor = table.never_early_correct - slack
    counts, right = table.outcome(start)
    feasible = [p.latency for _, p in single_changes(predictions, start, costs) if p.right >= floor]
    best = min(feasible, default=math.inf) * table.n_samples
    changed = lowest_feasible(table, start, costs, floor)
    if changed is None:
        assert best == math.inf or (right >= floor and best >= counts @ costs - 1e-9)
        return
    assert int((changed != start).sum()) <= 1
    counts, right = table.outcome(changed)
    assert right >= floor
    assert counts @ costs == pytest.approx(best)


@given(case=small_cases(max_samples=12, max_exits=4))
@settings(max_examples=100, deadline=None)
def test_shared_outcomes_count_every_threshold(case):
    predictions, costs, _ = case
    confidence, correct = predictions.confidence.astype(float).tolist(), predictions.correct.tolist()
    values, right = SampleTable.of(predictions).shared_outcomes()
    # A value that is not listed acts like the next one above: nobody's confidence lies between.
    for value in {c for row in confidence for c in row[:-1]} | {math.inf}:
        thresholds = [value] * (predictions.n_exits - 1) + [-math.inf]
        plain = run_policy(confidence, correct, thresholds, costs.tolist(), costs.tolist())
        assert right[np.searchsorted(values, value)] == plain.right


@pytest.mark.parametrize(("drop", "floor"), [(0.0, 90), (0.01, 89), (0.005, 90), (0.1, 80), (-0.01, 91)])
def test_floor_counts_whole_samples(drop, floor):
    predictions = realistic(0, 100, 2)
    correct = np.arange(100)[:, None] < np.array([50, 90])
    table = SampleTable.of(ExitPredictions(predictions.confidence, correct))
    assert table.floor(drop) == floor


def test_descent_does_not_cut_through_equal_confidences():
    # The first sample alone would be better off leaving, but all have one confidence: they leave together or not.
    correct = np.array([[True, False], *[[False, True]] * 4])
    table = SampleTable.of(ExitPredictions(np.full((5, 2), 0.5, np.float32), correct))
    assert descend(table, np.array([np.inf, -np.inf]), np.array([1.0, 2.0]), price=10.0)[0] == np.inf
