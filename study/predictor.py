"""Predicts objectives from genes, refitted as trials finish, and says which children are worth a trial.

Predictions steer proposals and nothing else: they never enter the storage, a front or a hypervolume. Everything here
is computed from finished trials, so each process of a study fits for itself and nothing is lost with a process.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import moocore
import numpy as np

from study.breeding import Breeder
from study.costing import Costed
from study.feasibility import FeasibilityModel
from study.improvement import (
    Boxes,
    dominated_probability,
    expected_fall,
    expected_improvement,
    normal_cdf,
    undominated_boxes,
)
from study.leaving import LeavingModels
from study.surrogate import Choice, GeneEncoding, Kernel, ObjectiveModel, choose

Cost = Callable[[np.ndarray], Costed]
"""Of designs, (n, n_genes), what is known without a trial; see `study.costing`."""

_RETUNE = 1.3  # growth of the number of trials after which kernels are chosen again
_BLOCK = 1024  # rows compared with all others at once
_EXACT = 1e-4  # deviation of a known objective, in standard deviations of what was measured
_LEAST_DEVIATION = 1e-3  # of one that follows from what leaves at each exit, the same
_COSTINGS = 3  # calls of the simulator for one ranking before it is given up


@dataclass(frozen=True)
class PredictorSettings:
    """How much thought goes into a proposal.

    Attributes:
        children: Drawn for one choice.
        rounds: Times the best ones are replaced by their neighbours.
        best: Designs whose neighbours are looked at in a round.
        neighbours: Looked at in a round; of more a random part.
        least: Measured designs before anything is predicted.
        refits: A fit serves as many proposals as the number of trials has this in it.
        ends: Every so many-th fit goes for the least of a single objective, each in turn; 0: none does. The ends of
            a front carry much hypervolume and are far from what was measured, where the gain is underestimated.
        most: Designs a fit is made on; more are thinned out, the best are kept.
        costed: Of those that promise most, so many are costed and ranked again.
        placements: Of leading designs, the latest, that each of these is costed with beside its own: a network that
            is trained gets all of them.
    """

    children: int = 200
    rounds: int = 2
    best: int = 8
    neighbours: int = 300
    least: int = 8
    refits: int = 120
    ends: int = 5
    most: int = 500
    costed: int = 32
    placements: int = 4


@dataclass(frozen=True)
class _Fit:
    """What one fit leaves behind."""

    features: np.ndarray
    models: list[ObjectiveModel]
    front: np.ndarray  # in the scales of the models
    boxes: Boxes
    goal: int | None  # the objective whose end of the front is looked for; None: hypervolume
    excess: ObjectiveModel | None  # of the largest excess over a constraint; None: none was broken
    leaving: LeavingModels | None  # None: what leaves at each exit is not known


class DesignPredictor:
    """Gaussian processes of the objectives and what follows from them for proposals.

    Args:
        encoding: The genes.
        settings: See there.
        cost: What is known of designs without a trial; None: nothing is.
        placement: Genes that change no network where every placement of a trained one becomes a design, (n_genes,)
            bool; None: there are none.
    """

    def __init__(
        self,
        encoding: GeneEncoding,
        settings: PredictorSettings | None = None,
        cost: Cost | None = None,
        placement: np.ndarray | None = None,
    ) -> None:
        self._encoding = encoding
        self._settings = settings or PredictorSettings()
        self._cost = cost
        self._placement = np.zeros(len(encoding.counts), dtype=bool) if placement is None else placement
        self._breeder = Breeder(np.array(list(encoding.counts.values())))
        self._n_genes = max(1, sum(count > 1 for count in encoding.counts.values()))
        self.feasibility = FeasibilityModel(encoding, self._n_genes)
        self._choices: list[Choice] = []
        self._leaving_kernels: dict[int, Kernel] = {}
        self._tuned_at = self._fitted_at = 0
        self._fit: _Fit | None = None
        self._fits = 0
        self._queue: list[np.ndarray] = []
        self.seconds = 0.0
        """Time spent fitting and ranking so far."""

    def room(self, count: int) -> int:
        """Further designs that a fit can be made on where so many are measured."""
        return max(0, self._settings.most - count)

    def update(
        self,
        designs: np.ndarray,
        values: np.ndarray,
        running: np.ndarray,
        excess: np.ndarray | None = None,
        derived: np.ndarray | None = None,
        leaving: np.ndarray | None = None,
        trials: int | None = None,
    ) -> bool:
        """Fits to the measured designs if enough of them are new.

        Args:
            designs: (n, n_genes), in the order in which they finished.
            values: (n, n_objectives), to be minimised.
            running: Designs in evaluation elsewhere, (m, n_genes): their results are taken to be as predicted, so
                that no two processes go for the same gain.
            excess: The largest excess over a constraint that only a trial tells, (n,); those above 0 are no part of
                the front. None: there is no such constraint.
            derived: Values of other designs that belong to the front, (k, n_objectives); None: there are none.
            leaving: Share of inputs that leaves at each slot of an exit, (n, n_slots), NaN where there is none; None:
                it is not known.
            trials: How many of the designs had a trial of their own; None: all of them. The others follow from their
                networks, and as there is room for so many only, they get fewer as trials finish.

        Returns:
            Whether there is a fit to predict with.
        """
        start = time.perf_counter()
        if len(values) < self._settings.least or (values == values[0]).all():
            return False
        count = len(values) if trials is None else trials
        stale = count - self._fitted_at >= max(1, count // self._settings.refits)
        if self._fit is None or stale or not self._queue:
            rows = _thinned(values, self._settings.most)
            features = self._encoding.features(designs[rows])
            agreement = features @ features.T
            measured = values[rows]
            broken = np.zeros(len(rows)) if excess is None else np.clip(excess[rows], -1.0, 1.0)
            if (broken > 0).any():
                measured = np.column_stack([measured, broken])
            if count >= _RETUNE * self._tuned_at or len(self._choices) != measured.shape[1]:
                self._choices = choose(agreement, measured, self._n_genes)
                self._tuned_at, self._leaving_kernels = count, {}
            models = [
                ObjectiveModel(choice, agreement, column, self._n_genes)
                for choice, column in zip(self._choices, measured.T, strict=True)
            ]
            limits = models.pop() if len(models) > values.shape[1] else None
            scaled = _per_objective(models, values[rows])
            # A design counts as far as the worst of what was measured, and a tenth beyond.
            reference = scaled.max(axis=0) + 0.1 * np.ptp(scaled, axis=0)
            feasible = scaled[broken <= 0]
            if derived is not None and len(derived):
                feasible = np.vstack([feasible, _per_objective(models, derived)])
            front = feasible[moocore.is_nondominated(feasible)] if len(feasible) else feasible
            self.feasibility.fit()
            goal = self._next_goal(values.shape[1]) if len(front) else None
            shares = self._leaving(features, None if leaving is None else leaving[rows])
            fit = _Fit(features, models, front, undominated_boxes(front, reference), goal, limits, shares)
            if len(running):
                self._fit = fit
                expected = np.vstack([front, self.predict(running)[0]])
                fit = replace(fit, boxes=undominated_boxes(expected, reference))
            self._fit = fit
            self._fitted_at, self._queue = count, []
        self.seconds += time.perf_counter() - start
        return True

    def predict(self, designs: np.ndarray, costed: Costed | None = None) -> tuple[np.ndarray, np.ndarray]:
        """Mean and standard deviation in the scales of the models, each (n, n_objectives).

        Args:
            designs: (n, n_genes).
            costed: What is known of them; None: nothing is.
        """
        fit = self._fitted()
        features = self._encoding.features(designs)
        agreement = features @ fit.features.T
        pairs = [model.predict(agreement) for model in fit.models]
        mean, deviation = (np.stack(column, axis=1) for column in zip(*pairs, strict=True))
        if costed is None:
            return mean, deviation
        exact = ~np.isnan(costed.exact)
        mean = np.where(exact, _per_objective(fit.models, np.nan_to_num(costed.exact)), mean)
        deviation = np.where(exact, _EXACT, deviation)
        columns = np.flatnonzero(~np.isnan(costed.at_exits).all(axis=(0, 1)))
        if fit.leaving is not None and len(columns):
            means, spreads = fit.leaving.means(features, costed.at_exits[:, :, columns])
            for column, value, spread in zip(columns.tolist(), means.T, spreads.T, strict=True):
                scale = fit.models[column].scale
                half = (scale(value + spread) - scale(value - spread)) / 2
                mean[:, column], deviation[:, column] = scale(value), np.maximum(half, _LEAST_DEVIATION)
        return mean, deviation

    def dominated(self, designs: np.ndarray) -> np.ndarray:
        """At least how probable it is that a trial of each design, (n, n_genes), is dominated by the front, (n,)."""
        fit = self._fitted()
        mean, deviation = self.predict(designs)
        # A measurement scatters around the function that is predicted.
        noise = np.array([model.noise_deviation for model in fit.models])
        return dominated_probability(mean, np.hypot(deviation, noise), fit.front)

    def ranked(
        self,
        parents: np.ndarray,
        rank: np.ndarray,
        rng: np.random.Generator,
        beside: np.ndarray | None = None,
    ) -> list[np.ndarray]:
        """Designs by falling expected gain in hypervolume; those proposed are to be taken off by `pop`.

        Args:
            parents: Designs to breed from, (n, n_genes).
            rank: Of each, (n,), 0 best.
            rng: Source of every draw.
            beside: Other designs whose cost is asked for if any is, (m, n_genes): one call costs less than two.
        """
        start = time.perf_counter()
        if not self._queue:
            designs = np.unique(self._breeder.children(parents, rank, self._settings.children, rng), axis=0)
            gains = self._gains(designs)
            for _ in range(self._settings.rounds):
                best = designs[np.argsort(-gains)[: self._settings.best]]
                near = self._breeder.neighbours(best)
                if len(near) > self._settings.neighbours:
                    near = near[rng.permutation(len(near))[: self._settings.neighbours]]
                new = _without(near, designs)
                designs, gains = np.vstack([designs, new]), np.concatenate([gains, self._gains(new)])
            promising = _falling(designs, gains)
            leading = parents[rank == rank.min()][-self._settings.placements :]
            self._queue = list(
                self._ranked_by_costs(promising, leading, designs[:0] if beside is None else beside)
            )
        self.seconds += time.perf_counter() - start
        return self._queue

    def _ranked_by_costs(self, designs: np.ndarray, leading: np.ndarray, beside: np.ndarray) -> np.ndarray:
        """Designs by falling gain: the first of them once more with what they cost, the others after them.

        Of a network the placement counts that promises most, its own or that of a leading design. Where none of the
        first is left, as where all break a constraint, what was learned of that ranks the others anew before the next
        ones are costed.
        """
        if self._cost is None:
            return designs
        for _ in range(_COSTINGS):
            top, designs = np.split(designs, [self._settings.costed])
            if not len(top):
                break
            top = self._placed(top, leading)
            costed = self._cost(np.vstack([top, beside])).first(len(top))
            left = self._one_a_network(_falling(top, self._gains(top, costed)))
            if len(left):
                return np.vstack([left, designs])
            beside = beside[:0]
            self.feasibility.fit()
            designs = _falling(designs, self._gains(designs))
        return designs[:0]

    def _placed(self, designs: np.ndarray, leading: np.ndarray) -> np.ndarray:
        """Designs, and their networks with the placements of leading ones."""
        if not self._placement.any():
            return designs
        moved = np.where(self._placement, leading[:, None], designs[None]).reshape(-1, designs.shape[1])
        return np.vstack([designs, _without(moved, designs)])

    def _one_a_network(self, designs: np.ndarray) -> np.ndarray:
        """The first design of each network."""
        _, first = np.unique(designs[:, ~self._placement], axis=0, return_index=True)
        return designs[np.sort(first)]

    def _leaving(self, features: np.ndarray, leaving: np.ndarray | None) -> LeavingModels | None:
        if self._cost is None or leaving is None or np.isnan(leaving).all():
            return None
        return LeavingModels(features, leaving, self._n_genes, self._leaving_kernels)

    def _gains(self, designs: np.ndarray, costed: Costed | None = None) -> np.ndarray:
        fit = self._fitted()
        mean, deviation = self.predict(designs, costed)
        probable = self.feasibility.probability(designs) if costed is None else costed.meets
        feasible = probable * self._meets(designs)
        if fit.goal is None:
            return feasible * expected_improvement(mean, deviation, fit.boxes)
        best = float(fit.front[:, fit.goal].min())
        return feasible * expected_fall(mean[:, fit.goal], deviation[:, fit.goal], best)

    def _meets(self, designs: np.ndarray) -> np.ndarray:
        """How probable it is that trials of designs exceed no constraint, (n,)."""
        fit = self._fitted()
        if fit.excess is None:
            return np.ones(len(designs))
        mean, deviation = fit.excess.predict(self._encoding.features(designs) @ fit.features.T)
        return normal_cdf((fit.excess.scale(np.zeros(1)) - mean) / deviation)

    def _next_goal(self, n_objectives: int) -> int | None:
        self._fits += 1
        every = self._settings.ends
        return (self._fits // every) % n_objectives if every and self._fits % every == 0 else None

    def _fitted(self) -> _Fit:
        if self._fit is None:
            raise RuntimeError("expected a fit, got none; update() says whether there is one")
        return self._fit


def _per_objective(models: Sequence[ObjectiveModel], values: np.ndarray) -> np.ndarray:
    return np.stack([model.scale(column) for model, column in zip(models, values.T, strict=True)], axis=1)


def _falling(designs: np.ndarray, gains: np.ndarray) -> np.ndarray:
    """Designs that promise anything, the best first."""
    order = np.argsort(-gains, kind="stable")
    return designs[order[gains[order] > 0]]


def _without(designs: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Distinct designs that are not among the known ones."""
    seen = {row.tobytes() for row in known}
    distinct = np.unique(designs, axis=0)
    return distinct[[row.tobytes() not in seen for row in distinct]]


def _no_worse(values: np.ndarray, than: np.ndarray) -> np.ndarray:
    """Whether a row of values is nowhere larger than a row of the others, (n, m)."""
    answer = np.ones((len(values), len(than)), dtype=bool)
    for mine, theirs in zip(values.T, than.T, strict=True):
        answer &= mine[:, None] <= theirs[None, :]
    return answer


def _thinned(values: np.ndarray, most: int) -> np.ndarray:
    """Rows to fit on: all, or the least dominated half and every so many-th of the others, ascending."""
    count = len(values)
    if count <= most:
        return np.arange(count)
    ranks = np.argsort(np.argsort(values, axis=0), axis=0)
    dominators = np.concatenate(
        [_no_worse(values, values[i : i + _BLOCK]).sum(axis=0) for i in range(0, count, _BLOCK)]
    )
    order = np.lexsort((ranks.sum(axis=1), dominators))
    kept = order[: most // 2]
    others = np.sort(order[most // 2 :])
    spread = others[np.linspace(0, len(others) - 1, most - len(kept)).astype(int)]
    return np.sort(np.concatenate([kept, spread]))
