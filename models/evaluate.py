"""From logits to what exit policies need."""

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from models.calibration_error import calibration_errors
from models.objective import NonFiniteLoss
from models.predictions import ExitPredictions
from models.scores import read_logits
from models.temperature import fit_temperatures


def exit_predictions(
    logits: Tensor, labels: Tensor, temperatures: npt.ArrayLike | None = None
) -> ExitPredictions:
    """What every exit said about a split.

    Args:
        logits: (n_samples, n_exits, classes).
        labels: (n_samples,) int64.
        temperatures: (n_exits,) the logits are divided by; 1 where None is given.

    Raises:
        NonFiniteLoss: When a logit is NaN or infinite.
    """
    if not torch.isfinite(logits).all():
        raise NonFiniteLoss("expected finite logits, got NaN or infinity; the network diverged")
    n_exits = logits.shape[1]
    values = logits.cpu().numpy()
    scale = np.ones(n_exits) if temperatures is None else np.asarray(temperatures, dtype=np.float64)
    # An exit at a time: with many classes the float64 probabilities of all of them would not fit.
    readings = [read_logits(values[:, k], scale[k]) for k in range(n_exits)]
    predicted = np.stack([reading.predicted for reading in readings], axis=1)
    correct = predicted == labels.cpu().numpy()[:, None]
    return ExitPredictions(
        confidence=np.stack([reading.confidence for reading in readings], axis=1),
        correct=correct,
        entropy=np.stack([reading.entropy for reading in readings], axis=1),
        margin=np.stack([reading.margin for reading in readings], axis=1),
        predicted=predicted,
        temperatures=None if temperatures is None else scale,
        raw_calibration_errors=None if temperatures is None else _raw_errors(values, correct),
    )


def calibrated_predictions(
    calibration_logits: Tensor,
    calibration_labels: Tensor,
    validation_logits: Tensor,
    validation_labels: Tensor,
) -> tuple[ExitPredictions, ExitPredictions]:
    """Predictions on both splits, at temperatures that the calibration split alone decides.

    Args:
        calibration_logits: (n_calibration, n_exits, classes).
        calibration_labels: (n_calibration,) int64.
        validation_logits: (n_validation, n_exits, classes).
        validation_labels: (n_validation,) int64.

    Returns:
        Of the calibration split, of the validation split.

    Raises:
        NonFiniteLoss: When a logit is NaN or infinite.
    """
    if not torch.isfinite(calibration_logits).all():
        raise NonFiniteLoss("expected finite logits, got NaN or infinity; the network diverged")
    temperatures = fit_temperatures(calibration_logits.cpu().numpy(), calibration_labels.cpu().numpy())
    return (
        exit_predictions(calibration_logits, calibration_labels, temperatures),
        exit_predictions(validation_logits, validation_labels, temperatures),
    )


def _raw_errors(logits: np.ndarray, correct: np.ndarray) -> np.ndarray:
    """(n_exits,) calibration error of logits (n_samples, n_exits, classes) as they are."""
    confidence = [read_logits(logits[:, k]).confidence for k in range(logits.shape[1])]
    return calibration_errors(np.stack(confidence, axis=1), correct)
