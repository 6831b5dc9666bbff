from __future__ import annotations

import multiprocessing
import os
import signal
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import optuna
import pytest
from optuna.trial import TrialState

from hwcost.errors import OfframpError
from study.claims import Claims
from study.config import StudyConfig
from study.config_io import identity
from study.leases import Owner, put_aside
from study.sampler import DIVERGED_KEY, GenomeNSGAIISampler
from study.setup import Paths
from study.storage import StudyIdentity, default_url, open_storage, open_study, record_of, study_lock
from study.worker import Interrupted, WorkerTask, _guarded, _one_trial
from tests.study.spaces import record, small_space
from tests.study.synthetic import OBJECTIVES

SPAWN = multiprocessing.get_context("spawn")


class Said(list):
    """Stands for the pipe where worker and listener are one process."""

    put = list.append


def bench(tmp_path: Path, evaluate) -> SimpleNamespace:
    """A real study in sqlite with an evaluation of the test's choice."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    space = small_space()
    url = default_url(tmp_path)
    who = StudyIdentity("mine", identity(StudyConfig()), "d", population=4)
    study = open_study(open_storage(url), who)
    study.sampler = GenomeNSGAIISampler(space, 4, np.random.default_rng(0))
    paths = Paths(tmp_path, tmp_path / "cache")
    context = SimpleNamespace(
        space=space, evaluator=SimpleNamespace(evaluate=evaluate, objectives=OBJECTIVES), paths=paths
    )
    owner = Owner.this_process("tests", 0)
    lock = study_lock(url, "mine")
    claims = Claims(study, space.distributions(), lambda genes: space.decode(genes).key(), 2, owner, lock)
    return SimpleNamespace(study=study, context=context, claims=claims)


def one_trial(on: SimpleNamespace):
    return _one_trial(on.study, on.context, 0, on.claims.take())


def test_a_disk_that_is_full_for_everything_is_told_as_what_it_is(small_disk, caplog):
    """The storage is on it as well: that the trial cannot be put aside hides neither the reason nor a trial."""
    ballast = small_disk / "ballast"

    def evaluate(genome):
        if not ballast.exists():
            with ballast.open("wb") as file:
                while True:
                    file.write(b"x" * 4096)
                    file.flush()
        return record(0.7, 3.0, 4.0, trained=False)

    on = bench(small_disk, evaluate)
    with pytest.raises(OSError, match="No space left on device"):
        one_trial(on)
    assert "trial 0 stays as it is" in caplog.text
    ballast.unlink()
    ballast.touch()
    # Whoever comes next finds the study whole; the trial is its worker's until that has ended.
    again = optuna.load_study(storage=open_storage(default_url(small_disk)), study_name="mine")
    (left,) = again.trials
    assert left.state == TrialState.RUNNING
    assert put_aside(again, left, "its worker has ended") == TrialState.FAIL
    assert one_trial(on).kind == "finished"
    assert [trial.state for trial in again.trials] == [TrialState.FAIL, TrialState.COMPLETE]


def test_a_trial_is_evaluated_and_told(tmp_path):
    on = bench(tmp_path, lambda genome: record(0.7, 3.0, 4.0, trained=False))
    event = one_trial(on)
    assert (event.kind, event.trial, event.record) == ("finished", 0, record(0.7, 3.0, 4.0, trained=False))
    (trial,) = on.study.trials
    assert (trial.state, record_of(trial)) == (TrialState.COMPLETE, event.record)


def test_a_result_that_comes_too_late_is_said_to_be_lost(tmp_path):
    def slow(genome):
        (seen,) = on.study.get_trials(deepcopy=False)
        assert put_aside(on.study, seen, "silent") == TrialState.FAIL
        return record(trained=False)

    on = bench(tmp_path, slow)
    event = one_trial(on)
    assert (event.kind, event.trial, event.record) == ("lost", 0, None)
    assert [t.state for t in on.study.trials] == [TrialState.FAIL]


def test_a_diverged_training_fails_the_trial_and_the_search_goes_on(tmp_path):
    from models.objective import NonFiniteLoss

    def diverge(genome):
        raise NonFiniteLoss("the loss became NaN in step 3")

    on = bench(tmp_path, diverge)
    event = one_trial(on)
    assert (event.kind, event.reason) == ("failed", "the loss became NaN in step 3")
    (trial,) = on.study.trials
    assert trial.state == TrialState.FAIL
    assert trial.user_attrs["failure"] == "the loss became NaN in step 3"
    assert trial.user_attrs[DIVERGED_KEY] is True
    diverged = trial.params
    on.context.evaluator.evaluate = lambda genome: record(trained=False)
    assert one_trial(on).kind == "finished"
    assert on.study.trials[1].params != diverged


@pytest.mark.parametrize(
    "error", [Interrupted(), OSError(28, "No space left"), OfframpError("bad"), KeyError("x")]
)
def test_whatever_ends_a_trial_it_is_put_aside_and_its_ticket_given_back(tmp_path, error):
    def end(genome):
        raise error

    on = bench(tmp_path, end)
    with pytest.raises(type(error)):
        one_trial(on)
    (trial,) = on.study.trials
    assert trial.state == TrialState.FAIL
    assert trial.user_attrs["failure"]
    assert DIVERGED_KEY not in trial.user_attrs


def test_an_interrupted_design_is_taken_up_again(tmp_path):
    def stop(genome):
        raise Interrupted

    on = bench(tmp_path, stop)
    with pytest.raises(Interrupted):
        one_trial(on)
    on.context.evaluator.evaluate = lambda genome: record(trained=False)
    assert one_trial(on).kind == "finished"
    first, second = on.study.trials
    assert (first.state, second.state) == (TrialState.FAIL, TrialState.COMPLETE)
    assert first.params == second.params


def test_lack_of_memory_is_a_failed_trial_not_the_end(tmp_path):
    def hungry(genome):
        raise MemoryError

    on = bench(tmp_path, hungry)
    assert (one_trial(on).kind, one_trial(on).reason) == ("failed", "MemoryError")
    first, second = (on.context.space.decode(t.params).key() for t in on.study.trials)
    assert first != second  # it would run out again


@pytest.fixture
def task(tmp_path: Path) -> WorkerTask:
    return WorkerTask(StudyConfig(), Paths(tmp_path, tmp_path), "sqlite://", "mine", "cpu", 1)


@pytest.fixture
def guarded(task, monkeypatch):
    """Runs work as a worker process does, without its thread that watches the parent."""
    import study.worker

    monkeypatch.setattr(study.worker, "follow_parent", lambda: None)
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)

    def run(work):
        said = Said()
        _guarded(task, said, work)
        (event,) = said
        return event

    yield run
    signal.signal(signal.SIGINT, before[0])
    signal.signal(signal.SIGTERM, before[1])


def test_a_process_that_finds_other_code_than_its_run_began_with_does_nothing(guarded, task, monkeypatch):
    """What it trains would be looked up by the version of the run, and never be found."""
    import study.worker

    done = []
    monkeypatch.setattr(study.worker, "training_code_version", lambda: "f" * 64)
    event = guarded(lambda: done.append(1))
    assert (event.kind, done) == ("fatal", [])
    assert task.code[:12] in event.reason
    assert "run the same command again" in event.reason


def test_every_way_to_end_is_one_event(guarded, tmp_path):
    def broken():
        try:
            raise OSError(28, "No space left on device")
        except OSError as error:
            raise RuntimeError("storage\nwith lines") from error

    def refused():
        raise OfframpError("expected this, got that")

    assert guarded(lambda: None).kind == "done"
    assert (guarded(refused).kind, guarded(refused).reason) == ("fatal", "expected this, got that")
    event = guarded(broken)
    assert event.kind == "fatal"
    assert "No space left on device" in event.reason  # the cause, not what was made of it
    assert "\n" not in event.reason
    assert str(tmp_path) not in event.reason
    assert "Traceback" in (tmp_path / "errors.log").read_text()


def test_sigterm_interrupts_once_and_sigint_is_left_to_the_parent(guarded):
    reached = []

    def work():
        os.kill(os.getpid(), signal.SIGINT)
        reached.append("after SIGINT")
        try:
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(5)
        except Exception:  # what a library on the way might do
            reached.append("swallowed")
        except BaseException:
            os.kill(os.getpid(), signal.SIGTERM)  # a second one must not disturb the putting aside
            reached.append("put aside")
            raise

    assert guarded(work).kind == "done"
    assert reached == ["after SIGINT", "put aside"]
