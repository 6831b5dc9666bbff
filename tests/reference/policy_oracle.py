"""Exit policies as plain loops: every sample, every exit, every combination of thresholds.

Shares no code and no trick with ``study``: no sorting, no cumulative sums, no arrays.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

Rows = Sequence[Sequence[float]]
Flags = Sequence[Sequence[bool]]


@dataclass(frozen=True)
class PlainPoint:
    """What a policy gave, counted sample by sample."""

    left: tuple[int, ...]
    right: int
    accuracy: float
    latency: float
    energy: float
    edp: float


def run_policy(
    confidence: Rows,
    correct: Flags,
    thresholds: Sequence[float],
    latency: Sequence[float],
    energy: Sequence[float],
) -> PlainPoint:
    """Walks each sample from exit to exit until one lets it out; the last one always does."""
    last = len(thresholds) - 1
    left = [0] * len(thresholds)
    right = 0
    sums = [0.0, 0.0, 0.0]
    for sample, answers in zip(confidence, correct, strict=True):
        k = 0
        while k < last and not sample[k] >= thresholds[k]:
            k += 1
        left[k] += 1
        right += bool(answers[k])
        sums[0] += latency[k]
        sums[1] += energy[k]
        sums[2] += latency[k] * energy[k]
    n = len(confidence)
    return PlainPoint(tuple(left), right, right / n, sums[0] / n, sums[1] / n, sums[2] / n)


def all_thresholds(confidence: Rows) -> Iterator[tuple[float, ...]]:
    """Every combination that can make a difference: any confidence of that exit, or nobody leaves."""
    n_exits = len(confidence[0])
    choices = [[*sorted({row[k] for row in confidence}), math.inf] for k in range(n_exits - 1)]
    for combination in itertools.product(*choices):
        yield (*combination, -math.inf)


def best_policy(
    confidence: Rows, correct: Flags, latency: Sequence[float], energy: Sequence[float], target_drop: float
) -> PlainPoint:
    """The cheapest feasible combination, found by trying them all."""
    n = len(confidence)
    floor = sum(bool(row[-1]) for row in correct) / n - target_drop
    points = (run_policy(confidence, correct, t, latency, energy) for t in all_thresholds(confidence))
    return min((p for p in points if p.accuracy >= floor - 1e-9), key=lambda p: p.edp)


def most_right(confidence: Rows, correct: Flags, cost: Sequence[float], ceiling: float) -> int:
    """Most right answers with a mean cost of at most the ceiling, of all combinations; -1: none."""
    unit = [1.0] * len(cost)
    points = (run_policy(confidence, correct, t, cost, unit) for t in all_thresholds(confidence))
    return max((p.right for p in points if p.latency <= ceiling + 1e-9), default=-1)


def shared_points(
    confidence: Rows, correct: Flags, latency: Sequence[float], energy: Sequence[float]
) -> list[PlainPoint]:
    """What every threshold gives that all exits could share: every confidence there is, and infinity."""
    n_exits = len(confidence[0])
    values = sorted({c for row in confidence for c in row} | {math.inf})
    return [
        run_policy(confidence, correct, [v] * (n_exits - 1) + [-math.inf], latency, energy) for v in values
    ]


def best_shared(
    confidence: Rows, correct: Flags, latency: Sequence[float], energy: Sequence[float], target_drop: float
) -> PlainPoint:
    """The cheapest feasible threshold that all exits share."""
    floor = sum(bool(row[-1]) for row in correct) / len(confidence) - target_drop
    points = shared_points(confidence, correct, latency, energy)
    return min((p for p in points if p.accuracy >= floor - 1e-9), key=lambda p: p.edp)
