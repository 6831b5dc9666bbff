"""Optuna's relational storage with the settings that several processes need."""

from __future__ import annotations

import copy
import logging
import random
import threading
import time
from collections.abc import Callable
from typing import Any

from optuna.storages import RDBStorage
from optuna.storages._rdb import models
from optuna.trial import FrozenTrial
from sqlalchemy import event
from sqlalchemy.exc import DBAPIError

from study.storage.addresses import StorageAddress

SQLITE_WAIT_SECONDS = 300
_TRIES = 6


_READS = (
    "_get_trials",
    "get_trial",
    "get_all_studies",
    "get_study_id_from_name",
    "get_study_name_from_id",
    "get_study_directions",
    "get_study_user_attrs",
    "get_study_system_attrs",
)


class WholeTrialStorage(RDBStorage):
    """Writes a new trial with all its genes in one statement; Optuna takes three a gene.

    Args:
        url: Of the database.
        settings: Of SQLAlchemy's engine.
    """

    def __init__(self, url: str, settings: dict[str, Any]) -> None:
        self._thread = threading.local()
        super().__init__(url, engine_kwargs=settings)
        for name in _READS:
            setattr(self, name, self._noting(getattr(self, name)))

    @property
    def reading(self) -> bool:
        """Whether what this thread is doing only reads."""
        return getattr(self._thread, "reading", False)

    def _noting(self, read: Callable[..., Any]) -> Callable[..., Any]:
        def noted(*arguments: Any, **options: Any) -> Any:
            self._thread.reading = True
            try:
                return read(*arguments, **options)
            finally:
                self._thread.reading = False

        return noted

    def _get_prepared_new_trial(
        self, study_id: int, template_trial: FrozenTrial | None, session: Any
    ) -> models.TrialModel:
        if template_trial is None or not template_trial.params:
            return super()._get_prepared_new_trial(study_id, template_trial, session)
        bare = copy.copy(template_trial)
        bare.params, bare.distributions = {}, {}
        trial = super()._get_prepared_new_trial(study_id, bare, session)
        rows = []
        for name, value in template_trial.params.items():
            distribution = template_trial.distributions[name]
            rows.append(
                models.TrialParamModel(
                    trial_id=trial.trial_id,
                    param_name=name,
                    param_value=distribution.to_internal_repr(value),
                    distribution_json=_as_json(distribution),
                )
            )
        session.add_all(rows)
        return trial


def _as_json(distribution: Any) -> str:
    from optuna.distributions import distribution_to_json

    return distribution_to_json(distribution)


def open_relational(address: StorageAddress) -> RDBStorage:
    """Connects; makes the tables where there are none.

    Raises:
        sqlalchemy.exc.SQLAlchemyError: Nothing answers, or it is no database.
        ImportError: The driver is not installed.
    """
    logging.getLogger("alembic").setLevel(logging.WARNING)
    sqlite = address.kind == "sqlite"
    settings: dict[str, Any] = (
        {"connect_args": {"timeout": SQLITE_WAIT_SECONDS}} if sqlite else {"pool_pre_ping": True}
    )
    storage = _connect(address.complete, settings)
    if sqlite:
        event.listen(storage.engine, "connect", _sqlite_settings)
        event.listen(storage.engine, "begin", lambda connection: _begin(connection, storage.reading))
        storage.engine.dispose()  # the connection that made the tables lacks the settings
    return storage


def _connect(url: str, settings: dict[str, Any]) -> WholeTrialStorage:
    for remaining in reversed(range(_TRIES)):
        try:
            return WholeTrialStorage(url, settings)
        except DBAPIError as error:
            # Two runs that begin together both find no tables and both make them.
            twice = any(words in str(error.orig) for words in ("already exists", "duplicate key", "UNIQUE"))
            if not (twice and remaining):
                raise
            time.sleep(random.uniform(0.05, 0.5))
    raise AssertionError("unreachable")


def _sqlite_settings(connection: Any, _record: Any) -> None:
    """One fsync a commit less; after a power cut the last commits may be gone, the file stays whole."""
    connection.isolation_level = None  # transactions begin where `_begin` says so, not at the first write
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=NORMAL")


def _begin(connection: Any, reading: bool) -> None:
    """Reading a trial's state and changing it are one step: what was FAIL a moment ago cannot become COMPLETE.

    What only reads does not stop others from writing, however long it takes.
    """
    connection.exec_driver_sql("BEGIN" if reading else "BEGIN IMMEDIATE")
