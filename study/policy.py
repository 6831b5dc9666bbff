"""What an exit policy does to a batch of samples: who leaves where, and what that costs.

A sample leaves at the first exit whose score (``models.scores``: larger leaves) reaches that exit's threshold; the
last exit takes the rest. Leaving at exit k costs the CUMULATIVE energy and latency up to and including exit k, heads
passed included, so with exit ratios r_k the mean energy-latency product is ``sum_k r_k * energy_k * latency_k`` (the
product is taken per sample and then averaged; it is not the product of the two means).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from hwcost.errors import OfframpError
from models.exit_policy import ExitPolicy
from models.scores import ScoreName

if TYPE_CHECKING:
    from models.predictions import ExitPredictions

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class OperatingPoint:
    """What thresholds give on one split with one design's cost.

    Attributes:
        thresholds: (n_exits,) see ``models.exit_policy.ExitPolicy``.
        exit_ratios: (n_exits,) share of samples that leave at each exit; sums to 1.
        accuracy: fraction of samples right under the policy.
        exit_accuracies: (n_exits,) fraction right if ALL samples left at that exit.
        leaving_accuracies: (n_exits,) fraction right among those that leave there; NaN where nobody leaves.
        mean_latency_cycles: mean over samples of the cumulative latency at the exit taken.
        mean_energy_pj: the same for energy.
        mean_edp_pj_cycles: mean over samples of (cumulative energy x cumulative latency).
    """

    thresholds: FloatArray
    exit_ratios: FloatArray
    accuracy: float
    exit_accuracies: FloatArray
    leaving_accuracies: FloatArray
    mean_latency_cycles: float
    mean_energy_pj: float
    mean_edp_pj_cycles: float


def checked_scores(
    predictions: ExitPredictions, score: ScoreName = "max_softmax"
) -> tuple[FloatArray, npt.NDArray[np.bool_]]:
    """Scores (n_samples, n_exits) as float64 and correctness (n_samples, n_exits), or an error.

    Comparing in float64 matters: a float32 confidence converts exactly, so that a threshold equal to a
    confidence lets that very sample leave, wherever the comparison is made.

    Raises:
        OfframpError: shapes differ, nothing is there, a score is not a finite number, or it was not measured.
    """
    scores = np.asarray(predictions.scores(score), dtype=np.float64)
    correct = np.asarray(predictions.correct)
    if scores.ndim != 2 or scores.shape != correct.shape or 0 in scores.shape:
        raise OfframpError(
            f"expected scores and correct of one shape (n_samples, n_exits) with at least one of each, "
            f"got {scores.shape} and {correct.shape}"
        )
    if not np.isfinite(scores).all():
        bad = int((~np.isfinite(scores)).any(axis=1).sum())
        raise OfframpError(
            f"expected finite scores, got NaN or infinity in {bad} of {len(scores)} samples; "
            "the network's outputs are broken, train it again"
        )
    return scores, correct.astype(np.bool_)


def checked_costs(cost: npt.ArrayLike, n_exits: int, name: str) -> FloatArray:
    """Cumulative cost (n_designs, n_exits) of each exit as float64, or an error.

    Args:
        cost: (n_exits,) or (n_designs, n_exits) in any unit, cumulative over exits.
        n_exits: what the predictions have.
        name: for the message, with its unit.

    Raises:
        OfframpError: wrong number of exits, negative, not finite, or shrinking from one exit to the next.
    """
    array = np.atleast_2d(np.asarray(cost, dtype=np.float64))
    if array.ndim != 2 or array.shape[1] != n_exits:
        raise OfframpError(f"expected {name} for {n_exits} exits, got shape {np.shape(cost)}")
    if not np.isfinite(array).all() or (array < 0).any():
        raise OfframpError(f"expected finite {name} of at least 0, got {array.min()} to {array.max()}")
    if (np.diff(array, axis=1) < 0).any():
        raise OfframpError(
            f"expected cumulative {name} that never shrinks from one exit to the next; "
            "give the cost up to and including each exit, not the cost of each segment"
        )
    return array


def exit_taken(scores: FloatArray, thresholds: FloatArray) -> IntArray:
    """Index of the exit each sample takes, (n_samples,).

    Args:
        scores: (n_samples, n_exits).
        thresholds: (n_exits,), the last ``-inf``.
    """
    return (scores >= thresholds).argmax(axis=1)


def answers(
    predictions: ExitPredictions, thresholds: npt.ArrayLike, score: ScoreName = "max_softmax"
) -> npt.NDArray[np.bool_]:
    """Whether each sample is right at the exit it takes, (n_samples,).

    Args:
        predictions: Scores and correctness of every sample at every exit.
        thresholds: (n_exits,) see ``ExitPolicy``.
        score: What the thresholds are compared with.
    """
    scores, correct = checked_scores(predictions, score)
    taken = exit_taken(scores, ExitPolicy(np.asarray(thresholds, dtype=np.float64)).thresholds)
    right: npt.NDArray[np.bool_] = correct[np.arange(len(correct)), taken]
    return right


def apply_policy(
    predictions: ExitPredictions,
    thresholds: npt.ArrayLike,
    latency_cycles: npt.ArrayLike,
    energy_pj: npt.ArrayLike,
    score: ScoreName = "max_softmax",
) -> OperatingPoint:
    """What one policy gives on one split.

    Args:
        predictions: scores and correctness of every sample at every exit.
        thresholds: (n_exits,) see ``ExitPolicy``.
        latency_cycles: (n_exits,) cumulative up to and including each exit.
        energy_pj: (n_exits,) the same for energy.
        score: what the thresholds are compared with.

    Raises:
        OfframpError: shapes do not fit, NaN confidences or thresholds, costs that are not cumulative.
    """
    return apply_policies(predictions, np.asarray(thresholds)[None], latency_cycles, energy_pj, score)[0]


def apply_policies(
    predictions: ExitPredictions,
    thresholds: npt.ArrayLike,
    latency_cycles: npt.ArrayLike,
    energy_pj: npt.ArrayLike,
    score: ScoreName = "max_softmax",
) -> list[OperatingPoint]:
    """What many policies give on one split, each with its own design's cost.

    Rows with the same thresholds are evaluated once: tuning for many designs of one network gives few
    distinct ones.

    Args:
        predictions: scores and correctness of every sample at every exit.
        thresholds: (n_points, n_exits) see ``ExitPolicy``.
        latency_cycles: (n_points, n_exits) or (n_exits,) cumulative up to and including each exit.
        energy_pj: the same for energy.
        score: what the thresholds are compared with.

    Raises:
        OfframpError: as ``apply_policy``, or numbers of rows that do not fit together.
    """
    scores, correct = checked_scores(predictions, score)
    n_exits = scores.shape[1]
    policies = [ExitPolicy(row).thresholds for row in np.asarray(thresholds, dtype=np.float64)]
    latency = checked_costs(latency_cycles, n_exits, "latency (cycles)")
    energy = checked_costs(energy_pj, n_exits, "energy (pJ)")
    for name, rows in (("latency_cycles", len(latency)), ("energy_pj", len(energy))):
        if rows not in (1, len(policies)):
            raise OfframpError(f"expected 1 or {len(policies)} rows of {name}, one per policy, got {rows}")
    exit_accuracies = correct.mean(axis=0)
    exit_accuracies.setflags(write=False)

    splits: dict[bytes, tuple[FloatArray, FloatArray, float]] = {}
    points = []
    for i, policy in enumerate(policies):
        if len(policy) != n_exits:
            raise OfframpError(f"expected {n_exits} thresholds, one per exit, got {len(policy)}")
        key = policy.tobytes()
        if key not in splits:
            splits[key] = _split(exit_taken(scores, policy), correct)
        ratios, leaving, accuracy = splits[key]
        cycles, pj = latency[i % len(latency)], energy[i % len(energy)]
        points.append(
            OperatingPoint(
                thresholds=policy,
                exit_ratios=ratios,
                accuracy=accuracy,
                exit_accuracies=exit_accuracies,
                leaving_accuracies=leaving,
                mean_latency_cycles=float(ratios @ cycles),
                mean_energy_pj=float(ratios @ pj),
                mean_edp_pj_cycles=float(ratios @ (cycles * pj)),
            )
        )
    return points


def _split(taken: IntArray, correct: npt.NDArray[np.bool_]) -> tuple[FloatArray, FloatArray, float]:
    """Exit ratios (n_exits,), accuracy of those who leave at each exit (n_exits,), accuracy of all."""
    n_samples, n_exits = correct.shape
    right = correct[np.arange(n_samples), taken]
    left = np.bincount(taken, minlength=n_exits)
    left_right = np.bincount(taken[right], minlength=n_exits)
    leaving = np.full(n_exits, np.nan)
    np.divide(left_right, left, out=leaving, where=left > 0)
    ratios = left / n_samples
    for array in (ratios, leaving):
        array.setflags(write=False)
    return ratios, leaving, float(right.sum() / n_samples)
