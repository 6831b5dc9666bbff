"""Processes of one machine take turns in thinking of proposals: as many think at once as there are cores.

Workers whose trials take equally long come back together. Sharing the cores they would all be done late, and together
again; one after the other the first is done early, and from then on they come one by one. What waits for its turn
sees the proposals that were made meanwhile, too. Turns save time and nothing depends on them: where there can be no
lock, or a turn does not come, a process goes on without.
"""

from __future__ import annotations

import hashlib
import os
import platform
import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

_POLL_SECONDS = 0.01
_LONGEST_SECONDS = 30.0


class Turns:
    """As many turns at once as there are locks.

    Args:
        locks: Files, made where they are missing; their folder too.
        longest: Seconds after which a process no longer waits.
        sleep: Waits so many seconds.
    """

    def __init__(
        self,
        locks: list[Path],
        longest: float = _LONGEST_SECONDS,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._locks = [FileLock(path) for path in locks]
        self._longest, self._sleep = longest, sleep

    @classmethod
    def of_this_machine(cls, folder: Path) -> Turns:
        """One turn a core this process may run on, shared with all processes that may run on the same ones.

        Args:
            folder: Of the locks; it may be seen by several machines.
        """
        cores = sorted(os.sched_getaffinity(0))
        name = hashlib.sha256(f"{platform.node()} {cores}".encode()).hexdigest()[:16]
        return cls([folder / f"{name}-{slot}.lock" for slot in range(len(cores))])

    @contextmanager
    def __call__(self) -> Iterator[bool]:
        """A turn; tells whether it was waited for."""
        end, waited = time.monotonic() + self._longest, False
        while (lock := self._free()) is None and self._locks and time.monotonic() < end:
            waited = True
            self._sleep(random.uniform(0.5, 1.0) * _POLL_SECONDS)
        try:
            yield waited
        finally:
            if lock is not None:
                lock.release()

    def _free(self) -> FileLock | None:
        for lock in self._locks:
            try:
                lock.acquire(blocking=False)
            except Timeout:
                continue
            except (OSError, NotImplementedError):  # a full or read-only disk, a file system without locks
                self._locks = []
                return None
            return lock
        return None
