from __future__ import annotations

import warnings
from typing import get_args

import numpy as np
import optuna
import pytest
from optuna.samplers import GPSampler, NSGAIIISampler, NSGAIISampler, RandomSampler, TPESampler
from pydantic import ValidationError

from hwcost.errors import OfframpError
from study.config import SamplerName, SearchConfig
from study.config_io import identity
from study.sampler import GenomeNSGAIISampler
from study.samplers import generation_of, make_sampler
from study.storage import StudyIdentity, default_url, open_storage, open_study, store_result
from tests.study.bench import bench_context
from tests.study.spaces import small_space
from tests.study.synthetic import evaluate, objectives

NAMES = get_args(SamplerName)
GENETIC = ("nsga2", "nsga2-optuna", "nsga3")
POPULATION = 5
TRIALS = 12  # more than ten, after which TPE and the Gaussian processes begin to model


def run(
    name: str, seed: int = 0, count: int = TRIALS, latency_bound: float = 60.0, **options
) -> optuna.Study:
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    space, config = small_space(), SearchConfig(sampler=name, **options)
    study = optuna.create_study(
        directions=["minimize"] * 3, sampler=make_sampler(config, space, POPULATION, seed)
    )
    for _ in range(count):
        trial = study.ask(space.distributions())
        record = evaluate(space.decode(trial.params), latency_bound)
        store_result(trial, record)
        study.tell(trial, objectives(record))
    return study


@pytest.fixture(scope="module")
def studies() -> dict[str, optuna.Study]:
    with warnings.catch_warnings():
        warnings.simplefilter("error", FutureWarning)  # constraints are not passed the deprecated way
        return {name: run(name) for name in NAMES}


def test_every_name_is_another_sampler():
    made = {name: type(make_sampler(SearchConfig(sampler=name), small_space(), 4, 0)) for name in NAMES}
    assert made == {
        "nsga2": GenomeNSGAIISampler,
        "nsga2-optuna": NSGAIISampler,
        "nsga3": NSGAIIISampler,
        "tpe": TPESampler,
        "random": RandomSampler,
        "gp": GPSampler,
    }


def test_an_unknown_name_is_refused():
    with pytest.raises(ValidationError, match="nsga2-optuna"):
        SearchConfig(sampler="cma-es")


@pytest.mark.parametrize("name", NAMES)
def test_a_small_study_ends_and_every_trial_has_every_gene(studies, name):
    trials = studies[name].get_trials(states=(optuna.trial.TrialState.COMPLETE,))
    assert len(trials) == TRIALS
    for trial in trials:
        assert trial.distributions == small_space().distributions()
        assert len(trial.constraints) == 2


@pytest.mark.parametrize("name", NAMES)
def test_proposals_follow_from_the_seed(studies, name):
    first = [t.params for t in studies[name].trials][:5]
    options = {"start_designs": False} if name == "nsga2" else {}
    assert [t.params for t in run(name, count=5).trials] == first
    one, two = ([t.params for t in run(name, seed, count=5, **options).trials] for seed in (1, 2**40))
    assert one != two


@pytest.mark.parametrize("name", NAMES)
def test_generations_are_those_of_genetic_samplers(studies, name):
    generations = [generation_of(t) for t in studies[name].trials]
    if name not in GENETIC:
        assert generations == [None] * TRIALS
    elif name == "nsga2-optuna":
        assert generations == [0] * TRIALS  # as shipped: 50 individuals
    else:
        assert generations == [i // POPULATION for i in range(TRIALS)]


@pytest.mark.parametrize("name", ["nsga3", "tpe", "nsga2"])
def test_constraints_are_read(name):
    """With a bound that most random designs break, those that are proposed last seldom do."""

    def broken(study: optuna.Study) -> float:
        return float(np.mean([max(t.constraints.values()) > 0 for t in study.trials[-30:]]))

    bound = 40.0
    options = {"predictor": False} if name == "nsga2" else {}
    assert broken(run("random", count=60, latency_bound=bound)) > 0.5
    assert broken(run(name, count=60, latency_bound=bound, **options)) < 0.3


@pytest.mark.slow
def test_gaussian_processes_read_constraints():
    study = run("gp", count=26, latency_bound=40.0)
    last = [max(t.constraints.values()) > 0 for t in study.trials[-12:]]
    assert np.mean(last) < 0.4


def test_no_start_designs_and_no_skipping_where_they_are_switched_off():
    with_them, without = (run("nsga2", start_designs=on, skip=on, count=40) for on in (True, False))
    assert with_them.trials[0].params != without.trials[0].params
    assert not any("skipped_child" in t.user_attrs for t in without.trials)


def test_another_sampler_does_not_resume_a_study(tmp_path):
    context = bench_context(tmp_path)
    storage = open_storage(default_url(tmp_path))
    open_study(storage, StudyIdentity("s", identity(context.config), "d", 4))
    search = context.config.search.model_copy(update={"sampler": "tpe"})
    other = context.config.model_copy(update={"search": search})
    with pytest.raises(OfframpError, match=r"search\.sampler: the study has 'nsga2', asked for 'tpe'"):
        open_study(storage, StudyIdentity("s", identity(other), "d", 4))
