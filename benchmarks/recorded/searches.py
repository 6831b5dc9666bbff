"""Searches on recorded networks: who proposes, what is counted, how far each got.

An evaluation is a proposal whose network is looked up, also one that was looked up before. Nothing else is counted,
for nobody: a proposal that breaks a constraint costs a simulation, and one whose network is not in the table is none.
Samplers are told of the former as they are in a study, of the latter nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import optuna
from optuna.samplers import BaseSampler
from optuna.trial import TrialState

from benchmarks.recorded.table_study import TableStudy
from study.compare_indicators import non_dominated
from study.config import SamplerName, SearchConfig, StudyConfig
from study.examples import Derived, Examples
from study.genome import Genome
from study.history import Measured
from study.predictor import PredictorSettings
from study.record import DesignRecord
from study.sampler import GenomeNSGAIISampler
from study.samplers import make_sampler
from study.skipping import SkipReport, SkipRule
from study.storage import store_result

_MOST_PROPOSALS = 200  # for one evaluation; a space with hardly anything in it would never end


@dataclass(frozen=True)
class Player:
    """One way to search.

    Attributes:
        sampler: Ours in any form, or another by name.
        predictor: Proposals are predicted.
        skip: Children that are surely dominated count as skipped.
        redraws: How often a proposal is drawn again.
        start: Begins with chosen designs.
        hardware_first: Constraints are checked before a design is proposed, and none is evaluated that breaks one.
        derive: Proposals know that every allocation and target of a network comes with it.
        leave_out: Networks with fewer exits come with it too.
        learn_derived: Of what comes with a network, so many designs teach the predictor; 0: none.
        exit_costs: Proposals are predicted with what their exits cost.
    """

    sampler: SamplerName = "nsga2"
    predictor: bool = True
    skip: bool = True
    redraws: int = 64
    start: bool = True
    hardware_first: bool = True
    derive: bool = True
    leave_out: bool = True
    learn_derived: int = SearchConfig().learn_derived
    exit_costs: bool = True

    def make(self, study: TableStudy, evaluations: int, seed: int, derived: Derived) -> BaseSampler:
        """The sampler as a study of so many trials makes it."""
        search = SearchConfig(trials=evaluations, sampler=self.sampler)
        population = StudyConfig(search=search).population()
        if self.sampler != "nsga2":
            return make_sampler(search, study.space, population, seed)
        costing = study.costing(self.hardware_first)
        return GenomeNSGAIISampler(
            study.space,
            population,
            np.random.default_rng(seed),
            costing.meet,
            self.redraws,
            PredictorSettings() if self.predictor else None,
            SkipRule() if self.skip else None,
            costing=costing if self.exit_costs else None,
            identify=(lambda design: design.architecture.key()) if self.derive else None,
            derived=derived if self.derive else None,
            founders=study.space.founders(self.derive and self.leave_out) if self.start else (),
        )


PLAYERS = {
    "offramp": Player(),
    "random": Player(sampler="random"),
    "nsga2": Player(sampler="nsga2-optuna"),
    "nsga3": Player(sampler="nsga3"),
    "tpe": Player(sampler="tpe"),
}
ABLATION = {
    "offramp": Player(),
    "predictor off": Player(predictor=False),
    "exits' costs unknown to it": Player(exit_costs=False),
    "skipping off": Player(skip=False),
    "redraw off": Player(redraws=0),
    "start designs off": Player(start=False),
    "derived designs unknown to it": Player(derive=False),
    "derived designs teach it nothing": Player(learn_derived=0),
    "leaving exits out off": Player(leave_out=False),
    "hardware first off": Player(hardware_first=False),
    "all of these off": Player(
        predictor=False, redraws=0, start=False, hardware_first=False, derive=False, leave_out=False
    ),
}


@dataclass(frozen=True, eq=False)
class Play:
    """One search.

    Attributes:
        proposals: Hypervolume over the best possible of what was proposed, after each evaluation, (n_evaluations,).
        derived: The same of everything that derives from the networks, (n_evaluations,).
        trained: Networks that a study would have trained, after each evaluation, (n_evaluations,).
        skips: Of our sampler.
        networks: Keys of those networks, at the end.
    """

    proposals: np.ndarray
    derived: np.ndarray
    trained: np.ndarray
    skips: SkipReport
    networks: frozenset[str]


@dataclass
class Following:
    """What follows from the networks of a search, see `study.examples.Derived`.

    Attributes:
        best: The front of it.
        known: What the predictor may learn from.
    """

    best: Front
    known: Examples

    def front(self) -> np.ndarray:
        """See `study.examples.Derived`."""
        return self.best.values

    def examples(self, most: int) -> Measured:
        """See `study.examples.Derived`."""
        return self.known.take(most)


@dataclass
class Front:
    """The best values so far and their hypervolume.

    Attributes:
        volume: Of values, (n, n_objectives).
        values: The front.
        curve: Volumes, one entry a call of `add`.
    """

    volume: Callable[[np.ndarray], float]
    values: np.ndarray
    curve: list[float] = field(default_factory=list)

    def add(self, values: np.ndarray) -> None:
        """Takes values in, or nothing, and notes where that leads to."""
        merged = np.vstack([self.values, values])
        if len(values) == 0 and self.curve:
            self.curve.append(self.curve[-1])
            return
        self.values = non_dominated(merged)
        self.curve.append(self.volume(self.values))


def play(study: TableStudy, player: Player, evaluations: int, seed: int, to_the_end: bool = True) -> Play:
    """Searches until so many networks were looked up.

    Args:
        study: The table.
        player: Who searches.
        evaluations: To be counted.
        seed: Of the search.
        to_the_end: Goes on when every network that brings anything was looked up; only other placements of them are
            left to propose then.
    """
    objectives = study.evaluator.objectives
    best = study.scale.hypervolume(study.scale.joint)
    following = study.derived if player.leave_out else study.derived_with_all_exits
    nothing = np.zeros((0, len(objectives.columns)))
    fronts = [Front(lambda values: study.scale.hypervolume(values) / best, nothing) for _ in range(2)]
    costing = study.costing() if player.exit_costs else None
    examples = Examples(
        list(study.space.genes()), study.space.encode, objectives, costing, player.learn_derived
    )
    sampler = player.make(study, evaluations, seed, Following(fronts[1], examples))
    run = optuna.create_study(directions=["minimize"] * len(objectives.columns), sampler=sampler)
    networks: set[str] = set()
    useful = {key for key, values in following.items() if len(values)}
    trained: list[int] = []
    for _ in range(evaluations * _MOST_PROPOSALS):
        if len(trained) == evaluations or (not to_the_end and networks >= useful):
            break
        record = propose(run, study, study.evaluate)
        if record is None or (not record.trained and player.hardware_first):
            continue
        key = record.genome.architecture.key()
        new = nothing
        if record.trained and key not in networks:
            new = following[key]
            examples.add(study.following(key, not player.leave_out))
        networks |= {key} if record.trained else set()
        fronts[0].add(np.array([objectives.values(record)]) if record.may_lead else nothing)
        fronts[1].add(new)
        trained.append(len(networks))
    finished = run.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    keys = {t.number: study.space.decode(t.params).architecture.key() for t in finished}
    skips = SkipReport.of(
        finished,
        run.directions,
        {number: following[key] for number, key in keys.items() if key in networks},
    )
    return Play(
        np.array(fronts[0].curve), np.array(fronts[1].curve), np.array(trained), skips, frozenset(networks)
    )


def propose(
    run: optuna.Study, study: TableStudy, evaluate: Callable[[Genome], DesignRecord]
) -> DesignRecord | None:
    """Evaluates what the sampler of a run proposes next; None where its network was not recorded."""
    trial = run.ask(study.space.distributions())
    genome = study.space.decode(trial.params)
    if not study.recorded(genome):
        run.tell(trial, state=TrialState.FAIL)
        return None
    record = evaluate(genome)
    store_result(trial, record)
    run.tell(trial, study.evaluator.objectives.values(record))
    return record


def evaluations_to_reach(curve: np.ndarray, volume: float) -> int | None:
    """Evaluations after which a curve, (n_evaluations,), is at least there; None where it never is."""
    reached = np.flatnonzero(curve >= volume)
    return int(reached[0]) + 1 if reached.size else None
