"""The processes that train: each takes the next training that is not done, until none is left."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from hwcost.errors import OfframpError
from models.recipe import QatRecipe
from study.processes import ProcessGroup, stopping_undisturbed
from study.refine.networks import RefinedNetworks, Training
from study.worker import WorkerTask, _guarded
from study.worker_events import EventWriter, WorkerEvent

if TYPE_CHECKING:
    from study.progress import StageProgress

STAGE = "refining"


@dataclass(frozen=True)
class RefineTask:
    """What a process is started with; plain values.

    Attributes:
        worker: Configuration, folders, device and index of the process.
        recipe: How to train.
        trainings: Those that are not done.
    """

    worker: WorkerTask
    recipe: QatRecipe
    trainings: tuple[Training, ...]


def run_trainings(task: RefineTask, taken: Any, events: EventWriter) -> None:
    """Entry point of a process.

    Args:
        task: What to work on.
        taken: Shared counter (multiprocessing value): trainings that somebody has begun.
        events: Takes what this process says; the `trial` of an event is the index of a training.
    """
    _guarded(task.worker, events, lambda: _work(task, taken, events))


def _work(task: RefineTask, taken: Any, events: EventWriter) -> None:
    from models.objective import NonFiniteLoss
    from study.setup import load_data, open_context

    worker = task.worker
    data = load_data(worker.config, worker.paths.cache)
    context = open_context(worker.config, worker.paths, worker.device, data)
    networks = RefinedNetworks(context, task.recipe)
    while True:
        with taken.get_lock():
            index = int(taken.value)
            taken.value += 1
        if index >= len(task.trainings):
            return
        training = task.trainings[index]
        try:
            networks.train(training)
            events.put(WorkerEvent("finished", worker.index, index))
        except NonFiniteLoss as error:
            networks.note_failure(training, str(error))
            events.put(WorkerEvent("failed", worker.index, index, reason=str(error)))


def train_all(
    networks: RefinedNetworks,
    trainings: Sequence[Training],
    task: WorkerTask,
    workers: int,
    progress: StageProgress,
) -> None:
    """Does every training that is not done yet.

    Args:
        networks: Where they are kept.
        trainings: All that are needed.
        task: What the processes are started with.
        workers: How many.
        progress: Where it shows.

    Raises:
        OfframpError: A process gave up, or too many were killed.
    """
    deaths, total = 0, len(trainings)
    while missing := [training for training in trainings if not networks.done(training)]:
        progress.update(STAGE, total - len(missing), total)
        deaths += _round(RefineTask(task, networks.recipe, tuple(missing)), workers, total, progress)
        if deaths > task.config.search.max_failures:
            raise OfframpError(
                f"expected processes that run, got {deaths} of them ended from outside; is there enough memory? What "
                "was trained is kept, run the same command again with fewer --workers"
            )
    progress.update(STAGE, total, total)


def _round(task: RefineTask, workers: int, total: int, progress: StageProgress) -> int:
    """Starts the processes and follows them until all have ended; returns how many were killed."""
    group = ProcessGroup()
    taken = group.context.Value("q", 0)
    deaths, done = 0, total - len(task.trainings)
    try:
        for index in range(min(workers, len(task.trainings))):
            group.start(index, run_trainings, replace(task, worker=replace(task.worker, index=index)), taken)
        for event in group.events():
            if event.kind in ("finished", "failed"):
                done += 1
                progress.update(STAGE, done, total)
            if event.kind == "failed":
                progress.log(f"the training of {task.trainings[event.trial]} failed: {event.reason}")
            if event.kind == "fatal":
                raise OfframpError(event.reason)
            if event.kind == "died":
                deaths += 1
                progress.log(f"process {event.worker} was ended by {event.reason}; its training starts again")
    finally:
        with stopping_undisturbed():
            group.stop()
    return deaths
