from __future__ import annotations

import numpy as np
import pytest

from models.calibration_error import calibration_errors


def plain(confidence, correct, bins):
    """Distinct confidences only: sort, cut into pieces, compare means."""
    pairs = sorted(zip(confidence, correct, strict=True))
    size, rest = divmod(len(pairs), bins)
    error, start = 0.0, 0
    for i in range(bins):
        part = pairs[start : start + size + (i < rest)]
        start += len(part)
        error += abs(sum(c for c, _ in part) / len(part) - sum(r for _, r in part) / len(part)) * len(part)
    return error / len(pairs)


@pytest.mark.parametrize("n_samples", [15, 100, 1003])
def test_equals_a_plain_loop(n_samples):
    rng = np.random.default_rng(n_samples)
    confidence = rng.random((n_samples, 2))
    correct = rng.random((n_samples, 2)) < 0.6
    found = calibration_errors(confidence, correct)
    for k in range(2):
        assert found[k] == pytest.approx(plain(confidence[:, k], correct[:, k], 15))


def test_an_honest_exit_has_nearly_none_and_a_boaster_what_it_boasts():
    rng = np.random.default_rng(0)
    honest = rng.random(200_000) * 0.8 + 0.1
    right = rng.random(200_000) < honest
    errors = calibration_errors(np.stack([honest, honest + 0.1], axis=1), np.stack([right, right], axis=1))
    assert errors[0] < 0.004
    assert errors[1] == pytest.approx(0.1, abs=0.002)


def test_the_order_of_samples_does_not_matter():
    rng = np.random.default_rng(1)
    confidence = np.round(rng.random((97, 3)), 1)
    correct = rng.random((97, 3)) < confidence
    order = rng.permutation(97)
    np.testing.assert_allclose(
        calibration_errors(confidence, correct), calibration_errors(confidence[order], correct[order])
    )


def test_all_equal_confidences_are_one_bin_in_effect():
    assert calibration_errors(np.full((40, 1), 0.75), np.arange(40)[:, None] < 10)[0] == pytest.approx(0.5)


def test_fewer_samples_than_bins():
    assert calibration_errors([[0.9], [0.6]], [[True], [False]])[0] == pytest.approx((0.1 + 0.6) / 2)
