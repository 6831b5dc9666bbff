"""Which designs are on the front, and how much of the objective space it covers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import moocore
import numpy as np

from study.metrics import Metric, Objectives
from study.record import DesignRecord

if TYPE_CHECKING:
    from study.hardware import StaticCost

REFERENCE_POINT = 1.2
"""Worst value per objective that still counts: 1.2 times the static reference's cost, which is the default bound
on the worst case; for the error it is 1.2 times the error of chance, so that every trained network counts."""

_MOST_EXACT = 5
"""Objectives up to which the exact hypervolume of hundreds of designs takes milliseconds."""

_SAMPLES = 16_384  # directions of the approximation: three digits in a tenth of a second


def objective_front(records: Sequence[DesignRecord], objectives: Objectives) -> list[int]:
    """Indices of the designs that no other one beats in all objectives.

    Only feasible designs count that were trained as long as any of the study.
    """
    candidates = [i for i, r in enumerate(records) if r.may_lead]
    if not candidates:
        return []
    points = np.array([objectives.values(records[i]) for i in candidates])
    return [candidates[i] for i in np.flatnonzero(moocore.is_nondominated(points))]


def headline_front(records: Sequence[DesignRecord]) -> list[int]:
    """The same in accuracy and mean energy-latency product, by falling accuracy."""
    candidates = [i for i, r in enumerate(records) if r.may_lead]
    if not candidates:
        return []
    points = np.array([(-records[i].accuracy, records[i].mean_edp_pj_cycles) for i in candidates])
    front = [candidates[i] for i in np.flatnonzero(moocore.is_nondominated(points))]
    return sorted(front, key=lambda i: -records[i].accuracy)


def hypervolume(
    records: Sequence[DesignRecord], objectives: Objectives, static: StaticCost, classes: int
) -> float:
    """Share of the box between the ideal point and the reference point that the designs dominate, 0 to 1.

    Errors are divided by the error of chance, everything else by what the static reference has. With more than
    five objectives it is approximated, always in the same directions.
    """
    metrics = objectives.metrics
    scale = np.array([_scale(metric, static, classes) for metric in metrics])
    usable = [[metric.of(record) for metric in metrics] for record in records if record.may_lead]
    return dominated_share(np.array(usable).reshape(-1, len(metrics)) / scale)


def nondominated(points: np.ndarray) -> np.ndarray:
    """The points that no other one beats in all columns, each once: (n, n_objectives), all to be minimised."""
    return points[moocore.is_nondominated(points)]


def dominated_share(points: np.ndarray) -> float:
    """Share of the box from 0 to the reference point that points dominate, 0 to 1.

    With more than five objectives it is approximated, always in the same directions.

    Args:
        points: (n, n_objectives) scaled objectives, all to be minimised.
    """
    inside = points[(points < REFERENCE_POINT).all(axis=1)]
    if not len(inside):
        return 0.0
    n_objectives = points.shape[1]
    reference = [REFERENCE_POINT] * n_objectives
    if n_objectives <= _MOST_EXACT:
        volume = float(moocore.hypervolume(inside, ref=reference))
    else:
        volume = float(moocore.hv_approx(inside, ref=reference, nsamples=_SAMPLES))
    return volume / REFERENCE_POINT**n_objectives


def _scale(metric: Metric, static: StaticCost, classes: int) -> float:
    return 1.0 - 1.0 / classes if metric.name == "error" else static.of(metric)
