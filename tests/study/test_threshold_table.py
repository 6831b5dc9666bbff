from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.predictions import ExitPredictions
from study.threshold_table import SampleTable
from tests.reference.policy_oracle import shared_points
from tests.study.policy_cases import realistic, small_cases, with_classes


@given(case=small_cases(max_samples=12, max_exits=4))
@settings(max_examples=100, deadline=None)
def test_shared_front_is_what_is_worth_its_cost(case):
    predictions, costs, _ = case
    confidence, correct = predictions.confidence.astype(float).tolist(), predictions.correct.tolist()
    plain = shared_points(confidence, correct, costs.tolist(), costs.tolist())
    values, counts, right = SampleTable.of(predictions).shared_front()
    for row, count, answers in zip(values, counts, right, strict=True):
        thresholds = np.append(np.full(predictions.n_exits - 1, row), -np.inf)
        np.testing.assert_array_equal(SampleTable.of(predictions).outcome(thresholds)[0], count)
        assert SampleTable.of(predictions).outcome(thresholds)[1] == answers
    assert (np.diff(right) > 0).all()
    for point in plain:  # every threshold has one on the front that is as accurate and no dearer
        at = int(np.searchsorted(right, point.right))
        assert counts[at] @ costs <= point.latency * predictions.n_samples + 1e-9


@pytest.mark.parametrize(("drop", "floor"), [(0.0, 90), (0.01, 89), (0.005, 90), (0.1, 80), (-0.01, 91)])
def test_floor_counts_whole_samples(drop, floor):
    predictions = realistic(0, 100, 2)
    correct = np.arange(100)[:, None] < np.array([50, 90])
    table = SampleTable.of(ExitPredictions(predictions.confidence, correct))
    assert table.floor(drop) == floor


@pytest.mark.parametrize("score", ["max_softmax", "entropy", "margin", "patience"])
def test_samples_are_in_order_of_the_score(score):
    predictions = with_classes(0, 50, 3)
    table = SampleTable.of(predictions, score)
    ordered = np.take_along_axis(table.scores, table.order, axis=1)
    assert (np.diff(ordered, axis=1) <= 0).all()
    np.testing.assert_array_equal(table.scores.T, predictions.scores(score))


@given(case=small_cases(max_samples=12, max_exits=4), levels=st.integers(1, 15), data=st.data())
@settings(max_examples=100, deadline=None)
def test_what_holds_on_a_coarse_table_holds_on_the_full_one(case, levels, data):
    predictions = case[0]
    table = SampleTable.of(predictions)
    coarse = table.coarse(levels)
    assert all(len(np.unique(row)) <= levels for row in coarse.scores)
    assert (coarse.scores <= table.scores).all()
    options = st.sampled_from([-np.inf, 0.1, 0.2, 0.3, 0.5, 0.7, 0.8, 0.9, 1.0, np.inf])
    free = predictions.n_exits - 1
    thresholds = np.append(data.draw(st.lists(options, min_size=free, max_size=free)), -np.inf)
    snapped = coarse.snapped(thresholds)
    on_coarse = coarse.outcome(thresholds)
    for counts, right in (coarse.outcome(snapped), table.outcome(snapped)):
        np.testing.assert_array_equal(counts, on_coarse[0])
        assert right == on_coarse[1]


def test_as_many_levels_as_samples_keep_every_score():
    table = SampleTable.of(realistic(0, 37, 3))
    for levels in (37, 1000):
        np.testing.assert_array_equal(table.coarse(levels).scores, table.scores)


def test_levels_hold_equally_many_samples():
    table = SampleTable.of(realistic(1, 100, 2)).coarse(10)
    assert [np.unique(row, return_counts=True)[1].tolist() for row in table.scores] == [[10] * 10] * 2
