"""Which early exits of a trained network are worth keeping.

A network with ten exits holds a thousand with fewer, and tuning thresholds for each would take minutes. So under each
policy target one exit after the other is left out, always the one that is missed least, and the others are tuned
anew; threshold vectors found on one such way serve the others too, as one that lets nothing leave at an exit fits
every network without it. `tests/study/test_exit_choice.py` holds that against all sets tuned one by one. What is
chosen here is only what gets evaluated in full: on the calibration split, on the default arrays, with the scores of
the whole network (patience counts agreements over exits that may be gone).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import moocore
import numpy as np

from models.architecture import Architecture
from models.exit_policy import ExitPolicy
from study.exit_sets import ExitSets, columns_of, smallest
from study.memo import TrainedNetwork
from study.policy import apply_policies
from study.shared_threshold import bounded_shared_many
from study.threshold_goals import CheapestAboveFloor, Goal, MostAccurateBelowCeiling, choose
from study.threshold_pool import ThresholdPool
from study.threshold_search import fill
from study.threshold_table import SampleTable
from study.thresholds import default_levels

if TYPE_CHECKING:
    from study.evaluate import Evaluator

LEAST_GAIN = 1e-3
"""Share of the hypervolume so far that another set must add."""

MOST_SHARED = 1024
"""Sets looked at under one shared threshold, which needs no search; those with the fewest exits."""

_TIE = 1e-9  # far below what one sample makes of a rank
_PATIENCE = 0.05  # share of the best so far that a set may be worse before its exits are left out no further
_BARRED = 1e6  # a single sample in a million at an exit that is not there doubles the cost


def worth_keeping(
    evaluator: Evaluator, whole: Architecture, networks: Sequence[TrainedNetwork], most: int
) -> list[tuple[int, ...]]:
    """Sets of early exits beside that of all of them: the best under each target, then those that add most to these.

    What a set adds is hypervolume in the study's objectives.

    Args:
        evaluator: Of the study.
        whole: What was trained.
        networks: Its trainings; each has a say, so there may be `most` for each of them.
        most: Sets, at most, of each training.
    """
    found: dict[tuple[int, ...], None] = {}
    if not most or whole.is_static:
        return []
    for network in networks:
        sets = ExitSets(evaluator, whole)
        outcome = _outcome(evaluator, whole, sets, network)
        leading = _leading(sets, outcome)
        points = sets.costs.points(outcome.ratios, outcome.accuracy)
        points = np.where(outcome.met[..., None], points, np.inf)
        chosen = [*leading, *_adding_most(points, outcome.tuned, leading, most)]
        found |= dict.fromkeys(sets.sets[index] for index in chosen[:most])
    return list(found)


@dataclass(frozen=True, eq=False)
class _Outcome:
    """What sets of exits do on the calibration split under each target.

    Attributes:
        ratios: (n_sets, n_targets, n_exits) share of samples that leave.
        accuracy: (n_sets, n_targets).
        met: (n_sets, n_targets) the target is met.
        ranks: (n_sets, n_targets) how good that is for the policy's goal, small is good.
        tuned: (n_sets,) thresholds were searched for this set.
    """

    ratios: np.ndarray
    accuracy: np.ndarray
    met: np.ndarray
    ranks: np.ndarray
    tuned: np.ndarray


def _outcome(evaluator: Evaluator, whole: Architecture, sets: ExitSets, network: TrainedNetwork) -> _Outcome:
    config, reference = evaluator.space.config, evaluator.hardware.static.edp_pj_cycles
    targets = np.array(config.policy_targets)
    if config.policy == "shared":
        return _shared(whole, sets, network, reference, targets)
    table = SampleTable.of(network.calibration, config.score)
    if config.policy_goal == "accuracy":
        return _LeavingOut(
            table, sets, MostAccurateBelowCeiling(), reference * targets * table.n_samples
        ).run()
    floors = np.array([table.floor(drop) for drop in targets], dtype=float)
    return _LeavingOut(table, sets, CheapestAboveFloor(), floors).run()


class _LeavingOut:
    """One exit after the other is left out, see the module.

    Args:
        table: Samples of the calibration split at all exits.
        sets: Gets the sets that come up.
        goal: What thresholds are chosen for.
        limits: (n_targets,) of the goal, for all samples together.
    """

    def __init__(self, table: SampleTable, sets: ExitSets, goal: Goal, limits: np.ndarray) -> None:
        self._sets, self._goal, self._limits = sets, goal, limits
        self._n_samples = table.n_samples
        self._pool = ThresholdPool(table.coarse(default_levels(table.n_samples)))
        self._pool.add(ExitPolicy.never_early(table.n_exits).thresholds)
        self._tuned: set[int] = set()

    def run(self) -> _Outcome:
        """What became of every set that came up."""
        self._tune(0)
        for target in range(len(self._limits)):
            self._one_after_the_other(target)
        everything = list(range(len(self._sets.sets)))
        chosen, ranks = self._best(everything, range(len(self._limits)))
        tuned = np.isin(everything, list(self._tuned))
        accuracy = self._pool.right()[chosen] / self._n_samples
        return _Outcome(self._pool.counts()[chosen] / self._n_samples, accuracy, chosen >= 0, ranks, tuned)

    def _one_after_the_other(self, target: int) -> None:
        current, best = 0, np.inf
        while True:
            chosen, ranks = self._best([current], [target])
            if chosen[0, 0] < 0:
                return  # leaving at the first exit is too dear, and no later exit changes that
            rank = float(ranks[0, 0])
            if self._sets.costs.legal[current]:
                if rank > best + _PATIENCE * abs(best):
                    return
                best = min(best, rank)
            fewer = self._sets.with_one_less(current)
            if not fewer:
                return
            for column, _ in fewer:
                without = self._pool.vector(int(chosen[0, 0])).copy()
                without[column] = np.inf
                self._pool.add(without)
            indices = [index for _, index in fewer]
            current = indices[int(self._best(indices, [target])[1][:, 0].argmin())]
            self._tune(current)

    def _tune(self, index: int) -> None:
        """Searches thresholds for one set, under all targets."""
        if index in self._tuned:
            return
        self._tuned.add(index)
        product = self._product([index])
        whole = product[:, -1:]  # a design in units of its last exit, as the search wants it
        limits = self._limits[None] if self._goal.feasible_when_accurate else self._limits[None] / whole
        fill(self._pool, product / whole, self._goal, limits)

    def _best(self, sets: Sequence[int], targets: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
        """Of each set and target the best vector in the pool (-1: none), and how good that is; small is good."""
        product = self._product(sets)
        limits = np.broadcast_to(self._limits[list(targets)], (len(product), len(targets)))
        counts, right = self._pool.counts(), self._pool.right()
        chosen = choose(counts, right, product, self._goal, limits)
        spent = np.einsum("dtk,dk->dt", counts[chosen], product)
        ranks = self._goal.rank(right[chosen], spent, self._sets.costs.product[0, -1] * self._n_samples)
        return chosen, np.where(chosen >= 0, ranks, np.inf)

    def _product(self, sets: Sequence[int]) -> np.ndarray:
        """(n_sets, n_exits), with a price at exits a set lacks that no vector which uses them can be worth."""
        costs = self._sets.costs
        product, present = costs.product[list(sets)], costs.present[list(sets)]
        barred: np.ndarray = np.where(present, product, _BARRED * product.max())
        return barred


def _shared(
    whole: Architecture, sets: ExitSets, network: TrainedNetwork, reference: float, targets: np.ndarray
) -> _Outcome:
    """The paper's policy, one threshold for all exits: every set, as there is nothing to search."""
    sets.indices(smallest(whole.exits, MOST_SHARED))
    product = sets.costs.product
    shape = (len(product), len(targets))
    ratios, accuracy = np.zeros((*shape, product.shape[1])), np.zeros(shape)
    for index, exits in enumerate(sets.sets):
        columns = columns_of(whole, exits)
        calibration, cost = network.calibration.select(columns), product[index, columns]
        # Thresholds depend on the product alone, which a latency of one and that energy have too.
        units = np.ones((1, len(columns)))
        thresholds = bounded_shared_many(calibration, units, cost[None], reference, targets)[0]
        points = apply_policies(
            calibration, thresholds, np.ones((len(targets), len(cost))), np.tile(cost, (len(targets), 1))
        )
        for target, point in enumerate(points):
            ratios[index, target, columns] = point.exit_ratios
            accuracy[index, target] = point.accuracy
    spent = np.einsum("dtk,dk->dt", ratios, product)
    # Targets are bounds on the product here, so what is wanted below them is accuracy.
    ranks = np.where(spent <= reference * targets, 1.0 - accuracy, 1.0 + spent / reference)
    return _Outcome(ratios, accuracy, np.ones(shape, dtype=bool), ranks, np.ones(len(product), dtype=bool))


