"""What child processes of tests run: spawned processes import their target from a module."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import Any


def train_through_memo(folder: str, context: dict[str, Any], architecture: Any, index: int) -> None:
    """Asks a memo for a network and leaves notes of who trained it and what came back."""
    import numpy as np

    from models.predictions import ExitPredictions
    from study.memo import PredictionMemo, TrainedNetwork

    def train() -> TrainedNetwork:
        Path(folder, f"trained-{index}").touch()
        time.sleep(1.0)  # the others arrive meanwhile
        split = ExitPredictions(np.full((3, 2), 0.1 * index, np.float32), np.ones((3, 2), bool))
        return TrainedNetwork(split, split, training_samples=index, seconds=0.0)

    network, _ = PredictionMemo(Path(folder), context).get_or_train(architecture, train)
    Path(folder, f"answer-{index}").write_text(str(network.training_samples))


def say_and_end(index: int, how: str, events: Any) -> None:
    """Reports, then ends in the way asked for."""
    from study.worker_events import WorkerEvent

    events.put(WorkerEvent("started", index, 10 + index))
    if how == "well":
        events.put(WorkerEvent("done", index))
        return
    if how == "in a word":  # the length of a message and its beginning
        os.write(events.connection.fileno(), (1000).to_bytes(4, "big") + b"half")
    if how in ("killed", "in a word"):
        os.kill(os.getpid(), signal.SIGKILL)
    os._exit(3)


def wait_for_signal(index: int, stubborn: bool, events: Any) -> None:
    """Works until told to stop; a stubborn one does not listen."""
    from study.worker_events import WorkerEvent

    def stop(signum: int, frame: Any) -> None:
        events.put(WorkerEvent("done", index))
        raise SystemExit(0)

    signal.signal(signal.SIGTERM, signal.SIG_IGN if stubborn else stop)
    events.put(WorkerEvent("ready", index))
    deadline = time.monotonic() + 60  # should nobody stop it after all
    while time.monotonic() < deadline:
        time.sleep(0.05)


def finish_trials(
    url: str, study_name: str, wanted: int, index: int, seconds: float = 0.0, start: Any = None
) -> None:
    """Creates or joins a study and works on it until all its trials are finished, with a cheap objective."""
    import numpy as np
    import optuna

    from study.claims import Claims
    from study.config import StudyConfig
    from study.config_io import identity
    from study.leases import Heartbeat, Owner
    from study.sampler import GenomeNSGAIISampler
    from study.storage import (
        StudyIdentity,
        open_storage,
        open_study,
        population_of,
        register_run,
        study_lock,
        tell_result,
    )
    from tests.study.spaces import small_space
    from tests.study.synthetic import evaluate, objectives

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    if start is not None:
        start.wait(120)  # all at once
    space, lock = small_space(), study_lock(url, study_name)
    with lock():
        study = open_study(open_storage(url), StudyIdentity(study_name, identity(StudyConfig()), "d" * 64, 4))
        number = register_run(study, f"{os.getpid()}-{index}")
    rng = np.random.default_rng([index, number])
    study.sampler = GenomeNSGAIISampler(space, population_of(study), rng, predictor=None)
    owner = Owner.this_process("tests", index, lease_seconds=5.0)
    heart = Heartbeat.of(study._storage, owner)
    claims = Claims(
        study, space.distributions(), lambda genes: space.decode(genes).key(), wanted, owner, lock
    )  # fmt: skip
    while (trial := claims.take()) is not None:
        with heart.on(trial._trial_id):
            time.sleep(seconds)
            record = evaluate(space.decode(trial.params))
            tell_result(study, trial, record, objectives(record))


def hold_journal_lock(path: str, held: Any) -> None:
    """Takes the lock of a journal and keeps it until it is killed."""
    from study.storage.journal import KernelLock

    lock = KernelLock(Path(path))
    lock.acquire()
    held.set()
    time.sleep(60)
    lock.release()
