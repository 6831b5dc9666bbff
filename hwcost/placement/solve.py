"""The best placement of every design: exact for latency, energy, their weighted sum and their product."""

from __future__ import annotations

import numpy as np

from hwcost.errors import OfframpError
from hwcost.placement.assign import Assigner
from hwcost.placement.least_product import least_product
from hwcost.placement.problem import Placement, PlacementProblem
from hwcost.workload import IntArray

Array = np.ndarray
PLACEMENT_OBJECTIVES = ("latency", "energy", "edp", "weighted")


def solve(
    problem: PlacementProblem, objective: str, weights: tuple[Array | float, Array | float] | None = None
) -> Placement:
    """Chooses one option per layer.

    Args:
        problem: Options and costs.
        objective: `latency` (ties: energy), `energy` (ties: latency), `edp` (product of total latency and total
            energy) or `weighted`. Totals are those of all active layers.
        weights: For `weighted`: what a cycle and what a picojoule count, numbers or (n_designs,), at least 0.

    Raises:
        OfframpError: The objective or weights are not as expected, or a layer has no option with finite costs.
    """
    assigner = Assigner.of(problem)
    chosen = _choose(assigner, objective, weights)
    latency, energy = assigner.layer_costs(chosen)
    return Placement(chosen.T.astype(np.int64), latency.T, energy.T)


def choose_options(problem: PlacementProblem, objective: str) -> IntArray:
    """The options that `solve` chooses, (n_designs, n_layers), for who counts costs in another way."""
    options: IntArray = _choose(Assigner.of(problem), objective, None).T.astype(np.int64)
    return options


def _choose(assigner: Assigner, objective: str, weights: tuple[Array | float, Array | float] | None) -> Array:
    if objective not in PLACEMENT_OBJECTIVES:
        raise OfframpError(f"expected an objective of {', '.join(PLACEMENT_OBJECTIVES)}, got {objective!r}")
    if (weights is None) == (objective == "weighted"):
        raise OfframpError(f"expected weights with objective 'weighted' and with no other, got {objective!r}")
    if weights is not None:
        cycle, picojoule = (np.broadcast_to(np.asarray(w, dtype=np.float64), assigner.n) for w in weights)
        if min(cycle.min(), picojoule.min()) < 0:
            raise OfframpError("expected weights of at least 0")
    elif objective == "edp":
        cycle, picojoule = least_product(assigner)
    else:
        cycle, picojoule = _one_then_other(assigner, objective == "latency")
    return assigner.options(cycle, picojoule)


def _one_then_other(assigner: Assigner, latency_first: bool) -> tuple[Array, Array]:
    """Weights of the smallest latency with the least energy among ties, or the other way round.

    A second path is found with a small weight on the other cost; it is taken where the first cost stayed the same.
    """
    one, none = np.ones(assigner.n), np.zeros(assigner.n)
    totals = assigner.totals(one, none) if latency_first else assigner.totals(none, one)
    first, second = totals if latency_first else totals[::-1]
    # latencies are whole cycles: half a cycle for all the other cost there is cannot buy one. Energies are not
    # whole: paths closer than one part in 10^9 count as equal only if the check below finds them so.
    small = (0.5 if latency_first else 1e-9 * first) / np.maximum(second, np.finfo(np.float64).tiny)
    totals = assigner.totals(one, small) if latency_first else assigner.totals(small, one)
    new_first, new_second = totals if latency_first else totals[::-1]
    small = np.where((new_first <= first) & (new_second < second), small, 0.0)
    return (one, small) if latency_first else (small, one)
