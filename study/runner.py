"""A study from its configuration to its result files; stops cleanly and resumes where it was."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import optuna
from filelock import FileLock, Timeout
from rich.console import Console

from hwcost.errors import OfframpError
from study.config import StudyConfig
from study.config_io import identity
from study.environment import describe
from study.export import Exported, export
from study.levels import level_texts
from study.live import keep_environment
from study.processes import ProcessGroup
from study.progress import StageProgress
from study.record import DesignRecord
from study.reference import StaticReference, choose_reference
from study.search_board import SearchBoard
from study.setup import (
    Paths,
    StudyContext,
    build_accelerator,
    build_objectives,
    head_kinds,
    load_data,
    open_context,
    statics_missing,
    train_static,
)
from study.skipping import SkipReport
from study.storage import (
    StudyIdentity,
    describe_genes,
    fail_abandoned,
    finished_trials,
    keep_reference,
    kept_reference,
    open_storage,
    open_study,
    record_of,
    storage_failures,
)
from study.worker import Tickets, WorkerEvent, WorkerTask, run_reference, run_worker

if TYPE_CHECKING:
    from models.training_data import TrainingData


@dataclass(frozen=True)
class Outcome:
    """How a run ended.

    Attributes:
        exported: The tables that were written.
        finished: Finished proposals over all resumes.
        interrupted: A signal stopped it before all were.
    """

    exported: Exported
    finished: int
    interrupted: bool


@contextmanager
def own_folder(paths: Paths) -> Iterator[None]:
    """Holds the run's folder: two runs in one folder would write over each other.

    Raises:
        OfframpError: Another process has it, or it cannot be made.
    """
    try:
        paths.out.mkdir(parents=True, exist_ok=True)
        lock = FileLock(paths.out / ".lock")
        lock.acquire(timeout=0)
    except Timeout:
        raise OfframpError(
            f"expected a folder that no other run uses, got {paths.out}; wait for that run or choose another --out"
        ) from None
    except OSError as error:
        raise OfframpError(
            f"expected a folder to write results to, got {paths.out}: {error.strerror}; choose another --out"
        ) from None
    try:
        yield
    finally:
        lock.release()


@contextmanager
def _divergence() -> Iterator[None]:
    """Turns a pre-training or a static reference that diverged into an error for users.

    Raises:
        OfframpError: Instead of `NonFiniteLoss`, whose message says what to change.
    """
    from models.objective import NonFiniteLoss

    try:
        yield
    except NonFiniteLoss as error:
        raise OfframpError(str(error)) from error


def run_study(
    config: StudyConfig,
    study_name: str,
    paths: Paths,
    storage_url: str,
    device: str,
    console: Console,
    command: str,
) -> Outcome:
    """Runs a study, or what is left of it.

    Args:
        config: Of the study.
        study_name: In the storage.
        paths: Of the study.
        storage_url: Of the study.
        device: `cpu` or `cuda`.
        console: Where progress goes.
        command: The command line, for the record.

    Raises:
        OfframpError: An input cannot be used, a worker gave up, or a file cannot be written.
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    with (
        own_folder(paths),
        storage_failures(storage_url),
        _divergence(),
        StageProgress(console).shown() as progress,
    ):
        storage = open_storage(storage_url)
        progress.log(f"data: {config.data.source}")
        data = load_data(config, paths.cache)
        progress.log(
            f"      {len(data.train_labels)} training, {len(data.calibration_labels)} calibration, "
            f"{len(data.validation_labels)} validation images, {data.classes} classes"
        )
        population = config.population()
        objectives = build_objectives(config, build_accelerator(config)).columns
        who = StudyIdentity(study_name, identity(config), data.fingerprint, population, objectives)
        study = open_study(storage, who)
        abandoned = fail_abandoned(study)
        if abandoned:
            progress.log(f"resuming: {abandoned} trial(s) of a run that was killed are put aside")
        environment = describe(config, data, device, command)
        task = WorkerTask(config, paths, storage_url, study_name, device, 0)
        context = _prepare(config, paths, device, data, progress)
        catalogues = context.hardware.accelerator.catalogues
        levels = level_texts(context.space.levels, context.hardware.accelerator)
        describe_genes(
            study, context.space.legend([[a.label for a in arrays] for arrays in catalogues], levels)
        )
        environment["pretraining"] = {
            "warm_start": context.warm.checksum,
            "seconds": context.warm.seconds,
            "training_samples": context.warm.training_samples,
            "final_exit_accuracies": _final_accuracies(context),
        }
        keep_environment(study, environment)
        reference = kept_reference(study)
        if reference is None:
            reference = _reference(context, task, progress)
            keep_reference(study, reference)
        context = context.relative_to(reference)
        board = SearchBoard(progress, context, reference, config.search.trials)
        search = _Search(study, context, task, progress, board)
        interrupted = False
        try:
            search.run()
        except KeyboardInterrupt:
            interrupted = True
            progress.log("stopping: trials in progress are put aside, finished ones are kept")
        except OfframpError:
            # What is finished gets its tables; if they cannot be written either, the first error is the one to tell.
            with contextlib.suppress(OfframpError):
                export(study, context, reference, environment)
            raise
        skipped = SkipReport.of(study.get_trials(deepcopy=False), study.directions).text()
        if skipped:
            progress.log(skipped)
        exported = export(study, context, reference, environment)
        return Outcome(exported, len(finished_trials(study)), interrupted)


