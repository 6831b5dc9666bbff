"""Networks with some of the early exits of a trained one, and what they cost."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from models.architecture import Architecture
from study.costing import Costed
from study.genome import Genome

if TYPE_CHECKING:
    from study.evaluate import Evaluator


def columns_of(whole: Architecture, exits: Sequence[int]) -> list[int]:
    """Where exits and the final one stand among those of a network that has more."""
    return [whole.exits.index(block) for block in exits] + [len(whole.exits)]


def keeping(whole: Architecture, exits: Sequence[int]) -> Architecture:
    """A network with some of its early exits only, in its canonical form."""
    heads = tuple(whole.heads[i] for i in columns_of(whole, exits))
    return replace(whole, exits=tuple(exits), heads=heads).canonical()


def smallest(exits: Sequence[int], most: int) -> list[tuple[int, ...]]:
    """All of them first, then every other choice of exits by rising number, as far as whole numbers of exits fit."""
    found = [tuple(exits)]
    for count in range(len(exits)):
        more = list(itertools.combinations(exits, count))
        if len(found) + len(more) > most:
            break
        found += more
    return found


@dataclass(frozen=True, eq=False)
class SetCosts:
    """What sets of exits cost at each exit of the whole network, on the default arrays at the nominal level.

    Attributes:
        legal: (n_sets,) no constraint is broken for certain.
        present: (n_sets, n_exits).
        product: (n_sets, n_exits) energy x latency in pJ x cycles; without an exit of all that runs up to there.
        exact: (n_sets, n_objectives) objectives that hardware alone decides, NaN for others.
        at_exits: (n_sets, n_exits, n_objectives) what an input adds to a mean; NaN for objectives that are no mean.
    """

    legal: np.ndarray
    present: np.ndarray
    product: np.ndarray
    exact: np.ndarray
    at_exits: np.ndarray

    @classmethod
    def of(cls, evaluator: Evaluator, whole: Architecture, sets: Sequence[tuple[int, ...]]) -> SetCosts:
        """Costs networks in one call of the simulator."""
        space, target = evaluator.space, evaluator.space.config.policy_targets[0]
        genomes = [
            Genome(keeping(whole, exits), space.allocations.default, target, space.levels.nominal)
            for exits in sets
        ]
        view, legal = evaluator.check.look_at(genomes)
        costed = Costed.of(view, legal, evaluator.objectives, evaluator.hardware.static.clock_hz)
        points = space.mounting_points
        slots = [*(points.index(block) for block in whole.exits), len(points)]
        product = (view.costs.latency_cycles * view.costs.energy_pj)[:, slots]
        present, at_exits = view.costs.exits[:, slots], costed.at_exits[:, slots]
        # Nobody leaves where there is no exit, at no cost; a metric that is no mean stays NaN everywhere.
        absent = ~present[..., None] & ~np.isnan(costed.at_exits[:, -1:])
        return cls(costed.meets, present, product, costed.exact, np.where(absent, 0.0, at_exits))

    def __add__(self, other: SetCosts) -> SetCosts:
        """These sets and others behind them."""
        return SetCosts(
            *(
                np.concatenate([mine, theirs])
                for mine, theirs in zip(vars(self).values(), vars(other).values(), strict=True)
            )
        )

    def points(self, ratios: np.ndarray, accuracy: np.ndarray) -> np.ndarray:
        """Objectives of every set under every target, (n_sets, n_targets, n_objectives); infinite where illegal.

        Args:
            ratios: (n_sets, n_targets, n_exits) share of samples that leave.
            accuracy: (n_sets, n_targets).
        """
        means = np.einsum("dtk,dko->dto", ratios, self.at_exits)
        hardware = np.broadcast_to(self.exact[:, None, :], means.shape)
        points = np.where(np.isnan(means), hardware, means)
        # What is neither a mean over exits nor told by hardware is the error.
        points = np.where(np.isnan(points), 1.0 - accuracy[..., None], points)
        return np.where(self.legal[:, None, None], points, np.inf)


class ExitSets:
    """Sets of early exits of one network, costed as they come up.

    Args:
        evaluator: Of the study.
        whole: The network that was trained; set 0 is all of its exits.
    """

    def __init__(self, evaluator: Evaluator, whole: Architecture) -> None:
        self._evaluator, self._whole = evaluator, whole
        self.sets = [whole.exits]
        self.costs = SetCosts.of(evaluator, whole, self.sets)
        self._index = {whole.exits: 0}

    def indices(self, sets: Sequence[tuple[int, ...]]) -> list[int]:
        """Where sets stand; those that are new are costed in one call."""
        new = [exits for exits in dict.fromkeys(sets) if exits not in self._index]
        if new:
            self.costs += SetCosts.of(self._evaluator, self._whole, new)
            self._index |= {exits: len(self.sets) + i for i, exits in enumerate(new)}
            self.sets += new
        return [self._index[exits] for exits in sets]

    def with_one_less(self, index: int) -> list[tuple[int, int]]:
        """Sets that lack one more exit: the column of that exit and where the set stands."""
        exits = self.sets[index]
        fewer = self.indices([tuple(b for b in exits if b != block) for block in exits])
        return [(self._whole.exits.index(block), i) for block, i in zip(exits, fewer, strict=True)]
