"""Which early exits of a trained network are worth keeping.

A network with ten exits holds a thousand with fewer. All of them are costed in one call on the default arrays, and
looked at with thresholds out of one pool: a threshold vector that lets nothing leave at an exit serves every network
without it. The pool is searched for the networks that lead so far, some rounds, because a full search for each would
take minutes. What is chosen here is only what is evaluated in full; nothing of it is a result.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import moocore
import numpy as np

from models.architecture import Architecture
from models.exit_policy import ExitPolicy
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

MOST_LOOKED_AT = 1024
"""Networks with fewer exits; of more than ten exits those with the fewest are looked at."""

LEAST_GAIN = 1e-3
"""Share of the hypervolume so far that another network must add."""

_PATIENCE = 0.05  # share of the best so far that a set may be worse before its exits are left out no further
_BARRED = 1e6  # a single sample in a million at an exit that is not there doubles the cost


def worth_keeping(
    evaluator: Evaluator, whole: Architecture, networks: Sequence[TrainedNetwork], most: int
) -> list[tuple[int, ...]]:
    """The sets of early exits, without that of all of them, that add most to what the network itself offers.

    Judged on the calibration split and the default arrays by the hypervolume in the study's objectives.

    Args:
        evaluator: Of the study.
        whole: What was trained.
        networks: Its trainings; each has a say, so there may be `most` for each of them.
        most: Sets, at most, of each training.
    """
    sets = subsets(whole.exits)
    if not most or len(sets) == 1:
        return []
    costs = _Costs.of(evaluator, [keeping(whole, exits) for exits in sets], whole.exits)
    found: dict[tuple[int, ...], None] = {}
    for network in networks:
        outcome = _outcome(evaluator, costs, network)
        leading = _leading(costs, outcome)
        chosen = [*leading, *_adding_most(costs.points(outcome), outcome.tuned, leading, most)]
        found |= dict.fromkeys(sets[index] for index in chosen[:most] if index)
    return list(found)


def columns_of(whole: Architecture, exits: Sequence[int]) -> list[int]:
    """Where exits and the final one stand among those of a network that has more."""
    return [whole.exits.index(block) for block in exits] + [len(whole.exits)]


def keeping(whole: Architecture, exits: Sequence[int]) -> Architecture:
    """A network with some of its early exits only, in its canonical form."""
    heads = tuple(whole.heads[i] for i in columns_of(whole, exits))
    return replace(whole, exits=tuple(exits), heads=heads).canonical()


def subsets(exits: Sequence[int], most: int = MOST_LOOKED_AT) -> list[tuple[int, ...]]:
    """All of them first, then every other choice of exits by rising number, as far as whole numbers of exits fit."""
    found = [tuple(exits)]
    for count in range(len(exits)):
        more = list(itertools.combinations(exits, count))
        if len(found) + len(more) > most:
            break
        found += more
    return found


@dataclass(frozen=True, eq=False)
class _Costs:
    """What networks with some of the exits of one cost at each exit, on the default arrays at the nominal level.

    Attributes:
        legal: (n_sets,) no constraint is broken for certain.
        present: (n_sets, n_exits).
        latency: (n_sets, n_exits) in cycles, where there is no exit of all that runs up to there.
        energy: (n_sets, n_exits) in pJ, likewise.
        exact: (n_sets, n_objectives) objectives that hardware alone decides, NaN for others.
        at_exits: (n_objectives, n_sets, n_exits) what an input adds to a mean; NaN for objectives that are no mean.
    """

    legal: np.ndarray
    present: np.ndarray
    latency: np.ndarray
    energy: np.ndarray
    exact: np.ndarray
    at_exits: np.ndarray

    @classmethod
    def of(cls, evaluator: Evaluator, networks: Sequence[Architecture], exits: Sequence[int]) -> _Costs:
        """Costs networks that have some of these exits."""
        space, hardware, metrics = evaluator.space, evaluator.hardware, evaluator.objectives.metrics
        allocations = np.tile(np.array(space.allocations.default), (len(networks), 1))
        levels = np.full(len(networks), space.levels.nominal)
        costs = hardware.stage_costs_of(networks, allocations, levels)
        view = hardware.view(costs, allocations)
        slots = [*(space.mounting_points.index(block) for block in exits), len(space.mounting_points)]
        present = costs.exits[:, slots]
        exact = np.full((len(networks), len(metrics)), np.nan)
        at_exits = np.full((len(metrics), *present.shape), np.nan)
        for column, metric in enumerate(metrics):
            if metric.at_exits is not None:
                at_exits[column] = np.where(present, metric.at_exits(view)[:, slots], 0.0)
            elif metric.hardware is not None and not metric.trained:
                exact[:, column] = metric.hardware(view)
        latency, energy = costs.latency_cycles[:, slots], costs.energy_pj[:, slots]
        legal = np.array(evaluator.bounds.met_before_training(view))
        return cls(legal, present, latency, energy, exact, at_exits)

    def points(self, outcome: _Outcome) -> np.ndarray:
        """Objectives under every target, (n_sets, n_targets, n_objectives); infinite where a set is illegal."""
        means = np.einsum("dtk,odk->dto", outcome.ratios, self.at_exits)
        hardware = np.broadcast_to(self.exact[:, None, :], means.shape)
        points = np.where(np.isnan(means), hardware, means)
        # What is neither a mean over exits nor told by hardware is the error.
        points = np.where(np.isnan(points), 1.0 - outcome.accuracy[..., None], points)
        return np.where((self.legal[:, None] & outcome.met)[..., None], points, np.inf)


@dataclass(frozen=True, eq=False)
class _Outcome:
    """What networks do on the calibration split under each target.

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


