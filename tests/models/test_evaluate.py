from __future__ import annotations

import numpy as np
import pytest
import torch

from models.calibration_error import calibration_errors
from models.evaluate import calibrated_predictions, exit_predictions
from models.objective import NonFiniteLoss
from models.temperature import fit_temperatures


def split(seed: int, n_samples: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Three exits, each surer of itself than it should be."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.randint(0, 6, (n_samples,), generator=generator)
    logits = torch.randn((n_samples, 3, 6), generator=generator)
    logits[torch.arange(n_samples), :, labels] += torch.tensor([0.5, 1.0, 2.0])
    return logits * torch.tensor([4.0, 4.0, 8.0])[:, None], labels


def test_temperatures_come_from_calibration_alone_and_lower_the_error_on_validation():
    calibration, validation = split(0, 800), split(1, 800)
    found, held_out = calibrated_predictions(*calibration, *validation)
    expected = fit_temperatures(calibration[0].numpy(), calibration[1].numpy())
    np.testing.assert_array_equal(found.temperatures, expected)
    np.testing.assert_array_equal(held_out.temperatures, expected)
    assert (held_out.calibration_errors < 0.5 * held_out.raw_calibration_errors).all()
    other_labels = calibrated_predictions(*calibration, validation[0], (validation[1] + 1) % 6)[1]
    np.testing.assert_array_equal(other_labels.confidence, held_out.confidence)


def test_raw_errors_are_those_without_temperatures():
    logits, labels = split(2, 300)
    raw = exit_predictions(logits, labels)
    scaled = exit_predictions(logits, labels, [2.0, 3.0, 4.0])
    assert raw.temperatures is None
    np.testing.assert_array_equal(scaled.raw_calibration_errors, raw.calibration_errors)
    np.testing.assert_array_equal(
        scaled.raw_calibration_errors, calibration_errors(raw.confidence, raw.correct)
    )
    np.testing.assert_array_equal(scaled.correct, raw.correct)
    np.testing.assert_array_equal(scaled.predicted, raw.predicted)


def test_a_logit_that_is_not_finite_is_refused():
    logits, labels = split(3, 10)
    broken = logits.clone()
    broken[4, 1, 2] = torch.inf
    with pytest.raises(NonFiniteLoss, match="finite logits"):
        calibrated_predictions(broken, labels, logits, labels)
    with pytest.raises(NonFiniteLoss, match="finite logits"):
        calibrated_predictions(logits, labels, broken, labels)
