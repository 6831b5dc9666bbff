from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings

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
