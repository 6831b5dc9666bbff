"""What the mapping inside a core minimises."""

from __future__ import annotations

import numpy as np

from hwcost.errors import OfframpError
from hwcost.workload import IntArray

Array = np.ndarray
OBJECTIVES = ("latency", "energy", "edp")
# Sums in another order differ in the last digits: values closer than this share are equal.
_TIE = 1e-10


def check_objective(objective: str) -> None:
    """Refuses unknown objectives."""
    if objective not in OBJECTIVES:
        raise OfframpError(f"expected an objective of {', '.join(OBJECTIVES)}, got {objective!r}")


def scores(latency: Array, energy: Array, objective: str) -> tuple[Array, Array]:
    """What counts first and, among equals, second: latency (energy), energy (latency), product (latency)."""
    if objective == "latency":
        return latency, energy
    if objective == "energy":
        return energy, latency
    return latency * energy, latency


def best_of_each(group: IntArray, n_groups: int, first: Array, second: Array) -> IntArray:
    """Index of the entry with the smallest (first, second) of each group 0, 1, ...: (n_groups,).

    Every group must have an entry; the earliest one counts among equals.
    """
    least = np.full(n_groups, np.inf)
    np.minimum.at(least, group, first)
    index = np.flatnonzero(first <= (least * (1.0 + _TIE))[group])
    least_second = np.full(n_groups, np.inf)
    np.minimum.at(least_second, group[index], second[index])
    index = index[second[index] <= least_second[group[index]]]
    result = np.zeros(n_groups, dtype=np.int64)
    # the last write counts: backwards, so that it is the earliest entry
    result[group[index][::-1]] = index[::-1]
    return result
