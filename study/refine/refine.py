"""A refinement from the folder of a run to its tables."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import optuna
import pandas as pd
from filelock import FileLock, Timeout

from hwcost.errors import OfframpError
from models.seeds import derive_seed
from study.atomic import write_text
from study.environment import describe
from study.refine.cards import write_members
from study.refine.choice import Choice, choose
from study.refine.measurement import check_choice, measure, read_mark, refuse_other_choice
from study.refine.members import front_members
from study.refine.networks import RefinedNetworks
from study.refine.opening import Request, check_trained, open_existing
from study.refine.tables import Measured, Predictions, RefinedTables, on_split
from study.refine.worker import train_all
from study.setup import Paths, load_data, open_context
from study.storage import kept_reference, storage_failures
from study.worker import WorkerTask

if TYPE_CHECKING:
    from rich.console import Console

    from models.training_data import TrainingData
    from study.config import StudyConfig
    from study.setup import StudyContext
    from study.tables import Design


@dataclass(frozen=True)
class Refined:
    """What came out.

    Attributes:
        table: `refined.csv`, or `refined_validation.csv` where the test split was not read.
        split: `test` or `validation`.
        n_images: Of that split.
        folders: Of the networks to deploy.
    """

    table: pd.DataFrame
    split: str
    n_images: int
    folders: list[Path]


def refine(
    request: Request, paths: Paths, storage_url: str, device: str, console: Console, command: str
) -> Refined:
    """Trains the front again, chooses on validation, and measures on the test split.

    Args:
        request: What is refined and how.
        paths: Of the run.
        storage_url: Of its study.
        device: `cpu` or `cuda`.
        console: Where progress goes.
        command: The command line, for the record.

    Raises:
        OfframpError: An input cannot be used, a process gave up, or the test split was read for another choice.
    """
    from study.progress import StageProgress

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    config = request.config
    with (
        _alone(paths),
        storage_failures(storage_url),
        StageProgress(console).shown() as progress,
    ):
        data = load_data(config, paths.cache)
        study = open_existing(config, storage_url, data)
        check_trained(study)

        def report(stage: str, done: int, total: int, figure: float) -> None:
            progress.update(stage, done, total, f"accuracy {figure:.1%}" if figure == figure else "")

        context = _context(config, paths, device, data, report)
        environment = describe(config, data, device, command)
        environment["refine"] = _record(request, context, progress.log)
        reference = kept_reference(study)
        assert reference is not None  # trials begin when it is there
        members = front_members(study, context.relative_to(reference), request)
        networks = RefinedNetworks(context, request.recipe)
        architectures = _architectures(members)
        trainings = networks.trainings(architectures, request.seeds)
        missing = sum(not networks.done(training) for training in trainings)
        progress.log(
            f"{len(members)} member(s) of the front with {len(architectures)} network(s), and the static reference; "
            f"{len(trainings)} trainings of {request.recipe.epochs:g} epochs, {missing} to be done"
        )
        mark = read_mark(networks.folder)
        if mark is not None and missing:
            raise refuse_other_choice(mark)
        task = WorkerTask(config, paths, storage_url, str(config.run.name), device, 0)
        train_all(networks, trainings, task, config.search.workers, progress)
        choice = choose(networks, members, request.seeds, request.derived)
        check_choice(mark, choice.key(networks))  # before the tables of what was measured are written over
        for line in choice.diverged:
            progress.log(f"left out, as it diverged: {line}")
        write_text(networks.folder / "choice.json", json.dumps(choice.summary(networks), indent=2) + "\n")
        write_text(networks.folder / "environment.json", json.dumps(environment, indent=2) + "\n")
        validation = {t: network.validation for t in choice.trainings() if (network := networks.find(t))}
        of_validation, measured = _tables(choice, validation, "validation", context)
        table = _write(of_validation, paths, "refined_validation")
        if not request.test:
            return Refined(table, "validation", measured[0].right.shape[1], [])
        answers = measure(networks, choice, command, task, progress)
        tables, measured = _tables(choice, answers, "test", context, of_validation)
        table = _write(tables, paths, "refined")
        return Refined(table, "test", measured[0].right.shape[1], write_members(networks, measured, table))


@contextmanager
def _alone(paths: Paths) -> Iterator[None]:
    """Holds the run while it is refined; a search of it may go on meanwhile.

    Raises:
        OfframpError: Another process refines it, or its folder cannot be written to.
    """
    lock = FileLock(paths.out / ".refine.lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise OfframpError(
            f"expected a run that nobody else refines, got {paths.out}; wait for the other command"
        ) from None
    except OSError as error:
        raise OfframpError(
            f"expected a folder to write results to, got {paths.out}: {error.strerror}; copy the run to another place"
        ) from None
    try:
        yield
    finally:
        lock.release()


def _context(config: StudyConfig, paths: Paths, device: str, data: TrainingData, report: Any) -> StudyContext:
    """The study's context; the float network is pre-trained again where the cache has lost it."""
    from models.objective import NonFiniteLoss

    try:
        return open_context(config, paths, device, data, report)
    except NonFiniteLoss as error:
        raise OfframpError(str(error)) from error


def _architectures(members: list[Design]) -> list[Any]:
    return list({m.record.network.key(): m.record.network for m in members}.values())


def _record(request: Request, context: StudyContext, log: Any) -> dict[str, Any]:
    """How this refinement was done, and whether it began where the study did."""
    values = {
        "epochs": request.recipe.epochs, "recipe": request.recipe.key(), "seeds": request.seeds,
        "members": request.members, "derived": request.derived, "warm_start": context.warm.checksum,
        "policy_targets": list(request.config.refine.policy_targets),
    }  # fmt: skip
    try:
        run = json.loads((context.paths.out / "environment.json").read_text(encoding="utf-8"))
        before = run["pretraining"]["warm_start"]
    except (OSError, ValueError, KeyError, TypeError):
        return values
    if before != context.warm.checksum:
        values["warm_start_of_study"] = before
        log(
            "the float network was trained again and differs from the study's in its digits (another machine or "
            "version): everything, the static reference included, is refined from the new one"
        )
    return values


def _tables(
    choice: Choice,
    predictions: Predictions,
    split: str,
    context: StudyContext,
    validation: RefinedTables | None = None,
) -> tuple[RefinedTables, list[Measured]]:
    measured = on_split(choice, predictions, context)
    rng = np.random.default_rng(derive_seed("bootstrap", context.config.search.seed, split))
    return RefinedTables(choice, measured, split, context, rng, validation), measured


def _write(tables: RefinedTables, paths: Paths, name: str) -> pd.DataFrame:
    table = tables.refined()
    for file, frame in ((name, table), (f"{name}_exits", tables.exits())):
        write_text(paths.out / f"{file}.csv", frame.to_csv(index=False, lineterminator="\n"))
    return table
