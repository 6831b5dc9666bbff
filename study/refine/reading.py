"""Trained networks look at the test images, in this process or side by side.

The images are opened once, by `study.refine.measurement`, and handed to the processes; these open nothing. A process
takes seconds to start, so the first network is looked at here, and the time that took decides.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from hwcost.errors import OfframpError
from study.processes import ProcessGroup, stopping_undisturbed
from study.worker import WorkerTask, _guarded
from study.worker_events import EventWriter, WorkerEvent

if TYPE_CHECKING:
    from models.backbone import Backbone
    from models.training_data import TestSplit
    from study.progress import StageProgress

STAGE = "test split"

WORTH_A_PROCESS = 20.0
"""Seconds a network takes from which on several processes are started."""


@dataclass(frozen=True, eq=False)
class Reading:
    """One network that is to look at the images.

    Attributes:
        checkpoint: Its file.
        temperatures: (n_exits,) of its exits; None takes logits as they are.
        place: File for its predictions, written as soon as they are there.
        name: What it is, for the record in that file.
    """

    checkpoint: Path
    temperatures: np.ndarray | None
    place: Path
    name: str


@dataclass(frozen=True, eq=False)
class ReadingTask:
    """What a process is started with.

    Attributes:
        worker: Configuration, device and index of the process.
        test: The images.
        threads: CPU threads of PyTorch.
        readings: All that are left.
    """

    worker: WorkerTask
    test: TestSplit
    threads: int
    readings: tuple[Reading, ...]

    def backbone(self) -> Backbone:
        """Of the networks, built from the configuration: a user's own may hold what cannot be handed over."""
        from study.setup import build_backbone

        return build_backbone(self.worker.config, int(self.test.images.shape[1]))

    def read(self, index: int, backbone: Backbone) -> None:
        """One network looks at the images; what it says is kept."""
        from models.unseen import unseen_predictions

        reading = self.readings[index]
        predictions = unseen_predictions(
            reading.checkpoint, backbone, self.test, reading.temperatures, self.worker.device, self.threads
        )
        predictions.save(reading.place, {"training": reading.name, "split": "test"})


def run_readings(task: ReadingTask, taken: Any, events: EventWriter) -> None:
    """Entry point of a process.

    Args:
        task: What to work on.
        taken: Shared counter (multiprocessing value): readings that somebody has begun.
        events: Takes what this process says; the `trial` of an event is the index of a reading.
    """

    def work() -> None:
        backbone = task.backbone()
        while True:
            with taken.get_lock():
                index = int(taken.value)
                taken.value += 1
            if index >= len(task.readings):
                return
            task.read(index, backbone)
            events.put(WorkerEvent("finished", task.worker.index, index))

    _guarded(task.worker, events, work)


def read_all(
    task: ReadingTask, workers: int, progress: StageProgress, worth_a_process: float = WORTH_A_PROCESS
) -> None:
    """Every network looks at the images.

    Args:
        task: With all readings.
        workers: Processes at most; on a GPU one network keeps it busy.
        progress: Where it shows.
        worth_a_process: See `WORTH_A_PROCESS`.

    Raises:
        OfframpError: A checkpoint is missing or damaged, or a process ended.
    """
    total, backbone = len(task.readings), task.backbone()
    for done in range(total):
        progress.update(STAGE, done, total)
        started = time.monotonic()
        task.read(done, backbone)
        left = task.readings[done + 1 :]
        slow = time.monotonic() - started >= worth_a_process
        if slow and len(left) > 1 and workers > 1 and task.worker.device == "cpu":
            _side_by_side(replace(task, readings=left), min(workers, len(left)), total, progress)
            break
    progress.update(STAGE, total, total)


def _side_by_side(task: ReadingTask, workers: int, total: int, progress: StageProgress) -> None:
    group = ProcessGroup()
    taken = group.context.Value("q", 0)
    done = total - len(task.readings)
    try:
        for index in range(workers):
            group.start(index, run_readings, replace(task, worker=replace(task.worker, index=index)), taken)
        for event in group.events():
            if event.kind == "finished":
                done += 1
                progress.update(STAGE, done, total)
            if event.kind in ("fatal", "died"):
                raise OfframpError(
                    f"expected every network to look at the test split, got {done} of {total}: {event.reason}; run "
                    "the same command again, what was read is kept"
                )
    finally:
        with stopping_undisturbed():
            group.stop()
