"""The study in its storage: opening, creating, recognising, and putting aside what a killed run left."""

from __future__ import annotations

import json
import logging
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import optuna
from optuna.exceptions import StorageInternalError
from optuna.storages import BaseStorage, RDBStorage
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy import event
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, SQLAlchemyError

from hwcost.errors import OfframpError
from study.config_io import differences, fingerprint
from study.record import DesignRecord
from study.reference import StaticReference

OBJECTIVES = ("error", "mean_latency_cycles", "mean_energy_pj")
"""Of a study that does not choose its own, at one clock."""

RESULT_KEY = "result"

_IDENTITY_KEY = "identity"
_FINGERPRINT_KEY = "fingerprint"
_POPULATION_KEY = "population"
_DATA_KEY = "data_fingerprint"
_GENES_KEY = "genes"
_REFERENCE_KEY = "static_reference"


@dataclass(frozen=True)
class StudyIdentity:
    """What makes a study the study it is.

    Attributes:
        name: In the storage.
        config: `study.config_io.identity` of the configuration.
        data_fingerprint: SHA-256 over the decoded data.
        population: Individuals a generation; fixed when the study is created.
        objectives: Names of what is minimised, with units.
    """

    name: str
    config: Mapping[str, Any]
    data_fingerprint: str
    population: int
    objectives: tuple[str, ...] = OBJECTIVES


@contextmanager
def storage_failures(url: str) -> Iterator[None]:
    """Turns what a storage raises when it breaks in the middle (full disk, server gone) into one clear line.

    Raises:
        OfframpError: Instead of what SQLAlchemy or Optuna raise.
    """
    try:
        yield
    except (SQLAlchemyError, StorageInternalError) as error:
        cause = error.__cause__ or error
        reason = str(cause).strip().splitlines()[0]
        raise OfframpError(
            f"expected a storage that takes results, got {reason} from {without_password(url)}; finished trials "
            "are kept, make room or restart the server and run the same command again"
        ) from error


def default_url(folder: Path) -> str:
    """The sqlite database of a run's folder.

    Raises:
        OfframpError: The folder's name holds a question mark, which ends the file's name in a URL.
    """
    if "?" in str(folder):
        raise OfframpError(
            f"expected a folder without a question mark for the database, got {str(folder)!r}; rename it or give "
            "--storage"
        )
    return f"sqlite:///{folder / 'study.db'}"


def open_storage(url: str) -> BaseStorage:
    """Connects to a relational storage; sqlite gets write-ahead logging.

    Raises:
        OfframpError: The URL is not one, or nothing answers there.
    """
    try:
        sqlite = make_url(url).get_backend_name() == "sqlite"
    except (ArgumentError, ValueError):  # ValueError: a port that is no number
        raise OfframpError(
            f"expected a storage URL such as sqlite:///study.db or postgresql://user@host/name, got {url!r}"
        ) from None
    logging.getLogger("alembic").setLevel(logging.WARNING)
    arguments: dict[str, Any] = {"connect_args": {"timeout": 60}} if sqlite else {"pool_pre_ping": True}
    try:
        storage = RDBStorage(url, engine_kwargs=arguments)
    except (SQLAlchemyError, ImportError, ValueError, RuntimeError, OSError) as error:
        reason = str(error).strip().splitlines()[0]
        raise OfframpError(
            f"expected a storage that can be reached, got {without_password(url)}: {reason}; "
            "start the server, install its driver or mend the URL"
        ) from None
    if sqlite:
        event.listen(storage.engine, "connect", _use_wal)
        storage.engine.dispose()  # the connection that made the tables lacks the settings
    return storage


def _use_wal(connection: Any, _record: Any) -> None:
    """One fsync a commit less; after a power cut the last commits may be gone, the file stays whole."""
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=NORMAL")


def without_password(url: str) -> str:
    """The URL as it may be shown."""
    return make_url(url).render_as_string(hide_password=True)


