"""A storage that outlives a restart of its server: calls that fail are repeated for a bounded time."""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable, Sequence
from typing import Any

from optuna.exceptions import DuplicatedStudyError, StorageInternalError, UpdateFinishedTrialError
from optuna.storages import BaseStorage
from optuna.study import StudyDirection
from optuna.trial import TrialState
from sqlalchemy.exc import (
    DBAPIError,
    InterfaceError,
    OperationalError,
    PendingRollbackError,
    SQLAlchemyError,
)

from study.storage.forwarding import ForwardingStorage

_log = logging.getLogger(__name__)

PATIENCE_SECONDS = 300.0
"""How long a server may be away."""

_FIRST_PAUSE, _LONGEST_PAUSE = 0.2, 15.0  # seconds
_DISK_FULL = "53100"  # SQLSTATE; it does not mend itself


class RetryingStorage(ForwardingStorage):
    """Repeats calls that failed because the server was away.

    A call may have been carried out although its answer was lost. Reading and setting attributes can be repeated
    as they are; where that is not so, what is there already is recognised. A new trial whose answer was lost stays
    behind without a worker; `study.claims` puts it aside.

    Args:
        behind: Where calls go.
        patience_seconds: How long one call is repeated.
        clock: Seconds from some fixed point.
        sleep: Waits so many seconds.
    """

    def __init__(
        self,
        behind: BaseStorage,
        patience_seconds: float = PATIENCE_SECONDS,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        super().__init__(behind)
        self._patience = patience_seconds
        self._clock, self._sleep = clock, sleep

    def _call(self, method: str, *arguments: Any, **options: Any) -> Any:
        return self._repeat(lambda _: getattr(self.behind, method)(*arguments, **options))

    def _repeat(self, call: Callable[[bool], Any]) -> Any:
        """Calls until it works; the argument says whether an earlier try may have been carried out."""
        start, pause, again = self._clock(), _FIRST_PAUSE, False
        while True:
            try:
                answer = call(again)
            except Exception as error:
                if not is_away(error) or self._clock() - start >= self._patience:
                    raise
                if not again:
                    _log.warning("the storage is away (%s); trying again", reason(error))
                again = True
                self._sleep(pause * random.uniform(0.5, 1.0))  # not all workers at once
                pause = min(2 * pause, _LONGEST_PAUSE)
                continue
            if again:
                _log.warning("the storage is back after %.0f s", self._clock() - start)
            return answer

    def create_new_study(self, directions: Sequence[StudyDirection], study_name: str | None = None) -> int:
        """See `BaseStorage`."""

        def call(again: bool) -> int:
            try:
                return self.behind.create_new_study(directions, study_name)
            except DuplicatedStudyError:
                if not again or study_name is None:
                    raise
                return self.behind.get_study_id_from_name(study_name)

        return self._repeat(call)

    def set_trial_state_values(
        self, trial_id: int, state: TrialState, values: Sequence[float] | None = None
    ) -> bool:
        """See `BaseStorage`."""

        def call(again: bool) -> bool:
            try:
                return self.behind.set_trial_state_values(trial_id, state, values)
            except UpdateFinishedTrialError:
                trial = self.behind.get_trial(trial_id)
                told = None if values is None else list(values)
                if again and trial.state == state and trial.values == told:
                    return True
                raise

        return self._repeat(call)


def is_away(error: BaseException) -> bool:
    """Whether an error means that the server cannot be reached for now."""
    cause = error.__cause__ if isinstance(error, StorageInternalError) else error
    if isinstance(cause, DBAPIError):
        if getattr(cause.orig, "sqlstate", None) == _DISK_FULL:
            return False
        return cause.connection_invalidated or isinstance(cause, OperationalError | InterfaceError)
    if isinstance(cause, PendingRollbackError):  # Optuna went on reading on a connection that had broken
        return True
    return _grpc_away(cause)


def _grpc_away(error: BaseException | None) -> bool:
    """The proxy is gone, or its own storage is: it answers UNKNOWN for whatever its storage raises."""
    code = getattr(error, "code", None)
    if isinstance(error, SQLAlchemyError) or not callable(code):
        return False
    return getattr(code(), "name", "") in ("UNAVAILABLE", "UNKNOWN", "INTERNAL")


def reason(error: BaseException) -> str:
    """One line of what went wrong."""
    cause = error.__cause__ or error
    details = getattr(cause, "details", None)
    text = details() if callable(details) else str(cause)
    return (str(text).strip() or type(cause).__name__).splitlines()[0]
