"""A journal file that survives the death of a process in the middle of a line.

Optuna's file backend cannot read a journal again once something was appended behind a line that was cut off, and a
killed holder of its lock stops everybody for half a minute. Here each append first cuts such a tail off, keeping a
copy, and the lock is the kernel's, which ends with the process that holds it.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import logging
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from optuna.storages.journal import JournalFileBackend, JournalFileOpenLock
from optuna.storages.journal._file import BaseJournalFileLock
from optuna.storages.journal._storage import JournalOperation

_log = logging.getLogger(__name__)

_BLOCK = 65536
_SETTLE_SECONDS = 0.05
_SETTLE_LOOKS = 3

_MAY_WAIT = frozenset(
    {
        JournalOperation.SET_TRIAL_PARAM,
        JournalOperation.SET_TRIAL_INTERMEDIATE_VALUE,
        JournalOperation.SET_TRIAL_USER_ATTR,
        JournalOperation.SET_TRIAL_SYSTEM_ATTR,
    }
)
"""What is written about a trial that runs. It is of use with the trial's end alone, whose line follows it in the same
file; waiting for the disk there is waiting for all of them, once instead of six times."""


class KernelLock(BaseJournalFileLock):
    """A POSIX record lock on a file beside the journal.

    Works between processes of one machine, and between machines on NFS 4, on NFS 3 with its lock service and on
    parallel file systems mounted with locks. It is not Optuna's `.lock` file: optuna-dashboard would take that one
    away after its grace period.

    Args:
        path: Of the journal.
    """

    def __init__(self, path: Path) -> None:
        self._path = path.with_name(path.name + ".writer")
        self._threads = threading.Lock()  # record locks belong to processes
        self._file: IO[bytes] | None = None

    def acquire(self) -> bool:
        """Waits for the lock.

        Raises:
            OSError: The file system has no locks.
        """
        self._threads.acquire()
        try:
            if self._file is None or self._file.closed:
                self._file = self._path.open("ab")
            fcntl.lockf(self._file, fcntl.LOCK_EX)
        except BaseException:
            self.release()
            raise
        return True

    def release(self) -> None:
        """Lets others write."""
        try:
            if self._file is not None:
                with contextlib.suppress(OSError):
                    fcntl.lockf(self._file, fcntl.LOCK_UN)
        finally:
            self._threads.release()


def journal_lock(path: Path, kind: str) -> BaseJournalFileLock:
    """The lock of a journal.

    Args:
        path: Of the journal.
        kind: `kernel`, or `link`: a file made exclusively, for file systems whose kernel locks do not reach other
            machines. A process killed while it holds that one stops the others for its grace period of 30 s.
    """
    if kind == "kernel":
        lock = KernelLock(path)
        try:
            lock.acquire()
        except OSError as error:
            _log.warning("%s: no kernel locks here (%s); using a lock file", path.name, error.strerror)
        else:
            lock.release()
            return lock
    return JournalFileOpenLock(str(path))


class MendingJournal(JournalFileBackend):
    """Appends whole lines only, behind whole lines only.

    Args:
        path: Of the journal; made where it is not there.
        lock: Of the journal.
    """

    def __init__(self, path: Path, lock: BaseJournalFileLock) -> None:
        super().__init__(str(path), lock_obj=lock)
        self._path = path
        self._writer = lock
        with self._locked():
            cut_torn_tail(path)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        self._writer.acquire()
        try:
            yield
        finally:
            self._writer.release()

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        """Appends at once; a tail that somebody's death has left is cut off first.

        Other processes see it when this returns, and a killed process takes nothing back. That a power cut does not
        either is waited for where a trial or a study begins or ends.
        """
        text = "".join(json.dumps(log, separators=(",", ":")) + "\n" for log in logs).encode()
        with self._locked():
            cut_torn_tail(self._path)
            descriptor = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
            try:
                before = os.fstat(descriptor).st_size
                try:
                    _write_all(descriptor, text)
                except OSError:
                    os.ftruncate(descriptor, before)  # on a full disk half a line must not stay
                    raise
                if any(log.get("op_code") not in _MAY_WAIT for log in logs):
                    os.fsync(descriptor)
            finally:
                os.close(descriptor)


def _write_all(descriptor: int, data: bytes) -> None:
    while data:
        data = data[os.write(descriptor, data) :]


def torn_tail(path: Path) -> int:
    """Bytes behind the last whole line; 0 for a journal that is whole."""
    with path.open("rb") as file:
        size = end = file.seek(0, os.SEEK_END)
        while end > 0:
            start = max(0, end - _BLOCK)
            file.seek(start)
            newline = file.read(end - start).rfind(b"\n")
            if newline >= 0:
                return size - (start + newline + 1)
            end = start
        return size


def cut_torn_tail(path: Path) -> Path | None:
    """Cuts off a line that was not written to its end; only legal while holding the journal's lock.

    Returns:
        Where the piece was kept; None where there was none.
    """
    if not path.exists():
        return None
    torn = torn_tail(path)
    looks = 0
    while (
        torn and looks < _SETTLE_LOOKS
    ):  # a program that does not know our lock may be writing at this moment
        time.sleep(_SETTLE_SECONDS)
        before, torn = torn, torn_tail(path)
        looks = looks + 1 if torn == before else 0
    if not torn:
        return None
    with path.open("r+b") as file:
        whole = file.seek(0, os.SEEK_END) - torn
        file.seek(whole)
        piece = file.read()
        copy = _free_name(path)
        copy.write_bytes(piece)
        file.truncate(whole)
        file.flush()
        os.fsync(file.fileno())
    _log.warning("%s ended in half a line; it was cut off and kept in %s", path.name, copy.name)
    return copy


def _free_name(path: Path) -> Path:
    number = 1
    while (copy := path.with_name(f"{path.name}.torn-{number}")).exists():
        number += 1
    return copy
