from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize_scalar

from hwcost.errors import OfframpError
from models.scores import read_logits
from models.temperature import TEMPERATURE_BOUNDS, fit_temperatures, negative_log_likelihood


def sampled(seed: int, n_samples: int, sharpness: float, classes: int = 5):
    """Logits that are `sharpness` times too large for the labels drawn from them."""
    rng = np.random.default_rng(seed)
    honest = 2.0 * rng.normal(size=(n_samples, classes))
    noise = rng.gumbel(
        size=honest.shape
    )  # the largest of logits plus Gumbel noise is a draw from their softmax
    return sharpness * honest, (honest + noise).argmax(axis=1)


@given(seed=st.integers(0, 1000), sharpness=st.sampled_from([0.2, 1.0, 3.0, 12.0]))
@settings(max_examples=30, deadline=None)
def test_equals_a_general_minimiser(seed, sharpness):
    logits, labels = sampled(seed, 60, sharpness)
    fitted = fit_temperatures(logits[:, None], labels)[0]
    found = minimize_scalar(
        lambda t: negative_log_likelihood(logits, labels, np.exp(t)),
        bounds=tuple(np.log(TEMPERATURE_BOUNDS)),
        method="bounded",
        options={"xatol": 1e-10},
    )
    assert fitted == pytest.approx(np.exp(found.x), rel=1e-4)


def test_undoes_what_made_the_logits_too_large():
    for sharpness in (0.5, 1.0, 4.0):
        logits, labels = sampled(0, 20_000, sharpness)
        assert fit_temperatures(logits[:, None], labels)[0] == pytest.approx(sharpness, rel=0.05)


def test_exits_are_fitted_on_their_own():
    first, labels = sampled(1, 300, 2.0)
    logits = np.stack([first, 3 * first], axis=1)
    together = fit_temperatures(logits, labels)
    assert together[0] == pytest.approx(fit_temperatures(first[:, None], labels)[0])
    assert together[1] == pytest.approx(3 * together[0], rel=1e-6)


def test_the_predicted_class_stays():
    logits, labels = sampled(2, 200, 5.0)
    temperature = fit_temperatures(logits[:, None], labels)[0]
    np.testing.assert_array_equal(read_logits(logits).predicted, read_logits(logits, temperature).predicted)


def test_where_there_is_no_minimum_the_bound_is_taken():
    right = np.eye(3)[[0, 1, 2, 0]] * 4
    labels = np.array([0, 1, 2, 0])
    assert fit_temperatures(right[:, None], labels)[0] == TEMPERATURE_BOUNDS[0]
    assert fit_temperatures(right[:, None], (labels + 1) % 3)[0] == TEMPERATURE_BOUNDS[1]


def test_logits_that_are_all_equal_stay_as_they_are():
    assert fit_temperatures(np.full((4, 1, 3), 2.0), [0, 1, 2, 0]).tolist() == [1.0]


def test_no_samples_are_refused():
    with pytest.raises(OfframpError, match="at least one sample"):
        fit_temperatures(np.zeros((0, 2, 3)), np.zeros(0, int))
    with pytest.raises(OfframpError, match="labels"):
        fit_temperatures(np.zeros((4, 2, 3)), np.zeros(3, int))
