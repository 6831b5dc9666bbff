"""One process of a study: takes a trial, evaluates its design, tells the result, until all are finished."""

from __future__ import annotations

import contextlib
import logging
import signal
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from hwcost.errors import OfframpError
from models.seeds import derive_seed
from study.config import StudyConfig
from study.memo import training_code_version
from study.processes import follow_parent
from study.setup import Paths
from study.worker_events import EventWriter, WorkerEvent

if TYPE_CHECKING:
    import optuna

    from study.setup import StudyContext

_log = logging.getLogger(__name__)


class Interrupted(BaseException):
    """A signal asked this process to stop. Not an `Exception`, so nothing on the way can swallow it."""


@dataclass(frozen=True)
class WorkerTask:
    """What a worker process is started with; plain values, as modules and tensors do not travel.

    Attributes:
        config: Of the study.
        paths: Of the study.
        storage_url: Of the study.
        study_name: In the storage.
        device: `cpu` or `cuda`.
        index: Of the worker, from 0.
        run: Name of this start of the command.
        run_number: Runs that worked on the study before.
        code: `training_code_version` where the run began.
    """

    config: StudyConfig
    paths: Paths
    storage_url: str
    study_name: str
    device: str
    index: int
    run: str = ""
    run_number: int = 0
    code: str = field(default_factory=training_code_version)


def run_worker(task: WorkerTask, events: EventWriter) -> None:
    """Entry point of a process that works on trials.

    Args:
        task: What to work on.
        events: Takes what this process says.
    """
    _guarded(task, events, lambda: _work(task, events))


def run_reference(task: WorkerTask, trained: Literal["alone", "jointly"], events: EventWriter) -> None:
    """Entry point of a process that trains the static reference one way; the result goes into the memo."""
    _guarded(task, events, lambda: _train_reference(task, trained))


def run_pretraining_alone(task: WorkerTask, events: EventWriter) -> None:
    """Entry point of a process that pre-trains without early exits; the result goes into the cache."""
    _guarded(task, events, lambda: _pretrain_alone(task))


def _guarded(task: WorkerTask, events: Any, work: Callable[[], None]) -> None:
    """Runs a process's work; whatever ends it becomes one event."""
    follow_parent()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the terminal sends it to all; the parent decides
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        _check_code(task)
        work()
        last = WorkerEvent("done", task.index)
    except Interrupted:
        last = WorkerEvent("done", task.index)
    except OfframpError as error:
        last = WorkerEvent("fatal", task.index, reason=str(error))
    except Exception as error:
        last = WorkerEvent("fatal", task.index, reason=_explain(error, task.paths))
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # this process is on its way out
    events.put(last)


def _check_code(task: WorkerTask) -> None:
    """A process reads the code anew; what it trains is looked up by the version that the run began with.

    Raises:
        OfframpError: The code is another by now.
    """
    if training_code_version() != task.code:
        raise OfframpError(
            f"expected the training code that the run began with ({task.code[:12]}), got another one "
            f"({training_code_version()[:12]}): Offramp was changed or installed anew while it ran; run the same "
            "command again"
        )


def _train_reference(task: WorkerTask, trained: Literal["alone", "jointly"]) -> None:
    from study.setup import load_data, open_context, train_static

    data = load_data(task.config, task.paths.cache)
    train_static(open_context(task.config, task.paths, task.device, data), trained)


def _pretrain_alone(task: WorkerTask) -> None:
    from study.setup import load_data, pretrain_alone

    # Where memory is short for both, this process is the one to end: what it does is done later then.
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000", encoding="ascii")
    pretrain_alone(task.config, task.paths, task.device, load_data(task.config, task.paths.cache))


