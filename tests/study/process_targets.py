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


def take_tickets(tickets: Any, start: Any, events: Any) -> None:
    """Takes tickets until none is left, gives every third back, and says how many it kept."""
    start.wait(60)  # all at once
    kept = 0
    while tickets.take():
        kept += 1
        if kept % 3 == 0:
            tickets.give_back()
            kept -= 1
            if tickets.take():
                kept += 1
            else:
                break
            if tickets.take():
                kept += 1
    events.put(("kept", kept))


def say_and_end(index: int, how: str, events: Any) -> None:
    """Reports, then ends in the way asked for."""
    from study.worker import WorkerEvent

    events.put(WorkerEvent("started", index, 10 + index))
    if how == "well":
        events.put(WorkerEvent("done", index))
        return
    events.close()
    events.join_thread()  # what was said is in the pipe
    if how == "killed":
        os.kill(os.getpid(), signal.SIGKILL)
    os._exit(3)


def wait_for_signal(index: int, stubborn: bool, events: Any) -> None:
    """Works until told to stop; a stubborn one does not listen."""
    from study.worker import WorkerEvent

    def stop(signum: int, frame: Any) -> None:
        events.put(WorkerEvent("done", index))
        raise SystemExit(0)

    signal.signal(signal.SIGTERM, signal.SIG_IGN if stubborn else stop)
    events.put(WorkerEvent("ready", index))
    deadline = time.monotonic() + 60  # should nobody stop it after all
    while time.monotonic() < deadline:
        time.sleep(0.05)


def propose_and_tell(url: str, study_name: str, count: int, index: int) -> None:
    """Finishes proposals of a study with a cheap objective, as a worker does."""
    import numpy as np
    import optuna

    from study.sampler import GenomeNSGAIISampler
    from study.storage import open_storage, population_of, store_result
    from tests.study.spaces import small_space
    from tests.study.synthetic import evaluate, objectives

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    space = small_space()
    study = optuna.load_study(storage=open_storage(url), study_name=study_name)
    study.sampler = GenomeNSGAIISampler(space, population_of(study), np.random.default_rng(index))
    for _ in range(count):
        trial = study.ask(space.distributions())
        record = evaluate(space.decode(trial.params))
        store_result(trial, record)
        study.tell(trial, objectives(record))
