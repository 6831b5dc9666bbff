"""The copy of a study: what it takes over, in which order, and how it stays bounded."""

from __future__ import annotations

import optuna
import pytest
from optuna.trial import TrialState
from optuna_dashboard.artifact._backend import list_trial_artifacts

from dashboards.serve.copy import CONSTRAINTS_KEY, StudyCopy


def original(count: int) -> optuna.Study:
    """Trials with two objectives, all on the front."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(
        study_name="o", directions=["minimize"] * 2, sampler=optuna.samplers.RandomSampler(seed=0)
    )
    for _ in range(count):
        trial = study.ask({"x": optuna.distributions.IntDistribution(0, 9)})
        study.tell(trial, [float(trial.number), float(-trial.number)])
    return study


def described(trial):
    return {"trial": trial.number}, {CONSTRAINTS_KEY: [-1.0], "artifacts:a": '{"artifact_id": "a"}'}


def test_takes_over_every_trial_as_it_is():
    study = original(5)
    copied = StudyCopy.of(study, 100)
    assert copied.update(study.trials, [], described) == 5
    assert copied.update(study.trials, [], described) == 0
    for ours, theirs in zip(copied.study.trials, study.trials, strict=True):
        assert (ours.number, ours.values, ours.params) == (theirs.number, theirs.values, theirs.params)
        assert ours.datetime_complete == theirs.datetime_complete
        assert ours.user_attrs == {"trial": theirs.number}
        assert ours.system_attrs[CONSTRAINTS_KEY] == [-1.0]
    assert not copied.thinned
    assert study.trials[0].user_attrs == {}  # the original is left alone


def test_follows_trials_that_are_running():
    study = original(2)
    running, failing = study.ask(), study.ask()
    running.suggest_int("x", 0, 9)
    copied = StudyCopy.of(study, 100)
    copied.update(study.trials, [], described)
    assert [t.state for t in copied.study.trials[2:]] == [TrialState.RUNNING] * 2
    running.suggest_int("y", 0, 9)
    study.tell(running, [7.0, 8.0])
    study.tell(failing, state=TrialState.FAIL)
    assert copied.update(study.trials, [], described) == 2
    assert copied.study.trials[2].values == [7.0, 8.0]
    assert copied.study.trials[2].params == study.trials[2].params
    assert copied.study.trials[2].user_attrs == {"trial": 2}
    assert copied.study.trials[3].state == TrialState.FAIL


@pytest.mark.parametrize("front", [[0, 3], list(range(60))])
def test_a_large_study_is_thinned_to_its_front_and_the_latest(front):
    study = original(60)
    copied = StudyCopy.of(study, 20)
    copied.update(study.trials, front, described)
    shown = [trial.user_attrs["trial"] for trial in copied.study.trials]
    assert len(shown) == 20
    assert shown == sorted(shown)
    assert set(front[:20]) <= set(shown)
    assert copied.thinned
    if len(front) < 20:
        assert set(range(60 - 18, 60)) <= set(shown)
    assert copied.storage.get_trial(copied.trial_id(3)).user_attrs["trial"] == 3


@pytest.mark.parametrize("most", [30, 5])
def test_a_full_copy_still_takes_the_front(most):
    study = original(most)
    copied = StudyCopy.of(study, most)
    copied.update(study.trials, [], described)
    for _ in range(6):
        trial = study.ask({"x": optuna.distributions.IntDistribution(0, 9)})
        study.tell(trial, [0.0, 0.0])
    copied.update(study.trials, [most + 3], described)
    assert sorted(copied.numbers) == [*range(most), most + 3]


def test_a_file_is_listed_until_it_is_taken_back():
    study = original(3)
    copied = StudyCopy.of(study, 100)
    copied.update(study.trials, [], lambda trial: ({}, {}))

    def listed():
        attributes, trial = copied.storage.get_study_system_attrs(copied.study_id), copied.study.trials[1]
        return [meta["artifact_id"] for meta in list_trial_artifacts(attributes, trial.system_attrs, trial)]

    copied.unlist_file(1, "a")
    assert listed() == []
    copied.list_file(1, {"artifacts:a": '{"artifact_id": "a"}', "artifacts:b": '{"artifact_id": "b"}'})
    assert listed() == ["a", "b"]
    copied.unlist_file(1, "a")
    assert listed() == ["b"]


def test_metric_names_come_along():
    study = original(1)
    with pytest.warns(optuna.exceptions.ExperimentalWarning):
        study.set_metric_names(["error", "cost"])
    assert StudyCopy.of(study, 5).study.metric_names == ["error", "cost"]
