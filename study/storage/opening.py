"""From a storage URL to a storage that several processes and machines can share."""

from __future__ import annotations

import importlib.util
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from optuna.exceptions import ExperimentalWarning, StorageInternalError
from optuna.storages import BaseStorage, JournalStorage, get_storage
from sqlalchemy.exc import SQLAlchemyError

from hwcost.errors import OfframpError
from study.storage.addresses import StorageAddress, without_password
from study.storage.journal import MendingJournal, journal_lock
from study.storage.relational import open_relational
from study.storage.retrying import RetryingStorage, is_away, reason

_PROXY_SECONDS = 10.0
_EXTRAS = {"postgresql": "postgresql", "grpc": "proxy"}


def open_storage(url: str) -> BaseStorage:
    """Connects to a storage of any kind.

    sqlite gets write-ahead logging, a journal is cut behind its last whole line, and calls to a server are repeated
    while it restarts.

    Raises:
        OfframpError: The URL is not one, or nothing answers there.
    """
    address = StorageAddress.parse(url)
    try:
        return _open(address)
    except ImportError as error:
        extra = _EXTRAS.get(address.kind)
        what = f"pip install -e '.[{extra}]' in the project's folder" if extra else "install its driver"
        raise OfframpError(
            f"expected a storage that can be reached, got {address.shown}: "
            f"{str(error).strip().splitlines()[0].rstrip('.')}; {what}"
        ) from None
    except (SQLAlchemyError, StorageInternalError, ValueError, RuntimeError, OSError) as error:
        raise OfframpError(
            f"expected a storage that can be reached, got {address.shown}: {reason(error)}; "
            "start the server, install its driver or mend the URL"
        ) from None


def _open(address: StorageAddress) -> BaseStorage:
    if address.kind == "journal":
        path = address.file
        assert path is not None
        path.touch()
        lock = journal_lock(path, str(address.url.query.get("lock", "kernel")))
        return JournalStorage(MendingJournal(path, lock))
    if address.kind == "grpc":
        return RetryingStorage(_open_proxy(str(address.url.host), int(address.url.port or 0)))
    storage = open_relational(address)
    if address.kind != "sqlite":
        # Optuna tells every broken connection in ten lines; `RetryingStorage` says it in one.
        logging.getLogger("optuna.storages._rdb.storage").setLevel(logging.ERROR)
    # sqlite waits for other processes by itself, and nothing that fails there mends itself.
    return storage if address.kind == "sqlite" else RetryingStorage(get_storage(storage))


def _open_proxy(host: str, port: int) -> BaseStorage:
    from optuna.storages import GrpcStorageProxy

    if importlib.util.find_spec("grpc") is None:  # Optuna would say so at the first call only
        raise ImportError("no module named grpc")
    with warnings.catch_warnings():
        # Experimental since Optuna 4.2 and unchanged since; a user should not see a warning about it.
        warnings.simplefilter("ignore", ExperimentalWarning)
        storage = GrpcStorageProxy(host=host, port=port)
    storage.wait_server_ready(timeout=_PROXY_SECONDS)
    return storage


@contextmanager
def storage_failures(url: str) -> Iterator[None]:
    """Turns what a storage raises when it breaks in the middle (full disk, server gone) into one clear line.

    Raises:
        OfframpError: Instead of what SQLAlchemy, Optuna or gRPC raise.
    """
    try:
        yield
    except Exception as error:
        if not (isinstance(error, SQLAlchemyError | StorageInternalError) or is_away(error)):
            raise
        raise OfframpError(
            f"expected a storage that takes results, got {reason(error)} from {without_password(url)}; finished "
            "trials are kept, make room or restart the server and run the same command again"
        ) from error
