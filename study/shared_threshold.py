"""The published policy: one threshold per network, from a short grid (arXiv 2512.04705)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from hwcost.errors import OfframpError
from models.exit_policy import ExitPolicy
from models.scores import ScoreName
from study.policy import FloatArray, checked_costs
from study.threshold_table import SampleTable

if TYPE_CHECKING:
    from models.predictions import ExitPredictions

PAPER_GRID = (0.70, 0.75, 0.80, 0.85, 0.90, 0.95)
"""The thresholds of the paper, on the highest softmax probability."""


def bounded_shared_many(
    calibration: ExitPredictions,
    latency_cycles: npt.ArrayLike,
    energy_pj: npt.ArrayLike,
    reference_edp_pj_cycles: float,
    relative_bounds: npt.ArrayLike,
    grid: Sequence[float] = PAPER_GRID,
    score: ScoreName = "max_softmax",
) -> FloatArray:
    """The grid's largest threshold under a bound on the energy-latency product, as the paper seems to choose.

    Where none stays under the bound the smallest of the grid is taken, the nearest to it.

    Args:
        calibration: predictions on the calibration split.
        latency_cycles: (n_designs, n_exits) cumulative up to and including each exit.
        energy_pj: (n_designs, n_exits) the same for energy.
        reference_edp_pj_cycles: energy-latency product of the static reference.
        relative_bounds: (n_targets,) largest mean product allowed, relative to the reference.
        grid: thresholds to choose from.
        score: what they are compared with.

    Returns:
        (n_designs, n_targets, n_exits) thresholds, all of a network equal but the last.
    """
    if not grid or not np.isfinite(grid).all():
        raise OfframpError(f"expected a grid of at least one finite threshold, got {tuple(grid)}")
    table = SampleTable.of(calibration, score)
    rows = np.array([ExitPolicy.shared(value, table.n_exits).thresholds for value in sorted(grid)])
    ratios = np.array([table.outcome(row)[0] for row in rows]) / table.n_samples  # (n_grid, n_exits)
    latency = checked_costs(latency_cycles, table.n_exits, "latency (cycles)")
    edp = (latency * checked_costs(energy_pj, table.n_exits, "energy (pJ)")) @ ratios.T  # (n_designs, n_grid)
    bounds = np.atleast_1d(np.asarray(relative_bounds, dtype=np.float64)) * reference_edp_pj_cycles
    # Costs are cumulative, so products rise along the grid and those within the bound come first.
    within = (edp[:, None, :] <= bounds[None, :, None]).sum(axis=2)
    return rows[np.maximum(within - 1, 0)]
