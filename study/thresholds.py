"""Thresholds per exit, chosen on the calibration split alone.

Two goals: the least energy-latency product above an accuracy floor (``tune_many``), and the highest accuracy below
a ceiling on any cost (``tune_accuracy``). Accuracy and exit counts of a threshold vector depend on the predictions
alone; a design's cost enters only through its (n_exits,) cost vector. So one pool of threshold vectors serves every
design and target of a network, and choosing from it is a matrix product; ``threshold_search`` fills the pool.

Thresholds fit the samples they are chosen on, the better the more values they may take, and lose that on other
samples. So each exit chooses among few values only, by default half the square root of the number of samples. At
equal accuracy on validation (``benchmarks/policy.py``) the energy-latency product is up to a fifth lower than with
every value at 400 calibration samples, and the same at 5,000. The one threshold that all exits share has one degree
of freedom and may take every value.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from hwcost.errors import OfframpError
from models.exit_policy import ExitPolicy
from models.scores import ScoreName
from study.policy import FloatArray, checked_costs
from study.threshold_goals import CheapestAboveFloor, Goal, MostAccurateBelowCeiling, choose
from study.threshold_pool import ThresholdPool
from study.threshold_search import fill
from study.threshold_table import SampleTable

if TYPE_CHECKING:
    from models.predictions import ExitPredictions

_LEAVES = float(np.finfo(np.float64).min)  # every sample leaves; finite, so that JSON can hold it


@dataclass(frozen=True, eq=False)
class TunedThresholds:
    """Thresholds for many designs and targets of one network, with what they give on the calibration split.

    Attributes:
        thresholds: (n_designs, n_targets, n_exits).
        exit_ratios: (n_designs, n_targets, n_exits) share of samples leaving at each exit.
        accuracy: (n_designs, n_targets) fraction right.
        mean_cost: (n_designs, n_targets) in the unit of the cost; energy-latency product in pJ x cycles.
        met: (n_designs, n_targets) bool, whether the floor or ceiling is kept; where none of the thresholds
            keep it, the policy nearest to it is given: never early for a floor, all at the first exit for a ceiling.
    """

    thresholds: FloatArray
    exit_ratios: FloatArray
    accuracy: FloatArray
    mean_cost: FloatArray
    met: npt.NDArray[np.bool_]


def tune_many(
    calibration: ExitPredictions,
    latency_cycles: npt.ArrayLike,
    energy_pj: npt.ArrayLike,
    target_drops: npt.ArrayLike,
    score: ScoreName = "max_softmax",
    levels: int | None = None,
) -> TunedThresholds:
    """Least mean energy-latency product while accuracy stays within a drop of never leaving early.

    The product is taken per sample: mean over samples of (cumulative energy x cumulative latency). The result is
    deterministic, keeps the floor on the calibration split, and is never dearer than never leaving early or than the
    best threshold shared by all exits (every value that makes a difference is tried for that one). Where even never
    leaving early misses the floor (a negative drop) and nothing else reaches it, that policy is returned.

    Args:
        calibration: predictions on the calibration split.
        latency_cycles: (n_designs, n_exits) cumulative up to and including each exit.
        energy_pj: (n_designs, n_exits) the same for energy.
        target_drops: (n_targets,) accuracy that may be given away, as a fraction of 1.
        score: what thresholds are compared with.
        levels: values an exit's threshold may take; None: ``default_levels``. The number of samples: every value.

    Raises:
        OfframpError: shapes do not fit, a number is not finite, or costs are not cumulative.
    """
    table = SampleTable.of(calibration, score)
    latency = checked_costs(latency_cycles, table.n_exits, "latency (cycles)")
    energy = checked_costs(energy_pj, table.n_exits, "energy (pJ)")
    if latency.shape != energy.shape:
        raise OfframpError(
            f"expected latency and energy of one shape, got {latency.shape} and {energy.shape}"
        )
    drops = np.atleast_1d(np.asarray(target_drops, dtype=np.float64))
    if drops.ndim != 1 or not np.isfinite(drops).all():
        raise OfframpError(f"expected finite accuracy drops of shape (n_targets,), got {drops}")
    floors = np.array([table.floor(drop) for drop in drops], dtype=np.float64)
    limits = np.broadcast_to(floors, (len(latency), len(floors)))
    never = ExitPolicy.never_early(table.n_exits).thresholds
    return _tune(table, latency * energy, CheapestAboveFloor(), limits, never, levels)


def tune_accuracy(
    calibration: ExitPredictions,
    cost: npt.ArrayLike,
    ceilings: npt.ArrayLike,
    score: ScoreName = "max_softmax",
    levels: int | None = None,
) -> TunedThresholds:
    """Highest accuracy while the mean cost stays below a ceiling; of equally accurate ones the cheapest.

    The result is deterministic, keeps the ceiling on the calibration split, and is never less accurate than the best
    shared threshold within it. Where even letting every sample leave at the first exit costs more than the ceiling,
    that policy, the cheapest there is, is returned.

    Args:
        calibration: predictions on the calibration split.
        cost: (n_designs, n_exits) cumulative up to and including each exit, of anything that adds up over samples:
            latency, energy, MACs, or each exit's energy-latency product.
        ceilings: (n_targets,) or (n_designs, n_targets) largest mean cost, in the unit of the cost.
        score: what thresholds are compared with.
        levels: values an exit's threshold may take; None: ``default_levels``. The number of samples: every value.

    Raises:
        OfframpError: shapes do not fit, a number is not finite, or costs are not cumulative.
    """
    table = SampleTable.of(calibration, score)
    costs = checked_costs(cost, table.n_exits, "cost")
    bounds = np.atleast_1d(np.asarray(ceilings, dtype=np.float64))
    if bounds.ndim == 1:
        bounds = np.broadcast_to(bounds, (len(costs), len(bounds)))
    if bounds.ndim != 2 or len(bounds) != len(costs) or not np.isfinite(bounds).all():
        raise OfframpError(
            f"expected finite ceilings of shape (n_targets,) or ({len(costs)}, n_targets), got "
            f"{bounds.tolist()}"
        )
    return _tune(
        table,
        costs,
        MostAccurateBelowCeiling(),
        bounds * table.n_samples,
        np.append(np.full(table.n_exits - 1, _LEAVES), -np.inf),
        levels,
    )


def default_levels(n_samples: int) -> int:
    """Values an exit's threshold may take: half the square root of the number of calibration samples, from 4."""
    return max(4, round(np.sqrt(n_samples) / 2))


