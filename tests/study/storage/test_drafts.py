from __future__ import annotations

import optuna
import pytest
from optuna.distributions import IntDistribution
from optuna.trial import TrialState

from study.storage.drafts import Drafting

GENES = {"a": IntDistribution(0, 9)}


@pytest.fixture
def study() -> optuna.Study:
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))


def test_a_draft_is_a_trial_only_once_it_is_written(study):
    drafting = Drafting(study, GENES)
    assert drafting.propose(study.get_trials(deepcopy=False)) is None
    assert study.trials == []
    written = drafting.write({"mark": 1})
    (trial,) = study.trials
    assert trial.params == written.params == drafting.genes
    assert (trial.state, trial.system_attrs) == (TrialState.RUNNING, {"mark": 1})


def test_nothing_is_written_without_a_draft(study):
    with pytest.raises(RuntimeError, match="expected a draft"):
        Drafting(study, GENES).write({})


def test_a_proposal_sees_the_study_as_it_was_read(study):
    drafting = Drafting(study, GENES)
    drafting._storage.begin(study.get_trials(deepcopy=False))
    study.ask()
    assert drafting._mirror.get_trials() == []


def test_parents_that_others_chose_have_finished_for_this_process_too(study):
    """They are named in the study; what is named there may be newer than the trials that were read."""
    trial = study.ask()
    drafting = Drafting(study, GENES)
    drafting._storage.begin(study.trials)
    study.tell(trial, 1.0)
    study._storage.set_study_system_attr(study._study_id, "parents", [trial._trial_id])
    attributes = drafting._storage.get_study_system_attrs(study._study_id)
    assert attributes["parents"] == [trial._trial_id]
    assert [t.state for t in drafting._mirror.get_trials()] == [TrialState.COMPLETE]
