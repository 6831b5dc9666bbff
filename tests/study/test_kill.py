"""kill -9 of random workers, again and again, on every storage: nothing lost, nothing counted twice."""

from __future__ import annotations

import random
import time
from pathlib import Path

import optuna
import pytest
from optuna.trial import FrozenTrial, TrialState

from study.config import StudyConfig
from study.config_io import identity
from study.storage import StudyIdentity, open_storage, open_study, record_of
from tests.study.process_targets import finish_trials
from tests.study.processes import warm_processes
from tests.study.spaces import small_space
from tests.study.synthetic import objectives


def finished(study: optuna.Study) -> dict[int, FrozenTrial]:
    return {t.number: t for t in study.get_trials(deepcopy=False) if t.state == TrialState.COMPLETE}


def survive(url: str, name: str, wanted: int, rounds: int, workers: int = 3) -> None:
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    context, rng = warm_processes(), random.Random(0)
    study = open_study(open_storage(url), StudyIdentity(name, identity(StudyConfig()), "d" * 64, 4))

    def start(index: int):
        process = context.Process(target=finish_trials, args=(url, name, wanted, index, 0.02), daemon=True)
        process.start()
        return process

    running = [start(index) for index in range(workers)]
    while not finished(study):
        time.sleep(0.05)
    killed = 0
    for number in range(rounds):
        time.sleep(rng.uniform(0.0, 0.5))
        before = finished(study)
        victim = rng.randrange(workers)
        killed += running[victim].is_alive()
        running[victim].kill()  # SIGKILL, wherever it is: in a proposal, in a commit, between the two
        running[victim].join()
        after = finished(study)
        for n, trial in before.items():
            assert (after[n].values, after[n].params) == (trial.values, trial.params)
        running[victim] = start(workers + number)
    for process in running:
        process.join(300)
        assert process.exitcode == 0
    assert killed == rounds, "the study was over too soon to be a test"
    fresh = open_study(open_storage(url), StudyIdentity(name, identity(StudyConfig()), "d" * 64, 4))
    done = finished(fresh)
    assert len(done) == wanted
    assert {t.state for t in fresh.trials} <= {TrialState.COMPLETE, TrialState.FAIL}
    assert [t.number for t in fresh.trials] == list(range(len(fresh.trials)))
    for trial in done.values():
        stored = record_of(trial)
        assert stored is not None
        assert list(objectives(stored)) == trial.values
        assert stored.genome == small_space().decode(trial.params)


def test_workers_may_be_killed_at_any_moment(any_storage: str, tmp_path: Path) -> None:
    survive(any_storage, f"killed in {tmp_path.name}", wanted=60, rounds=3)


@pytest.mark.slow
def test_twenty_rounds_of_killing(any_storage: str, tmp_path: Path) -> None:
    survive(any_storage, f"killed in {tmp_path.name}", wanted=400, rounds=20)


def test_working_processes_survive_a_restart_of_the_database(postgres) -> None:
    """In proposals, under the lock, in heartbeats and results: wherever they are when it crashes."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    url, name, wanted = postgres.new_database("restarted_under_workers"), "restarted", 40
    who = StudyIdentity(name, identity(StudyConfig()), "d" * 64, 4)
    study = open_study(open_storage(url), who)
    context = warm_processes()
    running = [
        context.Process(target=finish_trials, args=(url, name, wanted, index, 0.05), daemon=True)
        for index in range(2)
    ]
    for process in running:
        process.start()
    deadline = time.monotonic() + 120
    while len(finished(study)) < 5:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    before = finished(study)
    postgres.stop("immediate")
    time.sleep(1.0)
    postgres.start()
    for process in running:
        process.join(180)
        assert process.exitcode == 0
    after = finished(open_study(open_storage(url), who))
    assert len(before) < len(after) == wanted
    for n, trial in before.items():
        assert (after[n].values, after[n].params) == (trial.values, trial.params)