def _tune(
    table: SampleTable,
    cost: FloatArray,
    goal: Goal,
    limits: FloatArray,
    fallback: FloatArray,
    levels: int | None,
) -> TunedThresholds:
    """Fills a pool and chooses.

    Args:
        table: the samples.
        cost: (n_designs, n_exits).
        goal: what is wanted.
        limits: (n_designs, n_targets) of the goal, for all samples together.
        fallback: (n_exits,) thresholds where nothing is feasible.
        levels: values an exit's threshold may take; None: by the number of samples.
    """
    if levels is not None and levels < 1:
        raise OfframpError(f"expected at least 1 level of thresholds, got {levels}")
    pool = ThresholdPool(table.coarse(default_levels(table.n_samples) if levels is None else levels))
    pool.add(ExitPolicy.never_early(table.n_exits).thresholds)
    pool.add(fallback)
    if table.n_exits > 1 and cost.any():
        # In units of its own last exit, designs of different size are alike.
        whole = np.where(cost[:, -1:] > 0, cost[:, -1:], 1.0)
        scaled = limits if goal.feasible_when_accurate else limits / whole
        fill(pool, cost / whole, goal, scaled)
    values, shared_counts, shared_right = table.shared_front()
    shared = np.full((len(values), table.n_exits), -np.inf)
    shared[:, :-1] = values[:, None]
    thresholds = np.vstack([pool.thresholds(), shared])
    counts = np.vstack([pool.counts(), shared_counts])
    right = np.concatenate([pool.right(), shared_right])
    chosen = choose(counts, right, cost, goal, limits)
    met = chosen >= 0
    chosen = np.where(met, chosen, pool.add(fallback))
    ratios = counts[chosen] / table.n_samples
    return TunedThresholds(
        thresholds=thresholds[chosen],
        exit_ratios=ratios,
        accuracy=right[chosen] / table.n_samples,
        mean_cost=np.einsum("dtk,dk->dt", ratios, cost),
        met=met,
    )
