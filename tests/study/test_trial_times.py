from __future__ import annotations

from dataclasses import asdict, replace
from datetime import datetime, timedelta

import optuna
import pytest
from hypothesis import given
from hypothesis import strategies as st
from optuna.trial import FrozenTrial, TrialState

from study.leases import OWNER_KEY, Owner
from study.trial_times import finished_seconds
from tests.study.spaces import record

BEGIN = datetime(2026, 3, 1, 12)


def trial(number: int, start: float, end: float | None, machine: str = "a") -> FrozenTrial:
    """Times in seconds as that machine's clock said them."""
    made = optuna.trial.create_trial(
        value=0.0, system_attrs={OWNER_KEY: asdict(Owner("run", 0, machine, 1, 1))}
    )
    made.number = number
    made.state = TrialState.RUNNING if end is None else TrialState.COMPLETE
    made.datetime_start = BEGIN + timedelta(seconds=start)
    made.datetime_complete = None if end is None else BEGIN + timedelta(seconds=end)
    return made


def test_clocks_that_keep_time_are_believed():
    trials = [trial(0, 0, 30), trial(1, 0.5, 20), trial(2, 20.5, 55), trial(3, 30.5, None)]
    assert finished_seconds(trials, {}) == pytest.approx({0: 30, 1: 20, 2: 55})


def test_a_clock_that_is_set_back_an_hour_changes_neither_order_nor_length():
    true = [trial(n, 40 * n, 40 * n + 39) for n in range(6)]
    back = [trial(n, 40 * n - 3600 * (n > 2), 40 * n + 39 - 3600 * (n > 2)) for n in range(6)]
    found, wanted = finished_seconds(back, {}), finished_seconds(true, {})
    assert list(found) == list(wanted)
    # One step is lost: how long nothing began cannot be known.
    assert all(wanted[n] - 40 <= found[n] <= wanted[n] for n in wanted)
    assert sorted(found, key=found.__getitem__) == list(range(6))


@given(st.floats(-86_400, 86_400), st.permutations([True, False] * 4))
def test_machines_whose_clocks_differ_are_ordered_by_what_happened(ahead: float, mine: list[bool]):
    trials = [
        trial(n, 10 * n + ahead * other, 10 * n + 8 + ahead * other, "b" if other else "a")
        for n, other in enumerate(mine)
    ]
    found = finished_seconds(trials, {})
    order = sorted(found, key=found.__getitem__)
    assert order == list(range(8)) or abs(ahead) <= 4  # what clocks may differ by is left as it is
    assert min(found.values()) >= 0


def test_a_trial_is_no_shorter_than_its_evaluation():
    """The clock was set back while it ran."""
    trials = [trial(0, 0, -3500), trial(1, 100, 130)]
    measured = {0: replace(record(), seconds=95.0), 1: replace(record(), seconds=29.0)}
    assert finished_seconds(trials, measured) == pytest.approx({0: 95, 1: 130})


def test_trials_that_never_began_have_no_time():
    waiting = trial(0, 0, None)
    waiting.datetime_start = None
    assert finished_seconds([waiting], {}) == {}
    assert finished_seconds([waiting, trial(1, 5, 7)], {}) == pytest.approx({1: 2})