def _outcome(evaluator: Evaluator, costs: _Costs, network: TrainedNetwork) -> _Outcome:
    config, reference = evaluator.space.config, evaluator.hardware.static.edp_pj_cycles
    targets = list(config.policy_targets)
    if config.policy == "shared":
        return _shared(costs, network, reference, targets)
    table = SampleTable.of(network.calibration, config.score)
    product = _barred(costs.latency * costs.energy, costs.present)
    goal: Goal
    if config.policy_goal == "accuracy":
        goal, limits = MostAccurateBelowCeiling(), reference * np.array(targets) * table.n_samples
    else:
        goal, limits = CheapestAboveFloor(), np.array([table.floor(drop) for drop in targets], dtype=float)
    return _searched(table, costs, product, goal, np.broadcast_to(limits, (len(product), len(limits))))


def _searched(
    table: SampleTable, costs: _Costs, product: np.ndarray, goal: Goal, limits: np.ndarray
) -> _Outcome:
    """For each target leaves out one exit after the other, that which is missed least, and tunes the others anew.

    Args:
        table: Samples of the calibration split at all exits.
        costs: Which exits each set has, and whether it is legal.
        product: (n_sets, n_exits) cost of leaving at each exit, prohibitive where there is none.
        goal: What thresholds are chosen for.
        limits: (n_sets, n_targets) of the goal, for all samples together.
    """
    pool = ThresholdPool(table.coarse(default_levels(table.n_samples)))
    pool.add(ExitPolicy.never_early(table.n_exits).thresholds)
    index_of = {present.tobytes(): index for index, present in enumerate(costs.present)}
    whole = product[:, -1:]
    scaled = limits if goal.feasible_when_accurate else limits / whole
    searched: set[int] = set()

    def ranks(sets: list[int], target: int) -> tuple[np.ndarray, np.ndarray]:
        """Of each set its best vector in the pool (-1: none) and how good that is; small is good."""
        columns = [target]
        chosen = choose(pool.counts(), pool.right(), product[sets], goal, limits[sets][:, columns])[:, 0]
        spent = (pool.counts()[chosen] * product[sets]).sum(axis=1)
        found = goal.rank(pool.right()[chosen], spent, product[0, -1] * table.n_samples)
        return chosen, np.where(chosen >= 0, found, np.inf)

    def tune(index: int) -> None:
        if index not in searched:
            searched.add(index)
            fill(pool, product[index : index + 1] / whole[index], goal, scaled[index : index + 1])

    tune(0)
    for target in range(limits.shape[1]):
        current, best = 0, np.inf
        while True:
            chosen, here = ranks([current], target)
            if costs.legal[current]:
                if here[0] > best + _PATIENCE * abs(best):
                    break
                best = min(best, float(here[0]))
            fewer = []
            for column in np.flatnonzero(costs.present[current, :-1]):
                left = costs.present[current].copy()
                left[column] = False
                index = index_of.get(left.tobytes())
                if index is not None:
                    fewer.append(index)
                    without = pool.vector(int(chosen[0])).copy()
                    without[column] = np.inf
                    pool.add(without)
            if not fewer:
                break
            current = fewer[int(ranks(fewer, target)[1].argmin())]
            tune(current)
    chosen = choose(pool.counts(), pool.right(), product, goal, limits)
    counts, right = pool.counts()[chosen], pool.right()[chosen]
    spent = np.einsum("dtk,dk->dt", counts, product)
    rank = goal.rank(right, spent, product[0, -1] * table.n_samples)
    tuned = np.isin(np.arange(len(product)), list(searched))
    return _Outcome(counts / table.n_samples, right / table.n_samples, chosen >= 0, rank, tuned)


