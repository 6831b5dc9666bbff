"""By how much a design with an uncertain result is expected to enlarge the hypervolume of one to four objectives."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

MOST_OBJECTIVES = 4
"""A front of some hundred members leaves a few thousand boxes with four objectives, ten times as many with five."""

_CHUNK = 1_000_000  # candidates x boxes at a time: 8 MB an array


@dataclass(frozen=True)
class Boxes:
    """Disjoint boxes that fill what no member of a front dominates, below a reference point.

    Attributes:
        lower: (n_boxes, n_objectives); minus infinity where a box is open.
        upper: (n_boxes, n_objectives).
    """

    lower: np.ndarray
    upper: np.ndarray


def undominated_boxes(front: np.ndarray, reference: np.ndarray) -> Boxes:
    """Cuts the region that is not dominated into boxes.

    Args:
        front: (n, n_objectives), to be minimised; dominated members are allowed, and change nothing.
        reference: (n_objectives,); members that are not below it in every objective change nothing.

    Returns:
        The boxes; one where the front is empty.
    """
    inside = front[(front < reference).all(axis=1)]
    inside = inside[np.argsort(inside[:, -1], kind="stable")]
    return _three_objectives(inside, reference) if len(reference) == 3 else _any_objectives(inside, reference)


def _any_objectives(front: np.ndarray, reference: np.ndarray) -> Boxes:
    """A sweep along the last objective over open boxes of the others.

    A member closes the boxes that it reaches into where they are, and what it leaves of each goes on as up to
    n_objectives - 1 smaller ones.

    Args:
        front: (n, n_objectives), by rising last objective, below the reference.
        reference: (n_objectives,).
    """
    others = len(reference) - 1
    lower, upper = np.full((1, others), -math.inf), reference[None, :others].astype(float)
    begin = np.full(1, -math.inf)
    closed: list[tuple[np.ndarray, np.ndarray]] = []

    def close(which: np.ndarray, end: float) -> None:
        kept = which & (begin < end)
        ends = np.full(int(kept.sum()), end)
        closed.append((np.column_stack([lower[kept], begin[kept]]), np.column_stack([upper[kept], ends])))

    for member in front:
        corner, end = member[:others], float(member[others])
        cut = (upper > corner).all(axis=1)
        close(cut, end)
        rest_lower, rest_upper = lower[cut], upper[cut]
        pieces = [(lower[~cut], upper[~cut], begin[~cut])]
        for axis in range(others):
            reaches = rest_lower[:, axis] < corner[axis]
            piece_upper = rest_upper[reaches]
            piece_upper[:, axis] = corner[axis]
            pieces.append((rest_lower[reaches], piece_upper, np.full(len(piece_upper), end)))
            rest_lower = rest_lower.copy()
            rest_lower[:, axis] = np.maximum(rest_lower[:, axis], corner[axis])
        lower, upper, begin = (np.concatenate(parts) for parts in zip(*pieces, strict=True))
    close(np.ones(len(lower), dtype=bool), float(reference[others]))
    return Boxes(*(np.concatenate(parts) for parts in zip(*closed, strict=True)))


def _three_objectives(front: np.ndarray, reference: np.ndarray) -> Boxes:
    """About two boxes for each member of the front.

    A sweep along the third objective keeps the staircase of the other two; a step of it is a box that stays open
    until a member cuts it. The idea is that of Yang et al., "Efficient computation of expected hypervolume
    improvement using box decomposition algorithms", J. Global Optimization 75 (2019), section 4.

    Args:
        front: (n, 3), by rising third objective, below the reference.
        reference: (3,).
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
    for first, second, third in front.tolist():
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
        mean: (n, n_objectives).
        deviation: (n, n_objectives), positive.
        boxes: What is not dominated yet.

    Returns:
        (n,), not negative.
    """
    rows = max(1, _CHUNK // max(1, len(boxes.upper)))
    gains = []
    for start in range(0, len(mean), rows):
        part = slice(start, start + rows)
        gain = np.ones((1, 1))
        for objective in range(mean.shape[1]):
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
        mean: (n, n_objectives).
        deviation: (n, n_objectives), positive.
        front: (m, n_objectives), measured.
        draws: Results drawn of each design.

    Returns:
        (n,), in 0..1; 0 where the front is empty.
    """
    normal = np.random.default_rng(0).standard_normal((draws, mean.shape[1]))
    share = np.zeros(len(mean))
    for row in range(len(mean)):
        results = mean[row] + deviation[row] * normal
        beaten = np.ones((len(front), draws), dtype=bool)
        for objective in range(mean.shape[1]):  # one at a time: much faster than all at once
            beaten &= front[:, objective, None] <= results[:, objective]
        share[row] = beaten.any(axis=0).mean()
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
