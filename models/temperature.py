"""Temperature scaling: one number per exit that makes its confidences honest (Guo et al. 2017, section 4.2)."""

import numpy as np
import numpy.typing as npt

from hwcost.errors import OfframpError

TEMPERATURE_BOUNDS = (0.02, 50.0)
"""Where the loss has no minimum: every answer right (towards 0), or worse than a guess (towards infinity)."""

_ITERATIONS = 100
_TOLERANCE = 1e-10

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]


def fit_temperatures(logits: npt.ArrayLike, labels: npt.ArrayLike) -> FloatArray:
    """The temperature of each exit that makes the labels most likely.

    The mean negative log-likelihood of softmax(s x logits) is convex in s = 1 / temperature, so the root of its
    slope is the only minimum; Newton's method finds it, halving a bracket where a step would leave it. Fit on the
    calibration split: the training images would say that the network is surer than it is.

    Args:
        logits: (n_samples, n_exits, classes) finite.
        labels: (n_samples,) classes.

    Returns:
        (n_exits,) within `TEMPERATURE_BOUNDS`; 1 for an exit whose logits are all equal.

    Raises:
        OfframpError: Shapes do not fit, or there are no samples.
    """
    values = np.asarray(logits)
    classes = np.asarray(labels).astype(np.int64)
    if values.ndim != 3 or values.shape[:1] != classes.shape or not classes.size:
        raise OfframpError(
            f"expected logits (n_samples, n_exits, classes) and labels (n_samples,), got {values.shape} and "
            f"{classes.shape}; give at least one sample of one split"
        )
    # An exit at a time: with many classes the float64 copy of all of them would not fit.
    return np.array([_fit(values[:, k].astype(np.float64), classes) for k in range(values.shape[1])])


def negative_log_likelihood(logits: npt.ArrayLike, labels: npt.ArrayLike, temperature: float) -> float:
    """Mean over samples, in nats, of one exit.

    Args:
        logits: (n_samples, classes).
        labels: (n_samples,) classes.
        temperature: Divides the logits.
    """
    scaled = np.asarray(logits, dtype=np.float64) / temperature
    top = scaled.max(axis=1)
    normaliser = top + np.log(np.exp(scaled - top[:, None]).sum(axis=1))
    return float((normaliser - scaled[np.arange(len(scaled)), np.asarray(labels)]).mean())


def _fit(logits: FloatArray, labels: IntArray) -> float:
    """The temperature of one exit; logits (n_samples, classes)."""
    logits = logits - logits.max(axis=1, keepdims=True)
    of_labels = logits[np.arange(len(logits)), labels].mean()
    low, high = 1 / TEMPERATURE_BOUNDS[1], 1 / TEMPERATURE_BOUNDS[0]
    if not logits.any():
        return 1.0
    if _slope(logits, of_labels, low)[0] >= 0:
        return TEMPERATURE_BOUNDS[1]
    if _slope(logits, of_labels, high)[0] <= 0:
        return TEMPERATURE_BOUNDS[0]
    inverse = 1.0
    for _ in range(_ITERATIONS):
        slope, curvature = _slope(logits, of_labels, inverse)
        if slope > 0:
            high = inverse
        else:
            low = inverse
        step = inverse - slope / curvature if curvature > 0 else low
        following = step if low < step < high else (low + high) / 2
        if abs(following - inverse) <= _TOLERANCE * inverse:
            break
        inverse = following
    return float(1 / inverse)


def _slope(logits: FloatArray, of_labels: float, inverse: float) -> tuple[float, float]:
    """First and second derivative of the mean negative log-likelihood by the inverse temperature.

    They are mean and variance of the logits under the softmax, the mean less the logits of the labels.
    """
    weights = np.exp(inverse * logits)
    weights /= weights.sum(axis=1, keepdims=True)
    means = (weights * logits).sum(axis=1)
    variances = (weights * logits**2).sum(axis=1) - means**2
    return float(means.mean() - of_labels), float(variances.mean())
