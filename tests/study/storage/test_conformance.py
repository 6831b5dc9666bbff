"""What every kind of storage must do; nothing here knows which one it is."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import optuna
import pytest
from optuna.exceptions import UpdateFinishedTrialError
from optuna.trial import TrialState

from hwcost.errors import OfframpError
from study.claims import Claims
from study.config import StudyConfig
from study.config_io import identity, resolve
from study.leases import LeaseWatch, Owner, put_aside
from study.sampler import GenomeNSGAIISampler
from study.storage import (
    StudyIdentity,
    finished_trials,
    open_storage,
    open_study,
    population_of,
    record_of,
    register_run,
    study_lock,
    tell_result,
)
from study.storage.drafts import Drafting
from tests.study.process_targets import finish_trials
from tests.study.processes import warm_processes
from tests.study.spaces import record, small_space
from tests.study.synthetic import evaluate, objectives

WARM = warm_processes()
SPACE = small_space()


@pytest.fixture
def who(tmp_path: Path) -> StudyIdentity:
    return StudyIdentity(f"study of {tmp_path.name}", identity(StudyConfig()), "d" * 64, population=4)


def opened(url: str, who: StudyIdentity) -> optuna.Study:
    study = open_study(open_storage(url), who)
    study.sampler = GenomeNSGAIISampler(SPACE, 4, np.random.default_rng(0), predictor=None)
    return study


def claims(study: optuna.Study, url: str, wanted: int, owner: Owner | None = None) -> Claims:
    return Claims(
        study,
        SPACE.distributions(),
        lambda genes: SPACE.decode(genes).key(),
        wanted,
        owner or Owner.this_process("tests", 0),
        study_lock(url, study.study_name),
    )


def test_a_study_is_created_once_and_found_again(any_storage, who):
    first = opened(any_storage, who)
    again = opened(any_storage, replace(who, population=9))
    assert population_of(again) == 4
    assert again.metric_names == first.metric_names
    assert [register_run(s, run) for s, run in ((first, "b"), (again, "a"), (first, "c"))] == [0, 1, 2]
    other = identity(resolve([{"search": {"seed": 7}}]))
    with pytest.raises(OfframpError, match=r"search\.seed: the study has 0, asked for 7"):
        opened(any_storage, replace(who, config=other))
    with pytest.raises(OfframpError, match="got other images"):
        opened(any_storage, replace(who, data_fingerprint="e" * 64))


def test_a_trial_appears_with_all_its_genes_or_not_at_all(any_storage, who):
    study, seen = opened(any_storage, who), opened(any_storage, who)
    owner = Owner.this_process("tests", 3)
    drafting = Drafting(study, SPACE.distributions())
    assert drafting.propose(study.get_trials(deepcopy=False)) is None
    assert seen.get_trials(deepcopy=False) == []
    asked = drafting.write({"offramp:owner": owner.attribute()})
    (trial,) = seen.get_trials(deepcopy=False)
    assert (trial.number, trial.state) == (0, TrialState.RUNNING)
    assert trial.params == asked.params
    assert trial.distributions == SPACE.distributions()
    assert Owner.of(trial) == owner
    assert trial.datetime_start is not None
    assert trial.system_attrs["GenomeNSGAIISampler:generation"] == 0
    drafting.propose(study.get_trials(deepcopy=False))
    assert drafting.write({}).number == 1


def test_a_result_comes_back_whole(any_storage, who):
    study = opened(any_storage, who)
    given = record(0.8, 3.0, 5.0, feasible=False)
    trial = claims(study, any_storage, 1).take()
    assert trial is not None
    tell_result(study, trial, given, objectives(given))
    (stored,) = finished_trials(opened(any_storage, who))
    assert record_of(stored) == given
    assert stored.values == list(objectives(given))
    assert stored.constraints == given.violations
    assert set(stored.user_attrs) == {"feasible", "result"}
    assert stored.datetime_complete is not None


def test_processes_that_begin_together_make_one_study_and_finish_what_was_asked_for(any_storage, who):
    wanted, n = 11, 3
    start = WARM.Barrier(n)
    processes = [
        WARM.Process(target=finish_trials, args=(any_storage, who.name, wanted, index, 0.02, start))
        for index in range(n)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join(240)
        assert process.exitcode == 0
    assert optuna.get_all_study_names(open_storage(any_storage)).count(who.name) == 1
    trials = opened(any_storage, who).trials
    assert [t.number for t in trials] == list(range(len(trials)))
    done = [t for t in trials if t.state == TrialState.COMPLETE]
    assert len(done) == wanted
    assert {t.state for t in trials} <= {TrialState.COMPLETE, TrialState.FAIL}  # some may have been given up
    for trial in done:
        stored = record_of(trial)
        assert stored is not None
        assert trial.values == list(objectives(stored))
        assert stored.genome == SPACE.decode(trial.params)
    assert len({SPACE.decode(t.params).key() for t in done}) == wanted
    assert max(t.system_attrs["GenomeNSGAIISampler:generation"] for t in done) >= 1


def test_what_was_put_aside_takes_no_result_any_more(any_storage, who):
    late, other = opened(any_storage, who), opened(any_storage, who)
    trial = claims(late, any_storage, 1).take()
    assert trial is not None
    (seen,) = other.get_trials(deepcopy=False)
    assert put_aside(other, seen, "silent") == TrialState.FAIL
    assert put_aside(other, seen, "silent") is None  # once only
    with pytest.raises(UpdateFinishedTrialError):
        tell_result(late, trial, record(), objectives(record()))
    (stored,) = opened(any_storage, who).trials
    assert (stored.state, stored.values) == (TrialState.FAIL, None)
    assert stored.user_attrs["failure"] == "silent"


def test_a_finished_trial_cannot_be_put_aside(any_storage, who):
    quick, other = opened(any_storage, who), opened(any_storage, who)
    trial = claims(quick, any_storage, 1).take()
    assert trial is not None
    (seen,) = other.get_trials(deepcopy=False)  # still running
    tell_result(quick, trial, record(), objectives(record()))
    assert put_aside(other, seen, "silent") is None
    (stored,) = other.get_trials(deepcopy=False)
    assert (stored.state, stored.values) == (TrialState.COMPLETE, list(objectives(record())))


def test_a_dead_workers_design_is_taken_up_again(any_storage, who):
    study = opened(any_storage, who)
    ghost = replace(Owner.this_process("ghosts", 0), process=2**22 + 1)  # above Linux's largest number
    left = claims(study, any_storage, 1, ghost).take()
    assert left is not None
    taken = claims(study, any_storage, 1).take()
    assert taken is not None
    assert (taken.number, taken.params) == (1, left.params)
    given = evaluate(SPACE.decode(taken.params))
    tell_result(study, taken, given, objectives(given))
    assert claims(study, any_storage, 1).take() is None
    states = [t.state for t in study.get_trials(deepcopy=False)]
    assert states == [TrialState.FAIL, TrialState.COMPLETE]
    assert study.trials[1].system_attrs["GenomeNSGAIISampler:generation"] == 0


def test_a_silent_worker_elsewhere_loses_its_trial_and_a_beating_one_does_not(any_storage, who):
    now = [0.0]
    study = opened(any_storage, who)
    elsewhere = replace(Owner.this_process("far", 0), machine="another", lease_seconds=60.0)
    trial = claims(study, any_storage, 2, elsewhere).take()
    assert trial is not None
    watch = LeaseWatch(60.0, clock=lambda: now[0])

    def left() -> list[int]:
        now[0] += 15.0
        return [t.number for t in watch.left(study.get_trials(deepcopy=False))]

    assert [left() for _ in range(4)] == [[]] * 4
    study._storage.set_trial_system_attr(trial._trial_id, "offramp:beat", 1)
    assert [left() for _ in range(4)] == [[]] * 4
    assert left() == [0]
