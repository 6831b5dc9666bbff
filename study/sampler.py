"""NSGA-II on top of Optuna's: start designs as generation 0, and children that are worth a trial.

Optuna keeps the generations, the parents and the storage. Ours are four things. Generation 0 consists of chosen
designs and random ones, until enough is measured to predict, that the sampler itself proposes: enqueued trials never
become parents. A child that was seen before is drawn again (bounded). A child whose hardware cost breaks a constraint
is drawn again too, because finding that out takes hundredths of a second. And of many children the one is proposed
that is expected to enlarge the hypervolume most, by a predictor that is refitted as trials finish; see
`study.predictor`.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Protocol

import moocore
import numpy as np
import optuna
from optuna.distributions import BaseDistribution
from optuna.samplers import NSGAIISampler
from optuna.trial import FrozenTrial
from threadpoolctl import ThreadpoolController

from study.breeding import Breeder, as_rows
from study.checking import Check, DesignChecks, Draws
from study.costing import Costed, Costing, without_constraints
from study.domination import constrained_rank, largest_excess, signs, was_measured
from study.examples import Derived
from study.genome import SearchSpace, start_designs
from study.history import History
from study.improvement import MOST_OBJECTIVES
from study.predictor import DesignPredictor, PredictorSettings
from study.rungs import first_rung_values
from study.skipping import SKIP_KEY, SkipNote, SkipRule
from study.storage import RESULT_KEY
from study.surrogate import GeneEncoding

_MOST_PLACEMENTS = 16  # of leading designs, the latest, that a child is tried with before it is skipped

DIVERGED_KEY = "diverged"
"""User attribute of a failed trial whose training diverged: seeds follow from the design, so it always will."""


class Keyed(Protocol):
    """A design that knows whether it is the same as another."""

    def key(self) -> str:
        """Equal for designs that are the same."""
        ...


class GeneSpace(Protocol):
    """What the sampler must know of a search space; `study.genome.SearchSpace` is one."""

    def genes(self) -> dict[str, int]:
        """Number of choices of every gene."""
        ...

    def ordered_genes(self) -> frozenset[str]:
        """Genes whose choices are ordered."""
        ...

    def placement_genes(self) -> frozenset[str]:
        """Genes that change no network, but where and how strictly it runs."""
        ...

    def distributions(self) -> dict[str, BaseDistribution]:
        """The genes as Optuna distributions over indices."""
        ...

    def decode(self, genes: Mapping[str, int]) -> Keyed:
        """The design that indices stand for."""
        ...

    def random(self, rng: np.random.Generator) -> dict[str, int]:
        """Genes of a random design."""
        ...


class GenomeNSGAIISampler(NSGAIISampler):
    """NSGA-II over genomes of one search space.

    Args:
        space: The genes.
        population_size: Individuals a generation.
        rng: Source of every proposal of this process.
        feasible: Whether designs given by their genes meet the hardware constraints; None accepts all.
        redraws: How often a proposal that was seen before, or is infeasible, is drawn again. When all draws are
            spent the last unseen one is proposed, and failing that the last one.
        predictor: How proposals are predicted; None: the child of the genetic algorithm is proposed as it is.
            Used with at most four objectives.
        skip: When a child counts as skipped that gives way to one that promises more; None: none does.
        costing: What is known of designs without a trial: the predictor looks again at what it ranks first with what
            the exits cost, and constraints of those need no further check. None: nothing is known.
        identify: What makes two proposals the same; None: the design. Where every allocation and policy target of a
            trained network becomes a design anyhow, it is the network: proposing it again would bring nothing, and a
            child is skipped only if it would be dominated with the placements of leading designs too.
        derived: Designs that were evaluated without being proposed: what they dominate is no gain, and the predictor
            learns from some of them. None: there are none.
        founders: Designs of generation 0 before random ones, each with variants to fall back on; None: the start
            designs of the space.
    """

    def __init__(
        self,
        space: GeneSpace,
        population_size: int,
        rng: np.random.Generator,
        feasible: Check | None = None,
        redraws: int = 64,
        predictor: PredictorSettings | None = PredictorSettings(),  # noqa: B008  frozen
        skip: SkipRule | None = SkipRule(),  # noqa: B008  frozen
        costing: Costing | None = None,
        identify: Callable[[Any], str] | None = None,
        derived: Derived | None = None,
        founders: Iterable[Sequence[dict[str, int]]] | None = None,
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
        self._redraws = redraws
        self._skip = skip
        self._identify = identify or _design_key
        self._derived = derived
        placement = () if identify is None else space.placement_genes()
        self._placement = np.array([name in placement for name in space.genes()])
        if founders is None and isinstance(space, SearchSpace):
            founders = start_designs(space)
        self._founders = [tuple(variants) for variants in founders or ()]
        self._names = list(space.genes())
        self._breeder = Breeder(np.array(list(space.genes().values())))
        encoding = GeneEncoding(space.genes(), space.ordered_genes())
        self._costing = costing
        cost = None if costing is None else self._cost
        self.predictor = (
            None if predictor is None else DesignPredictor(encoding, predictor, cost, self._placement)
        )
        self._note: SkipNote | None = None  # of the proposal that is being made
        self._history = History(
            self._names,
            lambda trial: self._key(trial.params),
            was_measured,
            lambda trial: (
                trial.values,
                first_rung_values(trial),
                largest_excess(trial),
                self._leaving(trial),
            ),
            lambda trial: DIVERGED_KEY in trial.user_attrs,
            self.generation_key(),
        )
        self._checks = DesignChecks(feasible, self._names, self._checked)
        self._blas = ThreadpoolController()
        self._parents: tuple[int, list[FrozenTrial]] = (0, [])  # of the latest generation

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
        self._note = None
        self._history.read(study.get_trials(deepcopy=False))
        # Matrices here are small: more threads gain little and, with several processes, cost more than all the rest.
        with self._blas.limit(limits=1, user_api="blas"):
            child = super().sample_relative(study, trial, search_space) or self._founder(study)
        if self._note is not None:
            study._storage.set_trial_user_attr(trial._trial_id, SKIP_KEY, self._note.to_json())
        return child

    def get_trial_generation(self, study: optuna.Study, trial: FrozenTrial) -> int:
        """The generation a trial belongs to: the latest one until that is full, counted once a trial."""
        known = trial.system_attrs.get(self.generation_key())
        if known is not None:
            return int(known)
        self._history.read(study.get_trials(deepcopy=False))
        generations = self._history.generations
        latest = max(generations, default=0)
        generation = latest + (generations[latest] >= (self.population_size or 0))
        study._storage.set_trial_system_attr(trial._trial_id, self.generation_key(), generation)
        return generation

    def get_parent_population(self, study: optuna.Study, generation: int) -> list[FrozenTrial]:
        """The parents of a generation, which do not change once they were chosen."""
        if generation == 0:
            return []
        if self._parents[0] != generation:
            self._parents = generation, super().get_parent_population(study, generation)
        return self._parents[1]

    def _founder(self, study: optuna.Study) -> dict[str, int]:
        """A member of generation 0: the first start design nobody has proposed, then random designs.

        As soon as anything can be predicted the rest is chosen as children are, bred from all that was measured.
        """
        seen = self._history.seen()
        for variants in self._founders:
            genes = next((variant for variant in variants if self._checks.meets(variant)), None)
            if genes is not None and self._key(genes) not in seen:
                return genes
        draws = self._draws(lambda: self._space.random(self._genome_rng), seen)
        measured = self._history.measured().genes
        return self._proposal(study, draws, measured, np.zeros(len(measured), dtype=int))

    def _child(
        self,
        study: optuna.Study,
        search_space: dict[str, BaseDistribution],
        parents: list[FrozenTrial],
    ) -> dict[str, Any]:
        rows, rank = self._rows(parents), constrained_rank(parents, study.directions)
        seen = self._history.seen()
        draws = self._draws(
            lambda: self._genes(self._breeder.children(rows, rank, 1, self._genome_rng)[0]), seen
        )
        return self._proposal(study, draws, rows, rank)

    def _proposal(
        self, study: optuna.Study, draws: Draws, rows: np.ndarray, rank: np.ndarray
    ) -> dict[str, Any]:
        """What the predictor ranks first; where there is nothing to predict by, the first draw that will do.

        Args:
            study: Of the proposal.
            draws: What a plain algorithm would propose.
            rows: Designs to breed from beside the leading ones, (n, n_genes).
            rank: Of each, (n,), 0 best.
        """
        seen = self._history.seen()
        drawn = draws.take(self._checks.ahead)
        front = self._fitted_front(study)
        if self.predictor is None or front is None:
            return self._first_met(drawn, draws)
        breeders = np.vstack([front, rows]), np.repeat([0, 1], [len(front), len(rows)])
        ranked: list[np.ndarray] | None = None
        if self._checks.ahead > 1:
            ranked = self.predictor.ranked(*breeders, self._genome_rng, as_rows(drawn, self._names))
            next_ones = [self._genes(row) for row in ranked[: self._checks.ahead]]
            self._checks.look_at([*drawn, *(genes for genes in next_ones if self._key(genes) not in seen)])
        met = self._checks.first(drawn, lambda genes: True)
        if met is not None:
            self._note = self._skipped(study, self.predictor, drawn[met], front)
            if self._note is not None and self._note.trained:
                return drawn[met]
        if ranked is None:
            ranked = self.predictor.ranked(*breeders, self._genome_rng)
        offered = [self._genes(row) for row in ranked[: self._redraws + 1]]
        chosen = self._checks.first(offered, lambda genes: self._key(genes) not in seen)
        del ranked[: len(offered) if chosen is None else chosen + 1]
        if chosen is not None:
            return offered[chosen]
        self._note = None
        return self._first_met(drawn, draws)

    def _fitted_front(self, study: optuna.Study) -> np.ndarray | None:
        """Leading designs, (n, n_genes), once the predictor is fitted; None where nothing is predicted."""
        if self.predictor is None or len(study.directions) > MOST_OBJECTIVES:
            return None
        measured = self._history.measured()
        designs = measured.genes
        if not len(designs):
            return None
        sign = signs(study.directions)
        elsewhere = self._rows(self._history.running)
        known, derived = measured, None
        if self._derived is not None:
            derived = self._derived.front()
            known = measured.followed_by(self._derived.examples(self.predictor.room(len(designs))))
        values = known.comparable * sign
        if not self.predictor.update(
            known.genes, values, elsewhere, known.excess, derived, known.leaving, trials=len(designs)
        ):
            return None
        values, feasible = measured.values * sign, measured.excess <= 0
        return designs[feasible][moocore.is_nondominated(values[feasible])] if feasible.any() else designs

    def _skipped(
        self, study: optuna.Study, predictor: DesignPredictor, child: dict[str, int], front: np.ndarray
    ) -> SkipNote | None:
        """What becomes of a child that is surely dominated; None for one that is not.

        Args:
            study: Of the proposal.
            predictor: Fitted.
            child: Its genes.
            front: Leading designs, (n, n_genes): the child is tried with the placement of each.
        """
        if self._skip is None or len(self._history.measured().genes) < self._skip.least:
            return None
        row = as_rows([child], self._names)
        probability = float(predictor.dominated(row)[0])
        if probability >= self._skip.confidence and self._placement.any():
            placed = np.unique(np.where(self._placement, front[-_MOST_PLACEMENTS:], row), axis=0)
            probability = min(probability, float(predictor.dominated(placed).min()))
        if probability < self._skip.confidence:
            return None
        return SkipNote(probability, self._skip.trains_next(study.get_trials(deepcopy=False)))

    def _draws(self, draw: Callable[[], dict[str, int]], seen: set[str]) -> Draws:
        return Draws(draw, lambda genes: self._key(genes) not in seen, self._redraws + 1)

    def _first_met(self, drawn: list[dict[str, int]], draws: Draws) -> dict[str, int]:
        """The first draw that meets the constraints, from what was drawn already on; the latest if none does."""
        while drawn:
            found = self._checks.first(drawn, lambda genes: True)
            if found is not None:
                return drawn[found]
            drawn = draws.take(self._checks.ahead)
        return draws.latest

    def _cost(self, designs: np.ndarray) -> Costed:
        assert self._costing is not None
        costed = self._costing.cost(designs)
        if self._checks.ahead == 1:  # constraints are not checked beforehand
            return without_constraints(costed)
        for row, met in zip(designs.tolist(), costed.meets.tolist(), strict=True):
            self._checks.take(row, met)
        return costed

    def _leaving(self, trial: FrozenTrial) -> list[float]:
        """Share of inputs that leaves at each slot of an exit, NaN where there is none; empty where none is known.

        Predictions are made of the training that all have, and a longer one lets others leave.
        """
        if self._costing is None:
            return []
        row = np.full(self._costing.n_slots, np.nan)
        result = trial.user_attrs.get(RESULT_KEY, {})
        shares = result.get("exit_ratios") or ()
        if shares and not result.get("lower_rungs"):
            row[self._costing.slots(trial.params)] = shares
        found: list[float] = row.tolist()
        return found

    def _checked(self, row: tuple[int, ...], met: bool) -> None:
        if self.predictor is not None:
            self.predictor.feasibility.note(np.array(row), met)

    def _key(self, genes: Mapping[str, int]) -> str:
        return self._identify(self._space.decode(genes))

    def _rows(self, trials: Sequence[FrozenTrial]) -> np.ndarray:
        return as_rows([trial.params for trial in trials], self._names)

    def _genes(self, row: np.ndarray) -> dict[str, int]:
        return dict(zip(self._names, row.tolist(), strict=True))


def _design_key(design: Keyed) -> str:
    return design.key()
