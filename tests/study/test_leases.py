from __future__ import annotations

import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import optuna
import pytest
from hypothesis import given
from hypothesis import strategies as st
from optuna.trial import FrozenTrial, TrialState

from study.config import RunConfig
from study.leases import (
    BEAT_KEY,
    LEASE_SECONDS,
    LEFT_KEY,
    OWNER_KEY,
    REPEATS_KEY,
    Heartbeat,
    LeaseWatch,
    Owner,
    put_aside,
    this_machine,
)

LEASE = 60.0
ELSEWHERE = replace(Owner.this_process("far", 0, LEASE), machine="another")


def running(beat: int | None, owner: Owner | None = ELSEWHERE, number: int = 0) -> FrozenTrial:
    attributes = {} if owner is None else {OWNER_KEY: owner.attribute()}
    if beat is not None:
        attributes[BEAT_KEY] = beat
    return FrozenTrial(
        number=number, state=TrialState.RUNNING, value=None, datetime_start=None, datetime_complete=None,
        params={}, distributions={}, user_attrs={}, system_attrs=attributes, intermediate_values={},
        trial_id=number,
    )  # fmt: skip


class Clock:
    def __init__(self) -> None:
        self.now = 1e6

    def __call__(self) -> float:
        return self.now


def test_silence_is_measured_from_the_last_beat():
    clock = Clock()
    watch = LeaseWatch(clock=clock)
    left = []
    for second in range(0, 200, 5):
        clock.now += 5
        beat = min(second // 20, 4)  # beats every 20 s, the last one at 80 s
        if watch.left([running(beat)]):
            left.append(second)
    assert left[0] == 80 + LEASE


def test_an_hour_without_storage_is_not_an_hour_of_silence():
    """Nobody could be heard: everybody would be taken for dead."""
    clock = Clock()
    watch = LeaseWatch(clock=clock)
    assert watch.left([running(3)]) == []
    clock.now += 3600.0
    assert watch.left([running(3)]) == []
    clock.now += 5.0
    assert watch.left([running(3)]) == []
    assert watch.left([running(4)]) == []


@given(st.lists(st.tuples(st.floats(-1e9, 1e9), st.integers(0, 2)), max_size=40))
def test_a_worker_that_beats_is_never_taken_for_dead_whatever_a_clock_does(steps: list[tuple[float, int]]):
    clock = Clock()
    watch = LeaseWatch(clock=clock)
    for beat, (jump, silent) in enumerate(steps):
        for _ in range(silent):  # at most two looks without a beat: that is what a lease of five beats allows
            clock.now += min(jump, LEASE / 4)
            assert watch.left([running(beat)]) == []
        clock.now += jump
        assert watch.left([running(beat + 1)]) == []


def test_only_running_trials_have_a_lease():
    clock = Clock()
    watch = LeaseWatch(clock=clock)
    trials = [running(None, number=0), running(None, None, number=1)]
    trials[0].state = TrialState.COMPLETE
    found = []
    for _ in range(30):
        clock.now += LEASE / 4
        found = [t.number for t in watch.left(trials)]
    assert found == [1]  # nobody signed it: it has the lease of who looks


def test_a_process_of_this_machine_is_dead_at_once_when_it_has_ended():
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    try:
        fields = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
        owner = replace(Owner.this_process("r", 0), process=process.pid, started=int(fields[19]))
        assert not owner.known_dead()
        assert LeaseWatch().left([running(None, owner)]) == []
    finally:
        process.kill()
    # Not waited for yet: what remains of it has a number still.
    deadline = time.monotonic() + 20
    while not owner.known_dead():
        assert time.monotonic() < deadline
        time.sleep(0.01)
    process.wait()
    assert owner.known_dead()
    assert [t.number for t in LeaseWatch().left([running(None, owner)])] == [0]


def test_numbers_of_processes_are_used_again():
    me = Owner.this_process("r", 0)
    assert not me.known_dead()
    assert replace(me, started=me.started - 1).known_dead()
    assert not replace(me, machine="another", started=0).known_dead()
    assert not replace(me, machine="", started=0).known_dead()
    assert this_machine() == me.machine != ""


@pytest.mark.parametrize("values", [None, "text", {"run": "r"}, {"something": "else"}])
def test_a_signature_of_another_version_is_no_signature(values):
    trial = running(None, None)
    trial.system_attrs = {OWNER_KEY: values}
    assert Owner.of(trial) is None


def test_a_heartbeat_is_heard_while_there_is_a_trial():
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study()
    trials = [study.ask() for _ in range(2)]
    heart = Heartbeat(study._storage, every_seconds=0.02)

    def beat(number: int) -> int:
        return study.trials[number].system_attrs.get(BEAT_KEY, 0)

    deadline = time.monotonic() + 30
    with heart.on(trials[0]._trial_id):
        while beat(0) < 3:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        study.tell(trials[0], 0.0)  # others may end it at any moment; the thread goes on
        time.sleep(0.1)
    with heart.on(trials[1]._trial_id):
        while beat(1) == 0:
            assert time.monotonic() < deadline
            time.sleep(0.01)
    heart.stop()
    assert not heart._thread.is_alive()


def test_the_lease_that_is_documented_is_the_one_that_is_used():
    assert RunConfig().lease_seconds == LEASE_SECONDS


@pytest.mark.parametrize(("before", "hint"), [(0, False), (1, False), (2, True)])
def test_a_design_that_is_given_up_says_what_it_may_have_been(before, hint):
    study = optuna.create_study()
    trial = study.ask()
    study._storage.set_trial_system_attr(trial._trial_id, REPEATS_KEY, {"trial": 0, "deaths": before})
    put_aside(study, study.trials[0], "its worker has ended")
    (left,) = study.trials
    assert left.system_attrs[LEFT_KEY] == before + 1
    assert left.user_attrs["failure"].startswith("its worker has ended")
    assert (
        "3 workers died over this design, perhaps for want of memory" in left.user_attrs["failure"]
    ) == hint


def test_what_is_gone_altogether_cannot_be_put_aside():
    study = optuna.create_study()
    assert put_aside(study, running(None), "silent") is None
