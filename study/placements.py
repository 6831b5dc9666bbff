"""Hardware that one trained network may run on, and which of it is worth choosing thresholds for."""

from __future__ import annotations

from dataclasses import dataclass

import moocore
import numpy as np

MOST_EXACT = 16
"""Placements that nothing beats, up to which all of them are evaluated: most chips of equal cores have fewer."""

TOLERANCE = 1e-3
"""Share of each cost that is given away where there are more: a fraction of what simulators differ by."""


@dataclass(frozen=True, eq=False)
class Placements:
    """Hardware that one network may run on.

    Attributes:
        allocations: (n_designs, n_cores).
        levels: Index of the accelerator's voltage and frequency level: (n_designs,).
    """

    allocations: np.ndarray
    levels: np.ndarray

    def take(self, rows: np.ndarray) -> Placements:
        """Some of them."""
        return Placements(self.allocations[rows], self.levels[rows])


def leading(costs: np.ndarray) -> np.ndarray:
    """Placements that may be best under some thresholds, as row indices in ascending order.

    One that costs no less than another at any exit cannot be. Of the others chips whose cores differ, or whose
    activations go through DRAM, have dozens, most within a tenth of a per cent of each other at all exits. Where
    there are more than `MOST_EXACT`, one is left out that saves no more than `TOLERANCE` at any exit against one
    that stays.

    Args:
        costs: (n_placements, n_costs), positive: latency and energy up to each exit, and whatever else counts.
    """
    rows = np.flatnonzero(moocore.is_nondominated(costs))
    if len(rows) <= MOST_EXACT:
        return rows
    # The cheapest over all exits stays first, so that most others are within the tolerance of few.
    ordered = rows[np.argsort(np.log(costs[rows]).sum(axis=1), kind="stable")]
    kept: list[int] = []
    for row in ordered.tolist():
        if not (costs[kept] <= costs[row] * (1 + TOLERANCE)).all(axis=1).any():
            kept.append(row)
    return np.array(sorted(kept))
