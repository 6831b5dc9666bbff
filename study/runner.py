"""A study from its configuration to its result files; stops cleanly and resumes where it was."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import optuna
from filelock import FileLock, Timeout
from rich.console import Console

from hwcost.errors import OfframpError
from study.config import StudyConfig
from study.config_io import fingerprint, identity
from study.environment import cores, describe
from study.export.run_tables import Exported, export, write_origin
from study.following import Search, Watch
from study.leases import new_run
from study.levels import level_texts
from study.live import keep_environment
from study.memo import training_code_version
from study.processes import ProcessGroup
from study.progress import StageProgress
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
    own_backbone_fingerprint,
    statics_missing,
    train_static,
)
from study.storage import (
    StudyIdentity,
    StudyLock,
    compare_training,
    describe_genes,
    finished_trials,
    keep_reference,
    kept_reference,
    open_storage,
    open_study,
    register_run,
    storage_failures,
    study_lock,
)
from study.worker import WorkerTask, run_pretraining_alone, run_reference

if TYPE_CHECKING:
    from models.training_data import TrainingData

_FOLDER_MARK = ".study"


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
        storage_failures(storage_url),
        _divergence(),
        StageProgress(console).shown() as progress,
        contextlib.ExitStack() as stack,
    ):
        claim_folder(paths.out, study_name)
        storage = open_storage(storage_url)
        progress.log(f"data: {config.data.source}")
        data = load_data(config, paths.cache)
        progress.log(
            f"      {len(data.train_labels)} training, {len(data.calibration_labels)} calibration, "
            f"{len(data.validation_labels)} validation images, {data.classes} classes"
        )
        population = config.population()
        objectives = build_objectives(config, build_accelerator(config)).columns
        who = StudyIdentity(
            study_name,
            identity(config),
            data.fingerprint,
            population,
            objectives,
            own_backbone_fingerprint(config, data.channels),
        )
        lock, run = study_lock(storage_url, study_name), new_run()
        with lock():
            study = open_study(storage, who)
            number = register_run(study, run)
        trials = Watch(study, config.run.lease_seconds)
        trials.clear_up(progress)
        environment = describe(config, data, device, command)
        task = WorkerTask(config, paths, storage_url, study_name, device, 0, run, number)
        if kept_reference(study) is None:
            stack.enter_context(pretraining_alone(task))
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
        changed = compare_training(study, _trained_with(context))
        if changed:
            progress.log(
                f"this run trains with another {', '.join(changed)} than the study's first: networks that were "
                "trained before are trained again where they are needed, results may differ a little"
            )
        environment = keep_environment(study, environment)
        write_origin(paths.out, config, environment)
        reference = _kept_reference(study, context, task, lock, progress)
        context = context.relative_to(reference)
        board = SearchBoard(progress, context, reference, config.search.trials)
        search = Search(study, task, progress, trials, board)
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
        exported = export(study, context, reference, environment)
        if exported.skipped.text():
            progress.log(exported.skipped.text())
        return Outcome(exported, len(finished_trials(study)), interrupted)


def claim_folder(out: Path, study_name: str) -> None:
    """Makes a run's folder the folder of one study; any number of its runs may share it.

    Raises:
        OfframpError: It is another study's, or it cannot be made.
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
        mark = out / _FOLDER_MARK
        with contextlib.suppress(FileExistsError), mark.open("x", encoding="utf-8") as file:
            file.write(study_name + "\n")
        owner = mark.read_text(encoding="utf-8").removesuffix("\n")
    except OSError as error:
        raise OfframpError(
            f"expected a folder to write results to, got {out}: {error.strerror}; choose another --out"
        ) from None
    if owner and owner != study_name:
        raise OfframpError(
            f"expected the folder of study {study_name!r}, got {out} of study {owner!r}, whose tables would be "
            "overwritten; choose another --out"
        )


def _trained_with(context: StudyContext) -> dict[str, str]:
    """What decides a training beside the configuration and the data."""
    return {
        "version of the training code": training_code_version()[:12],
        "warm start": context.warm.checksum[:12],
        "device": context.device,
    }


def _kept_reference(
    study: optuna.Study, context: StudyContext, task: WorkerTask, lock: StudyLock, progress: StageProgress
) -> StaticReference:
    """The study's static reference; trained by one of the runs that share a cache, the first one to finish counts."""
    kept = kept_reference(study)
    if kept is not None:
        return kept
    name = fingerprint(identity(context.config))[:16]
    context.paths.cache.mkdir(parents=True, exist_ok=True)
    with _waiting(context.paths.cache / f"reference-{name}.lock", progress):
        kept = kept_reference(study)
        if kept is not None:
            return kept
        reference = _reference(context, task, progress)
        with lock():
            # A run with a cache of its own may have been faster. Trials refer to one reference only.
            kept = kept_reference(study)
            if kept is None:
                keep_reference(study, reference)
    return kept or reference


@contextmanager
def _waiting(path: Path, progress: StageProgress) -> Iterator[None]:
    """Holds a lock file; says so when another run has to be waited for."""
    lock = FileLock(path)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        progress.log("static reference: another run is training it")
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def _final_accuracies(context: StudyContext) -> dict[str, float]:
    """Validation accuracy of the float network's final exit, by kind of head."""
    last = context.spec.n_blocks - 1
    accuracies = context.warm.accuracies
    return {kind: accuracies[f"{kind}_{last}"] for kind in head_kinds(context.config)}


def _prepare(
    config: StudyConfig, paths: Paths, device: str, data: TrainingData, progress: StageProgress
) -> StudyContext:
    return open_context(config, paths, device, data, _reporting(progress))


@contextmanager
def pretraining_alone(task: WorkerTask) -> Iterator[None]:
    """Lets the float network without exits be trained beside the one with exits, where there are cores for both.

    Whoever asks for it later waits for that process, and trains it if the process did not get to the end.
    """
    search, both = task.config.search, 2 * task.config.pretrain.threads
    if not (search.pretrain_alone and search.workers > 1 and task.device == "cpu" and both <= cores()):
        yield
        return
    group = ProcessGroup()
    try:
        group.start(0, run_pretraining_alone, task)
        yield
    finally:
        group.stop()


def _reporting(progress: StageProgress, what: str = "") -> Callable[[str, int, int, float], None]:
    """Shows a training's progress, its stage by another name where there is one."""

    def report(stage: str, done: int, total: int, metric: float) -> None:
        progress.update(what or stage, done, total, f"accuracy {metric:.1%}" if metric == metric else "")

    return report


def _reference(context: StudyContext, task: WorkerTask, progress: StageProgress) -> StaticReference:
    """Trains the reference both ways, side by side where there is more than one worker."""
    ways = statics_missing(context)
    if "alone" in ways:
        context.pretrained_alone(_reporting(progress, "pre-training without exits"))
    total = 2
    progress.update("static reference", total - len(ways), total)
    if len(ways) > 1 and context.config.search.workers > 1:
        group = ProcessGroup()
        try:
            for index, way in enumerate(ways):
                group.start(index, run_reference, replace(task, index=index), way)
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
    reference = choose_reference(networks[0]["fc"], networks[1], context.evaluator)
    progress.update("static reference", total, total, f"accuracy {reference.record.accuracy:.1%}")
    return reference


def raise_on_sigterm() -> None:
    """Makes SIGTERM end a run the way Ctrl-C does."""

    def interrupt(signum: int, frame: Any) -> None:
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, interrupt)