def _work(task: WorkerTask, events: EventWriter) -> None:
    import numpy as np
    import optuna

    from study.claims import Claims
    from study.derived import DerivedDesigns
    from study.leases import Heartbeat, Owner
    from study.rising import RisesUndominated
    from study.samplers import make_sampler
    from study.setup import load_data, open_context
    from study.storage import kept_reference, open_storage, population_of, study_lock
    from study.turns import Turns

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    search = task.config.search
    data = load_data(task.config, task.paths.cache)
    context = open_context(task.config, task.paths, task.device, data)
    storage = open_storage(task.storage_url)
    study = optuna.load_study(storage=storage, study_name=task.study_name)
    reference = kept_reference(study)
    context = context if reference is None else context.relative_to(reference)
    already = len(study.get_trials(deepcopy=False))
    seed = derive_seed("proposals", search.seed, already, task.run_number, task.index)
    derived = DerivedDesigns(context) if search.derive else None
    rises = RisesUndominated(study, context, derived)
    context = replace(context, evaluator=replace(context.evaluator, rises=rises))
    evaluator, space = context.evaluator, context.space
    study.sampler = make_sampler(
        search,
        space,
        population_of(study),
        seed,
        evaluator.costing,
        derived,
    )
    owner = Owner.this_process(task.run, task.index, task.config.run.lease_seconds)
    lock = study_lock(task.storage_url, task.study_name)
    claims = Claims(
        study,
        space.distributions(),
        lambda genes: space.decode(genes).key(),
        search.trials,
        owner,
        lock,
        turns=Turns.of_this_machine(task.paths.cache / "turns"),
    )
    heart = Heartbeat.of(study._storage, owner)
    evaluator.check.foresee(space, np.random.default_rng(derive_seed("layers", search.seed)))
    events.put(WorkerEvent("ready", task.index))
    failures = 0
    while (trial := claims.take()) is not None:
        events.put(WorkerEvent("started", task.index, trial.number))
        with heart.on(trial._trial_id):
            event = _one_trial(study, context, task.index, trial)
        events.put(event)
        failures = failures + 1 if event.kind == "failed" else 0
        if failures >= search.max_failures:
            raise OfframpError(
                f"expected trials that finish, got {failures} failures in a row, the last one: {event.reason}; "
                "mend the cause and run the same command again"
            )


def _one_trial(study: optuna.Study, context: StudyContext, worker: int, trial: optuna.Trial) -> WorkerEvent:
    """Evaluates a trial and tells the result. One that cannot be finished is failed, whatever the reason."""
    from optuna.exceptions import UpdateFinishedTrialError

    from models.objective import NonFiniteLoss
    from study.leases import deaths_before
    from study.memory import is_out_of_memory
    from study.storage import tell_result

    # One worker may have been killed for any reason. Of two over one design the kernel's, short of memory, is likely.
    halvings = deaths_before(trial._cached_frozen_trial) - 1
    if halvings > 0:
        context = context.with_halved_batches(halvings)
    try:
        record = context.evaluator.evaluate(context.space.decode(trial.params))
        tell_result(study, trial, record, context.evaluator.objectives.values(record))
    except UpdateFinishedTrialError:
        return WorkerEvent(
            "lost", worker, trial.number, reason="this worker was silent for longer than its lease"
        )
    except BaseException as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        hopeless = isinstance(error, NonFiniteLoss) or is_out_of_memory(error)
        _fail(study, trial, reason, hopeless, isinstance(error, Interrupted))
        if hopeless:
            return WorkerEvent("failed", worker, trial.number, reason=reason)
        raise
    # What follows from a network that did not rise was written when it was asked whether it does.
    if record.trained and record.longest and context.config.search.derive:
        from study.derived import write_derived

        write_derived(context, record.genome.architecture)
    return WorkerEvent("finished", worker, trial.number, record)


def _fail(study: optuna.Study, trial: optuna.Trial, reason: str, hopeless: bool, interrupted: bool) -> None:
    """Ends a trial that did not finish; what stopped it is the error to tell, not what fails on the way here."""
    from optuna.exceptions import UpdateFinishedTrialError
    from optuna.trial import TrialState

    from study.leases import put_aside
    from study.sampler import DIVERGED_KEY

    storage, trial_id = study._storage, trial._trial_id
    try:
        if interrupted:
            put_aside(study, storage.get_trial(trial_id), reason, died=False)
            return
        storage.set_trial_user_attr(trial_id, "failure", reason)
        if hopeless:
            storage.set_trial_user_attr(trial_id, DIVERGED_KEY, True)
        storage.set_trial_state_values(trial_id, TrialState.FAIL)
    except UpdateFinishedTrialError:
        pass
    except Exception as error:  # the disk that is full for the result is full for this too
        _log.warning("trial %d stays as it is and will be taken up again: %s", trial.number, error)


def _explain(error: Exception, paths: Paths) -> str:
    """One line for the person; the traceback goes into a file, as far as the disk still takes it."""
    with contextlib.suppress(OSError), (paths.out / "errors.log").open("a", encoding="utf-8") as log:
        log.write("".join(traceback.format_exception(error)))
    cause = error.__cause__ or error
    first = (str(cause).strip() or type(cause).__name__).splitlines()[0]
    return (
        f"expected a trial that runs, got {type(cause).__name__}: {first}; details are in errors.log of the run's "
        "folder, finished trials are kept, mend the cause and run the same command again"
    )


def _interrupt(signum: int, frame: Any) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # once is enough; the trial is being put aside
    raise Interrupted
