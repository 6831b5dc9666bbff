"""One proposal at a time, over all processes of a study, where the storage offers a lock.

A design is known to others only once it is in the storage: two workers that begin together would propose the same
one. The lock keeps that from happening. It saves work and nothing depends on it: without one `study.claims` finds a
twin afterwards and draws again.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path

from filelock import FileLock, Timeout
from sqlalchemy import create_engine, text
from sqlalchemy.engine import Engine
from sqlalchemy.exc import SQLAlchemyError

from study.storage.addresses import StorageAddress

_log = logging.getLogger(__name__)

_WAIT_SECONDS = 120

StudyLock = Callable[[], AbstractContextManager[object]]


def study_lock(url: str, study_name: str) -> StudyLock:
    """The lock of a study.

    sqlite and journals have a file beside them; PostgreSQL has advisory locks, held by a transaction and released
    by the server when the process dies. Behind Optuna's proxy there is none.

    Args:
        url: Of the storage.
        study_name: In the storage.
    """
    address = StorageAddress.parse(url)
    key = hashlib.sha256(study_name.encode(errors="surrogatepass")).digest()
    if address.file is not None:
        path = address.file.with_name(f"{address.file.name}.{key.hex()[:8]}.lock")
        return lambda: _file_lock(path)
    if address.kind == "postgresql":
        engine = create_engine(address.url, pool_size=1, max_overflow=0, pool_pre_ping=True)
        number = int.from_bytes(key[:8], "big", signed=True)
        return lambda: _advisory_lock(engine, number)
    return nullcontext


@contextmanager
def _file_lock(path: Path) -> Iterator[None]:
    lock = FileLock(path, timeout=_WAIT_SECONDS)
    try:
        lock.acquire()
    except (Timeout, OSError, NotImplementedError) as error:
        _log.debug("proposing without a lock: %s", error)
        yield
        return
    try:
        yield
    finally:
        lock.release()


@contextmanager
def _advisory_lock(engine: Engine, number: int) -> Iterator[None]:
    try:
        connection = engine.connect()
    except SQLAlchemyError as error:
        _log.debug("proposing without a lock: %s", error)
        yield
        return
    try:
        try:
            # Of the transaction, not of the session: that holds behind a connection pooler too.
            connection.execute(text(f"SET LOCAL lock_timeout = '{_WAIT_SECONDS}s'"))
            connection.execute(text("SELECT pg_advisory_xact_lock(:number)"), {"number": number})
        except SQLAlchemyError as error:
            _log.debug("proposing without a lock: %s", error)
        yield
    finally:
        try:
            connection.rollback()
            connection.close()
        except SQLAlchemyError:  # the server went away, and the lock with it
            connection.invalidate()
            connection.close()