def _final_accuracies(context: StudyContext) -> dict[str, float]:
    """Validation accuracy of the float network's final exit, by kind of head."""
    last = context.spec.n_blocks - 1
    accuracies = context.warm.accuracies
    return {kind: accuracies[f"{kind}_{last}"] for kind in head_kinds(context.config)}


def _prepare(
    config: StudyConfig, paths: Paths, device: str, data: TrainingData, progress: StageProgress
) -> StudyContext:
    def report(stage: str, done: int, total: int, metric: float) -> None:
        progress.update(stage, done, total, f"accuracy {metric:.1%}" if metric == metric else "")

    return open_context(config, paths, device, data, report)


def _reference(context: StudyContext, task: WorkerTask, progress: StageProgress) -> StaticReference:
    """Trains the reference both ways, side by side where there is more than one worker."""
    ways = statics_missing(context)
    total = 2
    progress.update("static reference", total - len(ways), total)
    if len(ways) > 1 and context.config.search.workers > 1:
        group = ProcessGroup()
        try:
            for index, way in enumerate(ways):
                group.start(index, run_reference, _for_worker(task, index), way)
            done = 0
            for event in group.events():
                if event.kind in ("fatal", "died"):
                    raise OfframpError(event.reason)
                done += event.kind == "done"
                progress.update("static reference", done, total)
        finally:
            group.stop()
    # Whatever was trained above is found in the memo here.
    networks = [train_static(context, "alone"), train_static(context, "jointly")]
    reference = choose_reference(networks[0]["fc"], networks[1], context)
    progress.update("static reference", total, total, f"accuracy {reference.record.accuracy:.1%}")
    return reference


def _for_worker(task: WorkerTask, index: int) -> WorkerTask:
    return WorkerTask(task.config, task.paths, task.storage_url, task.study_name, task.device, index)


@dataclass
class _Search:
    """The trials of one run: starts workers, follows what they say, replaces those that die."""

    study: optuna.Study
    context: StudyContext
    task: WorkerTask
    progress: StageProgress
    board: SearchBoard
    records: list[DesignRecord] = field(default_factory=list)

    def run(self) -> None:
        """Until all proposals are finished.

        Raises:
            KeyboardInterrupt: A signal came; nothing is running any more.
            OfframpError: A worker gave up, or too many were killed.
        """
        wanted = self.task.config.search.trials
        deaths = 0
        while True:
            done = finished_trials(self.study)
            self.records = [r for r in map(record_of, done) if r is not None]
            self.board.show(self.records)
            if len(done) >= wanted:
                return
            # A round ends early only where workers were killed; the next one makes up for what they lost.
            deaths += self._round(wanted - len(done))
            if deaths > self.task.config.search.max_failures:
                raise OfframpError(
                    f"expected workers that run, got {deaths} of them ended from outside; is there enough memory? "
                    "Finished trials are kept, run the same command again with fewer --workers"
                )

    def _round(self, missing: int) -> int:
        """Starts the workers and follows them until all have ended; returns how many were killed."""
        group = ProcessGroup()
        tickets = Tickets(group.context, missing)
        deaths = 0
        try:
            for index in range(min(self.task.config.search.workers, missing)):
                group.start(index, run_worker, _for_worker(self.task, index), tickets)
            for event in group.events():
                self._note(event)
                if event.kind == "fatal":
                    raise OfframpError(event.reason)
                if event.kind == "died":
                    deaths += 1
                    self.progress.log(
                        f"worker {event.worker} was ended by {event.reason}; its trial is put aside"
                    )
        finally:
            # A second Ctrl-C must not interrupt the putting aside.
            before = signal.signal(signal.SIGINT, signal.SIG_IGN)
            for event in group.stop():
                self._note(event)
            signal.signal(signal.SIGINT, before)
            fail_abandoned(self.study)
        return deaths

    def _note(self, event: WorkerEvent) -> None:
        if event.kind == "failed":
            self.progress.log(f"trial {event.trial} failed: {event.reason}")
        if event.kind == "finished" and event.record is not None:
            self.records.append(event.record)
            self.board.show(self.records)


def raise_on_sigterm() -> None:
    """Makes SIGTERM end a run the way Ctrl-C does."""

    def interrupt(signum: int, frame: Any) -> None:
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, interrupt)
