"""What every front member gives under thresholds from never leaving early to all leaving at once.

Two curves a member: one threshold that all exits share, over all values that scores take, and thresholds of each
exit, tuned on the calibration split for accuracies given away from none to all. Both are measured on validation. A
threshold chosen by looking at them is chosen on validation, so measure what you publish on the test split.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import ROUND_FLOOR, Context
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from models.architecture import Architecture
from models.exit_policy import LARGEST_THRESHOLD
from models.predictions import ExitPredictions
from models.scores import ScoreName
from study.hardware import HardwareCosts
from study.leaving_out import network_of
from study.memo import TrainedNetwork
from study.policy import OperatingPoint, apply_policies
from study.side_by_side import in_order
from study.tables import SPLIT, Design
from study.thresholds import tune_many

SHARED_POINTS = 33
DROPS = (
    0.0, 0.0025, 0.005, 0.0075, 0.01, 0.015, 0.02, 0.025, 0.03, 0.04, 0.05, 0.06, 0.08, 0.1, 0.15, 0.2, 0.3, 0.5,
    1.0,
)  # fmt: skip
"""Accuracy that may be given away on calibration, as fractions of 1: fine where people choose, up to all of it."""

COLUMNS = (
    "design", "trial", "curve", "point", "target", "thresholds", "ratios", "accuracy", "mean_latency_cycles",
    "mean_energy_pj", "mean_edp_pj_cycles", "edp_relative", "split",
)  # fmt: skip


def shared_thresholds(predictions: ExitPredictions, score: ScoreName) -> np.ndarray:
    """Thresholds from one that every sample reaches to one that none does, (n_points,), ascending.

    Between the two ends they are quantiles of all early exits' scores, so that each step moves equally many
    samples; at most `SHARED_POINTS` in all.
    """
    early = predictions.scores(score)[:, :-1]
    quantiles = np.quantile(early, np.linspace(0.0, 1.0, SHARED_POINTS - 1), method="inverted_cdf")
    return np.append(np.unique(quantiles), np.inf)


def policy_curves(
    members: Sequence[Design],
    find: Callable[[Architecture], TrainedNetwork | None],
    hardware: HardwareCosts,
    score: ScoreName,
    reference_edp_pj_cycles: float,
    workers: int = 1,
) -> pd.DataFrame:
    """One row a point of each curve of each member that has early exits and whose predictions are kept.

    Args:
        members: Of the front.
        find: Gives the predictions of a trained network, None where they are lost; with several workers it is handed
            to other processes.
        hardware: The simulator.
        score: What thresholds are compared with.
        reference_edp_pj_cycles: Of the static reference.
        workers: Processes at most; the table is the same.
    """
    by_network: dict[tuple[str, str], list[Design]] = {}
    for member in members:
        if not member.record.genome.architecture.is_static:
            of = member.record.network.key(), member.record.genome.architecture.key()
            by_network.setdefault(of, []).append(member)
    work = partial(_curves_of, find, hardware, score)
    curves = in_order(work, list(by_network.values()), workers)
    frame = pd.DataFrame([row for rows in curves for row in rows], columns=list(COLUMNS))
    return frame.assign(edp_relative=frame["mean_edp_pj_cycles"] / reference_edp_pj_cycles)


def _curves_of(
    find: Callable[[Architecture], TrainedNetwork | None],
    hardware: HardwareCosts,
    score: ScoreName,
    designs: Sequence[Design],
) -> list[dict[str, Any]]:
    """Both curves of all designs that share one trained network; none where it is lost."""
    whole = find(designs[0].record.network)
    if whole is None:
        return []
    network = network_of(designs[0].record, whole)
    architecture = designs[0].record.genome.architecture
    allocations = np.array([d.record.genome.allocation for d in designs])
    levels = np.array([d.record.genome.level for d in designs])
    costs = hardware.stage_costs(architecture, allocations, levels)
    n_exits = costs.latency_cycles.shape[1]
    values = shared_thresholds(network.validation, score)
    shared = np.full((len(values), n_exits), -np.inf)
    shared[:, :-1] = values[:, None]
    tuned = tune_many(network.calibration, costs.latency_cycles, costs.energy_pj, DROPS, score).thresholds
    rows = []
    for index, design in enumerate(designs):
        targets: dict[str, list[float | None]] = {"shared": [None] * len(shared), "per_exit": list(DROPS)}
        for curve, thresholds in (("shared", shared), ("per_exit", tuned[index])):
            points = apply_policies(
                network.validation, thresholds, costs.latency_cycles[index], costs.energy_pj[index], score
            )
            for number, (target, point) in enumerate(zip(targets[curve], points, strict=True)):
                place = {"design": design.identifier, "trial": design.trial, "curve": curve, "point": number}
                rows.append({**place, "target": target, **_columns(point)})
    return rows


def threshold_text(threshold: float) -> str:
    """A threshold in nine digits, rounded down, under which the same samples leave.

    A threshold is a score, and scores are float32, which seven digits do not tell apart just below 1 and nine do.
    Rounded up, the very sample whose score it is would stay.
    """
    if abs(threshold) > LARGEST_THRESHOLD:
        return f"{threshold:.6g}"
    return str(_NINE_DIGITS.create_decimal(float(threshold)))


_NINE_DIGITS = Context(prec=9, rounding=ROUND_FLOOR)


def _columns(point: OperatingPoint) -> dict[str, Any]:
    return {
        "thresholds": " ".join(threshold_text(t) for t in point.thresholds[:-1]),
        "ratios": " ".join(f"{r:.6g}" for r in point.exit_ratios),
        "accuracy": point.accuracy,
        "mean_latency_cycles": point.mean_latency_cycles,
        "mean_energy_pj": point.mean_energy_pj,
        "mean_edp_pj_cycles": point.mean_edp_pj_cycles,
        "split": SPLIT,
    }