def _shared(costs: _Costs, network: TrainedNetwork, reference: float, targets: list[float]) -> _Outcome:
    """The paper's policy: one threshold for all exits of a network."""
    shape = (len(costs.present), len(targets))
    ratios, accuracy = np.zeros((*shape, costs.present.shape[1])), np.zeros(shape)
    for index, present in enumerate(costs.present):
        columns = np.flatnonzero(present)
        calibration = network.calibration.select(columns.tolist())
        latency, energy = costs.latency[index, columns], costs.energy[index, columns]
        thresholds = bounded_shared_many(calibration, latency[None], energy[None], reference, targets)[0]
        points = apply_policies(
            calibration, thresholds, np.tile(latency, (len(targets), 1)), np.tile(energy, (len(targets), 1))
        )
        for target, point in enumerate(points):
            ratios[index, target, columns] = point.exit_ratios
            accuracy[index, target] = point.accuracy
    everything = np.ones(shape, dtype=bool)
    spent = np.einsum("dtk,dk->dt", ratios, costs.latency * costs.energy)
    # Targets are bounds on the product here, so what is wanted below them is accuracy.
    ranks = np.where(spent <= reference * np.array(targets), 1.0 - accuracy, 1.0 + spent / reference)
    return _Outcome(ratios, accuracy, everything, ranks, everything[:, 0])


def _barred(cost: np.ndarray, present: np.ndarray) -> np.ndarray:
    """Costs with a price at exits that are not there which no threshold vector that uses them can be worth."""
    barred: np.ndarray = np.where(present, cost, _BARRED * cost.max())
    return barred


def _leading(costs: _Costs, outcome: _Outcome) -> list[int]:
    """The best legal set under each target, each once."""
    ranks = np.where(costs.legal[:, None] & outcome.met & outcome.tuned[:, None], outcome.ranks, np.inf)
    best = ranks.argmin(axis=0).tolist()
    return list(dict.fromkeys(s for t, s in enumerate(best) if np.isfinite(ranks[s, t])))


def _adding_most(points: np.ndarray, among: np.ndarray, known: list[int], most: int) -> list[int]:
    """Sets that add most hypervolume to that of the set of all exits and of known ones, one after the other.

    Args:
        points: (n_sets, n_targets, n_objectives), infinite where there is none.
        among: (n_sets,) which sets may be added.
        known: Sets that count already.
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
    taken = [0, *(s for s in known if s)]
    left = sorted(set(owners.tolist()) - set(taken))

    def volume(sets: list[int]) -> float:
        some = scaled[np.isin(owners, sets)]
        return float(moocore.hypervolume(some, ref=[1.1] * flat.shape[1])) if len(some) else 0.0

    so_far, added = volume(taken), list[int]()
    while left and len(taken) + len(added) <= most:
        volumes = [volume([*taken, *added, s]) for s in left]
        best = int(np.argmax(volumes))
        if volumes[best] <= so_far * (1 + LEAST_GAIN):
            break
        so_far = volumes[best]
        added.append(left.pop(best))
    return added
