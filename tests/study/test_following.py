"""What a run sees of its study's trials."""

from __future__ import annotations

import optuna
from optuna.trial import TrialState, create_trial

from study.following import Watch
from study.leases import OWNER_KEY, Owner


def test_only_finished_trials_of_a_run_count_as_its_own() -> None:
    """Also those whose worker was killed before it could say that they had finished."""
    study = optuna.create_study()
    mine, other = Owner.this_process("mine", 0).attribute(), Owner.this_process("other", 0).attribute()
    for owner, state in [
        (mine, TrialState.COMPLETE),
        (mine, TrialState.COMPLETE),
        (mine, TrialState.FAIL),
        (other, TrialState.COMPLETE),
        (None, TrialState.COMPLETE),
    ]:
        value = 0.5 if state == TrialState.COMPLETE else None
        study.add_trial(
            create_trial(state=state, value=value, system_attrs={} if owner is None else {OWNER_KEY: owner})
        )
    assert Watch(study, lease_seconds=60.0).finished_by("mine") == 2
    assert Watch(study, lease_seconds=60.0).finished_by("nobody") == 0