def _leading(sets: ExitSets, outcome: _Outcome) -> list[int]:
    """The best legal set under each target, of equally good ones that with fewest exits; each once, without set 0."""
    usable = sets.costs.legal[:, None] & outcome.met & outcome.tuned[:, None]
    n_exits = sets.costs.present.sum(axis=1, keepdims=True)
    ranks = np.where(usable, outcome.ranks + _TIE * np.abs(outcome.ranks) * n_exits, np.inf)
    best = ranks.argmin(axis=0).tolist()
    return list(dict.fromkeys(s for t, s in enumerate(best) if s and np.isfinite(ranks[s, t])))


def _adding_most(points: np.ndarray, among: np.ndarray, known: list[int], most: int) -> list[int]:
    """Sets that add most hypervolume to that of set 0 and of known ones, one after the other.

    Args:
        points: (n_sets, n_targets, n_objectives), infinite where there is none.
        among: (n_sets,) which sets may be added.
        known: Sets that count already, without 0.
        most: How many sets at most, known ones counted in.
    """
    owners = np.repeat(np.arange(points.shape[0]), points.shape[1])
    flat = points.reshape(len(owners), -1)
    usable = np.isfinite(flat).all(axis=1) & (among[owners] | np.isin(owners, [0, *known]))
    owners, flat = owners[usable], flat[usable]
    if not len(flat):
        return []
    span = np.ptp(flat, axis=0)
    scaled = (flat - flat.min(axis=0)) / np.where(span > 0, span, 1.0)
    taken = [0, *known]
    left = sorted(set(owners.tolist()) - set(taken))

    def volume(sets: list[int]) -> float:
        some = scaled[np.isin(owners, sets)]
        return float(moocore.hypervolume(some, ref=[1.1] * flat.shape[1])) if len(some) else 0.0

    so_far, added = volume(taken), list[int]()
    while left and len(known) + len(added) < most:
        volumes = [volume([*taken, *added, s]) for s in left]
        best = int(np.argmax(volumes))
        if volumes[best] <= so_far * (1 + LEAST_GAIN):
            break
        so_far = volumes[best]
        added.append(left.pop(best))
    return added
