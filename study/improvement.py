"""By how much a design with an uncertain result is expected to enlarge the hypervolume of three objectives."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

_CHUNK = 1_000_000  # candidates x boxes at a time: 8 MB an array


@dataclass(frozen=True)
class Boxes:
    """Disjoint boxes that fill what no member of a front dominates, below a reference point.

    Attributes:
        lower: (n_boxes, 3); minus infinity where a box is open.
        upper: (n_boxes, 3).
    """

    lower: np.ndarray
    upper: np.ndarray


def undominated_boxes(front: np.ndarray, reference: np.ndarray) -> Boxes:
    """Cuts the region that is not dominated into boxes, about two for each member of the front.

    A sweep along the third objective keeps the staircase of the other two; a step of it is a box that stays open
    until a member cuts it. The idea is that of Yang et al., "Efficient computation of expected hypervolume
    improvement using box decomposition algorithms", J. Global Optimization 75 (2019), section 4.

    Args:
        front: (n, 3), to be minimised; dominated members are allowed, and change nothing.
        reference: (3,); members that are not below it in every objective change nothing.

    Returns:
        The boxes; one where the front is empty.
    """
    lower: list[tuple[float, float, float]] = []
    upper: list[tuple[float, float, float]] = []

    def close(step: tuple[float, float, float, float], end: float) -> None:
        left, right, top, begin = step
        if end > begin:
            lower.append((left, -math.inf, begin))
            upper.append((right, top, end))

    # A step: its range of the first objective, its bound of the second, and where it begins in the third.
    steps = [(-math.inf, float(reference[0]), float(reference[1]), -math.inf)]
    inside = front[(front < reference).all(axis=1)]
    for first, second, third in inside[np.argsort(inside[:, 2], kind="stable")].tolist():
        cut = [step for step in steps if step[1] > first and step[2] > second]
        if not cut:
            continue
        before = [step for step in steps if step[1] <= first]
        after = [step for step in steps if step[1] > first and step[2] <= second]
        for step in cut:
            close(step, third)
        left, _, top, _ = cut[0]
        if left < first:
            before.append((left, first, top, third))
        lowered = (max(left, first), cut[-1][1], second, third)
        steps = [*before, lowered, *after]
    for step in steps:
        close(step, float(reference[2]))
    return Boxes(np.array(lower).reshape(-1, 3), np.array(upper).reshape(-1, 3))


def expected_improvement(mean: np.ndarray, deviation: np.ndarray, boxes: Boxes) -> np.ndarray:
    """Expected gain in hypervolume of designs whose objectives are independent and normal.

    The gain is the volume that a result dominates within the boxes, so its expectation is a sum over boxes of
    products of one integral of the normal distribution function for each objective.

    Args:
        mean: (n, 3).
        deviation: (n, 3), positive.
        boxes: What is not dominated yet.

    Returns:
        (n,), not negative.
    """
    rows = max(1, _CHUNK // max(1, len(boxes.upper)))
    gains = []
    for start in range(0, len(mean), rows):
        part = slice(start, start + rows)
        gain = np.ones((1, 1))
        for objective in range(3):
            # Boxes share their bounds: the integral is computed once a bound.
            bounds, at = np.unique(
                [boxes.lower[:, objective], boxes.upper[:, objective]], return_inverse=True
            )
            integral = _integral(mean[part, objective, None], deviation[part, objective, None], bounds)
            below, above = at.reshape(2, -1)
            gain = gain * (integral[:, above] - integral[:, below])
        gains.append(gain.sum(axis=1))
    return np.maximum(np.concatenate(gains), 0.0) if gains else np.zeros(0)


def expected_fall(mean: np.ndarray, deviation: np.ndarray, best: float) -> np.ndarray:
    """Expected improvement of one objective whose result is normal, on the best value so far.

    Args:
        mean: (n,).
        deviation: (n,), positive.
        best: Lowest value that was measured.

    Returns:
        (n,), not negative.
    """
    return _integral(mean[:, None], deviation[:, None], np.array([best]))[:, 0]


def dominated_probability(
    mean: np.ndarray, deviation: np.ndarray, front: np.ndarray, draws: int = 1000
) -> np.ndarray:
    """How probable it is that a design is dominated by the front, as the share of drawn results that are.

    The draws are the same in every call, so that the answer is a function of the arguments.

    Args:
        mean: (n, 3).
        deviation: (n, 3), positive.
        front: (m, 3), measured.
        draws: Results drawn of each design.

    Returns:
        (n,), in 0..1; 0 where the front is empty.
    """
    normal = np.random.default_rng(0).standard_normal((draws, mean.shape[1]))
    share = np.zeros(len(mean))
    for row in range(len(mean)):
        results = mean[row] + deviation[row] * normal
        share[row] = (front[None] <= results[:, None]).all(axis=2).any(axis=1).mean()
    return share


def _integral(mean: np.ndarray, deviation: np.ndarray, bound: np.ndarray) -> np.ndarray:
    """Integral of the normal distribution function from minus infinity to a bound, 0 at minus infinity."""
    finite = np.where(np.isfinite(bound), bound, 0.0)
    z = (finite - mean) / deviation
    value = deviation * (z * normal_cdf(z) + np.exp(-0.5 * z * z) / math.sqrt(2.0 * math.pi))
    return np.where(np.isfinite(bound), np.maximum(value, 0.0), 0.0)


def normal_cdf(z: np.ndarray) -> np.ndarray:
    """Standard normal distribution function, absolute error below 1e-7.

    Abramowitz and Stegun, "Handbook of Mathematical Functions", formula 26.2.17.
    """
    t = 1.0 / (1.0 + 0.2316419 * np.abs(z))
    series = t * (0.319381530 + t * (-0.356563782 + t * (1.781477937 + t * (-1.821255978 + t * 1.330274429))))
    tail = np.exp(-0.5 * z * z) / math.sqrt(2.0 * math.pi) * series
    return np.where(z < 0, tail, 1.0 - tail)
