"""How far confidences are from the share of right answers."""

import numpy as np
import numpy.typing as npt

BINS = 15
"""As many as Guo et al. 2017 use."""


def calibration_errors(
    confidence: npt.ArrayLike, correct: npt.ArrayLike, bins: int = BINS
) -> npt.NDArray[np.float64]:
    """Expected calibration error of each exit: mean over bins of |accuracy - mean confidence|.

    The bins hold equally many samples instead of being equally wide (Nixon et al. 2019, "Measuring calibration in
    deep learning"): confidences of trained networks crowd near 1, so most of 15 equally wide bins are nearly empty,
    and a bin of few samples shows an error by chance alone. Even a calibrated exit shows some: with m samples a bin
    and accuracy p about 0.8 sqrt(p (1 - p) / m). Samples of one confidence count with their mean accuracy, so that
    the order of samples does not matter.

    Args:
        confidence: (n_samples, n_exits) probabilities of the predicted classes.
        correct: (n_samples, n_exits) bool.
        bins: At most this many; fewer where there are fewer samples.

    Returns:
        (n_exits,) fractions of 1.
    """
    probabilities = np.asarray(confidence, dtype=np.float64)
    right = np.asarray(correct, dtype=np.float64)
    n_samples, n_exits = probabilities.shape
    errors = np.zeros(n_exits)
    for k in range(n_exits):
        values, group, size = np.unique(probabilities[:, k], return_inverse=True, return_counts=True)
        accuracy = np.bincount(group, weights=right[:, k]) / size
        gaps = np.repeat(accuracy - values, size)  # one a sample, by rising confidence
        errors[k] = sum(abs(part.sum()) for part in np.array_split(gaps, min(bins, n_samples))) / n_samples
    return errors
