"""Which designs are on the front, and how much of the objective space it covers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import moocore
import numpy as np

from study.record import DesignRecord

if TYPE_CHECKING:
    from study.hardware import StaticCost

REFERENCE_POINT = 1.2
"""Worst value per objective that still counts: 1.2 times the static latency and energy, which is the default bound
on the worst case; for the error it is 1.2 times the error of chance, so that every trained network counts."""


def objective_front(records: Sequence[DesignRecord]) -> list[int]:
    """Indices of the designs that no other one beats in error, mean latency and mean energy.

    Only feasible designs count that were trained as long as any of the study.
    """
    candidates = [i for i, r in enumerate(records) if r.may_lead]
    if not candidates:
        return []
    points = np.array([records[i].objectives for i in candidates])
    return [candidates[i] for i in np.flatnonzero(moocore.is_nondominated(points))]


def headline_front(records: Sequence[DesignRecord]) -> list[int]:
    """The same in accuracy and mean energy-latency product, by falling accuracy."""
    candidates = [i for i, r in enumerate(records) if r.may_lead]
    if not candidates:
        return []
    points = np.array([(-records[i].accuracy, records[i].mean_edp_pj_cycles) for i in candidates])
    front = [candidates[i] for i in np.flatnonzero(moocore.is_nondominated(points))]
    return sorted(front, key=lambda i: -records[i].accuracy)


def hypervolume(records: Sequence[DesignRecord], static: StaticCost, classes: int) -> float:
    """Share of the box between the ideal point and the reference point that the designs dominate, 0 to 1.

    Objectives are divided by the error of chance and by the static reference's latency and energy.
    """
    scale = np.array([1.0 - 1.0 / classes, static.latency_cycles, static.energy_pj])
    points = np.array([r.objectives for r in records if r.may_lead]).reshape(-1, 3) / scale
    inside = points[(points < REFERENCE_POINT).all(axis=1)]
    if not len(inside):
        return 0.0
    return float(moocore.hypervolume(inside, ref=[REFERENCE_POINT] * 3)) / REFERENCE_POINT**3
