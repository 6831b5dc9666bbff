from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hwcost.errors import OfframpError
from models.exit_policy import ExitPolicy
from models.predictions import ExitPredictions
from study.policy import apply_policies, apply_policy
from tests.reference.policy_oracle import run_policy
from tests.study.policy_cases import cumulative_costs, realistic, small_cases


@given(case=small_cases(max_samples=12, max_exits=4), data=st.data())
@settings(max_examples=200, deadline=None)
def test_equals_a_walk_through_the_exits(case, data):
    predictions, latency, energy = case
    levels = st.sampled_from([-np.inf, 0.1, 0.3, 0.5, 0.7, 0.9, 1.0, np.inf])
    free = predictions.n_exits - 1
    thresholds = [*data.draw(st.lists(levels, min_size=free, max_size=free)), -np.inf]
    # A threshold taken from the data is the float64 of a float32: 0.7 as written is another number.
    thresholds = [float(np.float32(t)) for t in thresholds]
    point = apply_policy(predictions, thresholds, latency, energy)
    plain = run_policy(
        predictions.confidence.astype(float).tolist(),
        predictions.correct.tolist(),
        thresholds,
        latency.tolist(),
        energy.tolist(),
    )
    assert point.exit_ratios * predictions.n_samples == pytest.approx(plain.left)
    assert point.accuracy == pytest.approx(plain.accuracy)
    assert point.mean_latency_cycles == pytest.approx(plain.latency)
    assert point.mean_energy_pj == pytest.approx(plain.energy)
    assert point.mean_edp_pj_cycles == pytest.approx(plain.edp)
    left = point.exit_ratios > 0
    assert np.isnan(point.leaving_accuracies[~left]).all()
    assert point.exit_ratios[left] @ point.leaving_accuracies[left] == pytest.approx(point.accuracy)


def test_mean_of_products_is_not_product_of_means():
    predictions = ExitPredictions(np.array([[0.9, 0.5], [0.1, 0.5]], np.float32), np.ones((2, 2), bool))
    point = apply_policy(predictions, [0.8, -np.inf], [1.0, 3.0], [10.0, 30.0])
    assert point.mean_edp_pj_cycles == pytest.approx((10.0 + 90.0) / 2)
    assert point.mean_latency_cycles * point.mean_energy_pj == pytest.approx(40.0)


def test_a_sample_whose_confidence_equals_the_threshold_leaves():
    confidence = np.array([[0.7, 0.2]], np.float32)
    predictions = ExitPredictions(confidence, np.array([[True, False]]))
    equal = apply_policy(predictions, [float(confidence[0, 0]), -np.inf], [1, 2], [1, 2])
    above = apply_policy(predictions, [np.nextafter(float(confidence[0, 0]), 1), -np.inf], [1, 2], [1, 2])
    assert (equal.exit_ratios[0], above.exit_ratios[0]) == (1.0, 0.0)


def test_many_policies_at_once_equal_one_at_a_time():
    predictions = realistic(0, 300, 4)
    latency, energy = cumulative_costs(0, 6, 4)
    rng = np.random.default_rng(0)
    thresholds = np.round(rng.uniform(0.3, 1.0, (6, 4)), 2)
    thresholds[3] = thresholds[0]  # the same policy on another design
    thresholds[:, -1] = -np.inf
    for point, *row in zip(
        apply_policies(predictions, thresholds, latency, energy), thresholds, latency, energy, strict=True
    ):
        alone = apply_policy(predictions, *row)
        assert point.mean_edp_pj_cycles == alone.mean_edp_pj_cycles
        assert point.accuracy == alone.accuracy
        np.testing.assert_array_equal(point.exit_ratios, alone.exit_ratios)


def test_never_early_costs_the_last_exit_and_shared_is_one_value():
    predictions = realistic(1, 50, 3)
    never = apply_policy(predictions, ExitPolicy.never_early(3).thresholds, [1, 2, 3], [10, 20, 30])
    assert never.exit_ratios.tolist() == [0, 0, 1]
    assert never.mean_edp_pj_cycles == 90
    assert never.accuracy == predictions.accuracies[-1]
    assert ExitPolicy.shared(0.8, 3).thresholds.tolist() == [0.8, 0.8, -np.inf]
    assert ExitPolicy.never_early(1).thresholds.tolist() == [-np.inf]


def test_results_and_policies_cannot_be_changed():
    point = apply_policy(realistic(0, 9, 2), [0.5, -np.inf], [1, 2], [1, 2])
    for array in (point.thresholds, point.exit_ratios, point.leaving_accuracies, point.exit_accuracies):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 0.0


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_broken_confidences_are_refused(bad):
    # A plain object: ExitPredictions refuses this itself, and the policy does not rely on that.
    broken = SimpleNamespace(scores=lambda name: np.array([[0.5, bad]]), correct=np.ones((1, 2), bool))
    with pytest.raises(OfframpError, match=r"finite scores.*1 of 1 samples"):
        apply_policy(broken, [0.5, -np.inf], [1, 2], [1, 2])


@pytest.mark.parametrize(
    ("thresholds", "latency", "energy", "message"),
    [
        ([0.5, 0.5], [1, 2], [1, 2], "-inf as threshold of the last exit"),
        ([np.nan, -np.inf], [1, 2], [1, 2], "NaN"),
        ([0.5, 0.5, -np.inf], [1, 2], [1, 2], "2 thresholds"),
        ([0.5, -np.inf], [1, 2, 3], [1, 2], "latency .cycles. for 2 exits"),
        ([0.5, -np.inf], [1, 2], [2, 1], "never shrinks"),
        ([0.5, -np.inf], [1, 2], [np.nan, 1], "finite energy"),
        ([0.5, -np.inf], [-1, 2], [1, 1], "at least 0"),
        ([0.5, -np.inf], [[1, 2], [1, 2]], [1, 1], "1 or 1 rows"),
    ],
)
def test_wrong_input_is_one_clear_line(thresholds, latency, energy, message):
    with pytest.raises(OfframpError, match=message) as caught:
        apply_policy(realistic(0, 5, 2), thresholds, latency, energy)
    assert "\n" not in str(caught.value)


def test_no_samples_is_an_error():
    empty = ExitPredictions(np.zeros((0, 2), np.float32), np.zeros((0, 2), bool))
    with pytest.raises(OfframpError, match="at least one"):
        apply_policy(empty, [0.5, -np.inf], [1, 2], [1, 2])
