"""NSGA-II on top of Optuna's: start designs as generation 0, and children that are worth a trial.

Optuna keeps the generations, the parents and the storage. Ours are three things. Generation 0 consists of chosen and
random designs that the sampler itself proposes: enqueued trials never become parents. A child that was seen before
is drawn again (bounded), which on tabular benchmarks is worth more than any other change. A child whose hardware
cost breaks a constraint is drawn again too, because finding that out takes a millisecond.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import optuna
from optuna.distributions import BaseDistribution
from optuna.samplers import NSGAIISampler
from optuna.trial import FrozenTrial, TrialState

from study.genome import SearchSpace, start_designs

_CONSTRAINT_PREFIX = "constraints:"

DIVERGED_KEY = "diverged"
"""User attribute of a failed trial whose training diverged: seeds follow from the design, so it always will."""


class GenomeNSGAIISampler(NSGAIISampler):
    """NSGA-II over genomes of one search space.

    Args:
        space: The genes.
        population_size: Individuals a generation.
        rng: Source of every proposal of this process.
        feasible: Whether a design given by its genes meets the hardware constraints; None accepts all.
        redraws: How often a proposal that was seen before, or is infeasible, is drawn again. When all draws are
            spent the last unseen one is proposed, and failing that the last one.
        crossover_probability: Share of children of two parents; the others are mutated copies of one.
        swap_probability: Share of genes a child takes from its second parent.
    """

    def __init__(
        self,
        space: SearchSpace,
        population_size: int,
        rng: np.random.Generator,
        feasible: Callable[[Mapping[str, int]], bool] | None = None,
        redraws: int = 64,
        crossover_probability: float = 0.9,
        swap_probability: float = 0.5,
    ) -> None:
        with warnings.catch_warnings():
            # The hook for own children is marked experimental since Optuna 3.3 and unchanged since.
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            super().__init__(
                population_size=population_size,
                seed=int(rng.integers(2**31)),
                child_generation_strategy=self._child,
            )
        self._space = space
        self._genome_rng = rng
        self._feasible = feasible or (lambda genes: True)
        self._redraws = redraws
        self._crossover_probability = crossover_probability
        self._swap_probability = swap_probability
        self._keys: dict[int, str] = {}  # canonical key of trials whose genes cannot change any more

    @classmethod
    def generation_key(cls) -> str:
        """System attribute of a trial that holds its generation; Optuna names it after the class."""
        return cls._get_generation_key()

    def infer_relative_search_space(
        self, study: optuna.Study, trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        """Always the whole space: it never depends on the trials that happen to be there."""
        return self._space.distributions()

    def sample_relative(
        self, study: optuna.Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """All genes of the next design."""
        child = super().sample_relative(study, trial, search_space)
        return child or self._founder(study)

    def _founder(self, study: optuna.Study) -> dict[str, int]:
        """A member of generation 0: the first start design nobody has proposed, then random designs."""
        seen = self._seen(study)
        for variants in start_designs(self._space):
            genes = next((variant for variant in variants if self._feasible(variant)), None)
            if genes is not None and self._space.decode(genes).key() not in seen:
                return genes
        return self._first_useful(lambda: self._space.random(self._genome_rng), seen)

    def _child(
        self,
        study: optuna.Study,
        search_space: dict[str, BaseDistribution],
        parents: list[FrozenTrial],
    ) -> dict[str, Any]:
        order = _constrained_rank(parents, study.directions)
        return self._first_useful(lambda: self._breed(parents, order), self._seen(study))

    def _first_useful(self, draw: Callable[[], dict[str, int]], seen: set[str]) -> dict[str, int]:
        best: dict[str, int] | None = None
        genes: dict[str, int] = {}
        for _ in range(self._redraws + 1):
            genes = draw()
            if self._space.decode(genes).key() in seen:
                continue
            if self._feasible(genes):
                return genes
            best = genes
        return best if best is not None else genes

    def _seen(self, study: optuna.Study) -> set[str]:
        """Keys of designs that are finished, being evaluated, or sure to diverge.

        Other failures (a killed process, a full disk) say nothing about a design: it may be proposed again.
        """
        states = (TrialState.COMPLETE, TrialState.RUNNING, TrialState.FAIL)
        names = self._space.genes().keys()
        seen = set()
        for trial in study.get_trials(deepcopy=False, states=states):
            if trial.state == TrialState.FAIL and DIVERGED_KEY not in trial.user_attrs:
                continue
            if trial.number not in self._keys:
                if not names <= trial.params.keys():
                    continue  # another process has not suggested all of them yet
                self._keys[trial.number] = self._space.decode(trial.params).key()
            seen.add(self._keys[trial.number])
        return seen

    def _breed(self, parents: Sequence[FrozenTrial], order: np.ndarray) -> dict[str, int]:
        """Uniform crossover of two tournament winners, then mutation at one gene on average."""
        rng = self._genome_rng
        first = dict(parents[self._tournament(order)].params)
        if rng.random() < self._crossover_probability:
            second = parents[self._tournament(order)].params
            first = {k: second[k] if rng.random() < self._swap_probability else v for k, v in first.items()}
        counts = self._space.genes()
        free = [name for name, count in counts.items() if count > 1]
        for name in free:
            if rng.random() < 1.0 / len(free):
                others = [value for value in range(counts[name]) if value != first[name]]
                first[name] = int(rng.choice(others))
        return first

    def _tournament(self, order: np.ndarray) -> int:
        one, two = self._genome_rng.integers(len(order), size=2)
        return int(one if order[one] <= order[two] else two)


def _constrained_rank(trials: Sequence[FrozenTrial], directions: Sequence[Any]) -> np.ndarray:
    """Rank of each trial under constrained domination, 0 best, (n_trials,).

    A feasible trial goes before an infeasible one, of two infeasible ones the smaller violation, of two feasible
    ones the dominating one (Deb et al. 2002, section VI). Parents number at most 64, so counting dominators is
    cheap enough and needs no sorting into fronts.
    """
    signs = np.array([1.0 if d == optuna.study.StudyDirection.MINIMIZE else -1.0 for d in directions])
    values = np.array([trial.values for trial in trials]) * signs
    violation = np.array([total_violation(trial) for trial in trials])
    no_worse = (values[:, None, :] <= values[None, :, :]).all(axis=2)
    better = (values[:, None, :] < values[None, :, :]).any(axis=2)
    both_feasible = (violation[:, None] == 0) & (violation[None, :] == 0)
    dominates = np.where(both_feasible, no_worse & better, violation[:, None] < violation[None, :])
    return dominates.sum(axis=0)


def total_violation(trial: FrozenTrial) -> float:
    """Sum of the positive constraint values of a trial; 0 for a feasible one."""
    attributes = trial.system_attrs
    return sum(max(0.0, float(v)) for k, v in attributes.items() if k.startswith(_CONSTRAINT_PREFIX))
