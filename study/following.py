"""The trials of a study as one run sees them: its own workers, and what other runs have finished or left."""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace

import optuna
from optuna.trial import TrialState

from hwcost.errors import OfframpError
from study.leases import LeaseWatch, Owner, put_aside
from study.processes import ProcessGroup, stopping_undisturbed
from study.progress import StageProgress
from study.record import DesignRecord
from study.search_board import SearchBoard
from study.storage import finished_trials, record_of
from study.worker import WorkerTask, run_worker
from study.worker_events import WorkerEvent

_LOOK_SECONDS = 5.0


class Watch:
    """What a run sees of all runs of its study: results as they come, and trials whose workers are gone.

    Args:
        study: Of the run.
        lease_seconds: For trials that do not say theirs.
    """

    def __init__(self, study: optuna.Study, lease_seconds: float) -> None:
        self._study = study
        self._leases = LeaseWatch(lease_seconds)
        self._records: dict[int, DesignRecord | None] = {}
        self._pause = min(_LOOK_SECONDS, lease_seconds / 10)
        self._next = 0.0

    def clear_up(self, progress: StageProgress) -> None:
        """Puts aside what the dead have left."""
        left = self._leases.left(self._study.get_trials(deepcopy=False))
        states = [put_aside(self._study, trial, "its worker has ended or fallen silent") for trial in left]
        aside, completed = states.count(TrialState.FAIL), states.count(TrialState.COMPLETE)
        if aside:
            progress.log(
                f"{aside} trial(s) whose workers are gone were put aside; their designs are tried again"
            )
        if completed:
            progress.log(f"{completed} trial(s) of workers that are gone had their results and were finished")

    def records(self) -> list[DesignRecord]:
        """Results of all finished trials, whoever ran them."""
        for trial in finished_trials(self._study):
            if trial.number not in self._records:
                self._records[trial.number] = record_of(trial)
        return [record for record in self._records.values() if record is not None]

    def finished_by(self, run: str) -> int:
        """Number of finished trials whose last owner was a worker of a run."""
        owners = (Owner.of(trial) for trial in finished_trials(self._study))
        return sum(owner is not None and owner.run == run for owner in owners)

    def due(self) -> bool:
        """Whether it is time to look again."""
        now = time.monotonic()
        if now < self._next:
            return False
        self._next = now + self._pause
        return True

    def leave(self, run: str, worker: int | None = None) -> None:
        """Puts aside what a run's own workers, all or one of them, have left; they have ended."""
        for trial in self._study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
            owner = Owner.of(trial)
            if owner is not None and owner.run == run and worker in (None, owner.worker):
                put_aside(self._study, trial, "its worker was ended", died=worker is not None)


@dataclass
class Search:
    """The trials of one run: starts workers, follows what they say, replaces those that die."""

    study: optuna.Study
    task: WorkerTask
    progress: StageProgress
    watch: Watch
    board: SearchBoard
    records: list[DesignRecord] = field(default_factory=list)

    def run(self) -> None:
        """Until all proposals are finished, by this run or by others.

        Raises:
            KeyboardInterrupt: A signal came; nothing is running any more.
            OfframpError: A worker gave up, or too many in a row were killed.
        """
        wanted = self.task.config.search.trials
        self._look()
        while len(self.records) < wanted:
            # Workers end when all trials are finished; a round ends early only where one gave up.
            self._round(min(self.task.config.search.workers, wanted - len(self.records)))
            self._look()

    def _round(self, workers: int) -> None:
        """Starts the workers and follows them until all have ended."""
        group = ProcessGroup()
        deaths = finished = 0
        try:
            for index in range(workers):
                group.start(index, run_worker, replace(self.task, index=index))
            for event in group.events(self._meanwhile):
                self._note(event)
                if event.kind == "fatal":
                    raise OfframpError(event.reason)
                if event.kind == "died":
                    self.progress.log(
                        f"worker {event.worker} was ended by {event.reason}; its trial is put aside"
                    )
                    self.watch.leave(self.task.run, event.worker)
                    # A study of a week may lose a worker a day. The storage is asked: one that is killed as its
                    # trial finishes does not get to say so.
                    before, finished = finished, self.watch.finished_by(self.task.run)
                    deaths = deaths + 1 if finished == before else 1
                    self._replace(group, event.worker, deaths)
        finally:
            with stopping_undisturbed():
                for event in group.stop():
                    self._note(event)
                self.watch.leave(self.task.run)

    def _replace(self, group: ProcessGroup, worker: int, deaths: int) -> None:
        if deaths > self.task.config.search.max_failures:
            raise OfframpError(
                f"expected workers that finish trials, got {deaths} in a row ended from outside; is there enough "
                "memory? Finished trials are kept, run the same command again with fewer --workers"
            )
        group.start(worker, run_worker, replace(self.task, index=worker))

    def _meanwhile(self) -> None:
        if self.watch.due():
            self.watch.clear_up(self.progress)
            self._look()

    def _note(self, event: WorkerEvent) -> None:
        if event.kind == "failed":
            self.progress.log(f"trial {event.trial} failed: {event.reason}")
        if event.kind == "lost":
            self.progress.log(f"trial {event.trial} was taken up by another run: {event.reason}")
        if event.kind == "finished":
            self._look()

    def _look(self) -> None:
        self.records = self.watch.records()
        self.board.show(self.records)
