"""The published policy: one threshold per network, from a short grid (arXiv 2512.04705)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from hwcost.errors import OfframpError
from study.policy import ExitPolicy, FloatArray, OperatingPoint, apply_policies

if TYPE_CHECKING:
    from models.predictions import ExitPredictions

PAPER_GRID = (0.70, 0.75, 0.80, 0.85, 0.90, 0.95)
"""The thresholds of the paper."""


def best_shared_threshold(
    calibration: ExitPredictions,
    latency_cycles: npt.ArrayLike,
    energy_pj: npt.ArrayLike,
    target_drop: float,
    grid: Sequence[float] = PAPER_GRID,
) -> FloatArray:
    """Thresholds (n_exits,) all equal: the grid's cheapest that keeps the accuracy floor, else no early exit.

    Args:
        calibration: predictions on the calibration split.
        latency_cycles: (n_exits,) cumulative up to and including each exit.
        energy_pj: (n_exits,) the same for energy.
        target_drop: accuracy that may be given away against never leaving early, as a fraction of 1.
        grid: thresholds to choose from.
    """
    points = _grid_points(calibration, latency_cycles, energy_pj, grid)
    floor = points[0].exit_accuracies[-1] - target_drop - 1e-9
    never = ExitPolicy.never_early(calibration.n_exits).thresholds
    feasible = [point for point in points if point.accuracy >= floor]
    return min(feasible, key=lambda point: point.mean_edp_pj_cycles).thresholds if feasible else never


def bounded_shared_threshold(
    calibration: ExitPredictions,
    latency_cycles: npt.ArrayLike,
    energy_pj: npt.ArrayLike,
    reference_edp_pj_cycles: float,
    relative_bound: float = 0.5,
    grid: Sequence[float] = PAPER_GRID,
) -> FloatArray:
    """Thresholds (n_exits,) all equal: the grid's largest under a cost bound, as the paper seems to choose.

    Where none stays under the bound the smallest of the grid is taken, the nearest to it.

    Args:
        calibration: predictions on the calibration split.
        latency_cycles: (n_exits,) cumulative up to and including each exit.
        energy_pj: (n_exits,) the same for energy.
        reference_edp_pj_cycles: energy-latency product of the static reference.
        relative_bound: largest mean energy-latency product allowed, relative to the reference.
        grid: thresholds to choose from.
    """
    points = _grid_points(calibration, latency_cycles, energy_pj, grid)
    bound = relative_bound * reference_edp_pj_cycles
    within = [point for point in points if point.mean_edp_pj_cycles <= bound]
    return (within[-1] if within else points[0]).thresholds


def _grid_points(
    calibration: ExitPredictions,
    latency_cycles: npt.ArrayLike,
    energy_pj: npt.ArrayLike,
    grid: Sequence[float],
) -> list[OperatingPoint]:
    """Operating points of the grid, thresholds rising."""
    if not grid or not np.isfinite(grid).all():
        raise OfframpError(f"expected a grid of at least one finite threshold, got {tuple(grid)}")
    rows = [ExitPolicy.shared(value, calibration.n_exits).thresholds for value in sorted(grid)]
    return apply_policies(calibration, np.array(rows), latency_cycles, energy_pj)