def open_study(storage: BaseStorage, identity: StudyIdentity, sampler: Any = None) -> optuna.Study:
    """Creates the study, or finds it and checks that it is the one that was asked for.

    Raises:
        OfframpError: A study of that name exists with another configuration, other data or another maker.
    """
    name = identity.name
    existing = [n for n in optuna.get_all_study_names(storage) if n == name]
    if not existing:
        study = optuna.create_study(
            storage=storage,
            study_name=name,
            directions=["minimize"] * len(identity.objectives),
            sampler=sampler,
        )
        with warnings.catch_warnings():
            # Experimental since Optuna 3.2 and unchanged since; a user should not see a warning about it.
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            study.set_metric_names(list(identity.objectives))
        study.set_user_attr(_IDENTITY_KEY, json.dumps(identity.config, sort_keys=True))
        study.set_user_attr(_DATA_KEY, identity.data_fingerprint)
        study.set_user_attr(_POPULATION_KEY, identity.population)
        # Written last: a study without it was not created to the end.
        study.set_user_attr(_FINGERPRINT_KEY, fingerprint(identity.config))
        return study
    study = optuna.load_study(storage=storage, study_name=name, sampler=sampler)
    attributes = study.user_attrs
    if _FINGERPRINT_KEY not in attributes:
        # Nothing is lost with a study that has neither trials nor attributes; one of another tool has attributes.
        cut_off = _IDENTITY_KEY in attributes or not attributes
        if cut_off and not study.get_trials(deepcopy=False):
            optuna.delete_study(storage=storage, study_name=name)
            return open_study(storage, identity, sampler)
        raise OfframpError(
            f"expected a study made by study.run, got {name!r} of another maker; choose another --study-name"
        )
    if attributes[_FINGERPRINT_KEY] != fingerprint(identity.config):
        changed = "; ".join(differences(json.loads(attributes[_IDENTITY_KEY]), identity.config))
        raise OfframpError(
            f"expected the configuration study {name!r} was created with, got another: {changed}; "
            "choose another --study-name or the old values"
        )
    if attributes[_DATA_KEY] != identity.data_fingerprint:
        raise OfframpError(
            f"expected the data study {name!r} was created with (fingerprint {attributes[_DATA_KEY][:12]}), "
            f"got other images ({identity.data_fingerprint[:12]}); choose another --study-name or the old data"
        )
    return study


def describe_genes(study: optuna.Study, legend: Mapping[str, list[str]]) -> None:
    """Keeps what each index of each gene means beside the study, where optuna-dashboard shows it."""
    meaning = {
        name: ", ".join(f"{i}: {text}" for i, text in enumerate(texts)) for name, texts in legend.items()
    }
    if study.user_attrs.get(_GENES_KEY) != meaning:
        study.set_user_attr(_GENES_KEY, meaning)


def kept_reference(study: optuna.Study) -> StaticReference | None:
    """The static reference the study was begun with."""
    values = study.user_attrs.get(_REFERENCE_KEY)
    return None if values is None else StaticReference.from_json(values)


def keep_reference(study: optuna.Study, reference: StaticReference) -> None:
    """Fixes the static reference for good.

    Every constraint and every relative number of the study refers to it: another device or a newer version must not
    put another one under the trials that are there.
    """
    study.set_user_attr(_REFERENCE_KEY, reference.to_json())


def population_of(study: optuna.Study) -> int:
    """Individuals a generation, as fixed when the study was created."""
    return int(study.user_attrs[_POPULATION_KEY])


def store_result(trial: optuna.Trial, record: DesignRecord) -> None:
    """Writes constraints, the dashboard's feasibility mark and the packed result.

    optuna-dashboard does not read constraints, so feasibility is an attribute of its own. Everything else is one
    JSON value, because each attribute is a write.
    """
    trial.set_user_attr("feasible", record.feasible)
    trial.set_user_attr(RESULT_KEY, record.to_json())
    for name, violation in record.violations.items():
        trial.set_constraint(name, violation)


def record_of(trial: FrozenTrial) -> DesignRecord | None:
    """The packed result of a finished trial; None for a trial that has none."""
    values = trial.user_attrs.get(RESULT_KEY)
    return None if values is None else DesignRecord.from_json(values)


def finished_trials(study: optuna.Study) -> list[FrozenTrial]:
    """Finished proposals, which is what `--trials` counts; failed ones are not among them."""
    return study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))


def fail_abandoned(study: optuna.Study) -> int:
    """Marks trials as failed that a killed process left running; only legal while nobody else runs the study.

    Returns:
        How many there were.
    """
    running = study.get_trials(deepcopy=False, states=(TrialState.RUNNING,))
    for trial in running:
        study.tell(trial.number, state=TrialState.FAIL, skip_if_finished=True)
    return len(running)
