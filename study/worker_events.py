"""What worker processes say to the one that started them, each through a pipe of its own.

One queue for all would have one lock and one stream of bytes: a process that is killed while it holds the one or is
half through a message on the other would silence all the rest for good.
"""

from __future__ import annotations

import contextlib
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from typing import Literal

from study.record import DesignRecord


@dataclass(frozen=True)
class WorkerEvent:
    """What a worker says to the process that started it.

    Attributes:
        kind: `started`, `finished`, `failed` and `lost` (others took it up) are about a trial; `ready`, `done`,
            `fatal` (it gave up with a reason) and `died` (killed from outside) about the worker.
        worker: Its index.
        trial: Its number, -1 where there is none.
        record: The result of a finished trial.
        reason: Why it failed.
    """

    kind: Literal["ready", "started", "finished", "failed", "lost", "fatal", "died", "done"]
    worker: int
    trial: int = -1
    record: DesignRecord | None = None
    reason: str = ""


@dataclass(frozen=True, eq=False)
class EventWriter:
    """The end of the pipe that a worker has.

    Attributes:
        connection: To write to.
    """

    connection: Connection

    def put(self, event: WorkerEvent) -> None:
        """Says something, whole, whatever signal comes meanwhile; says nothing where nobody listens any more.

        Only in the main thread, where Python runs the handlers of signals.
        """
        with _signals_wait(signal.SIGTERM, signal.SIGINT), contextlib.suppress(OSError):
            self.connection.send(event)


@contextlib.contextmanager
def _signals_wait(*numbers: signal.Signals) -> Iterator[None]:
    """Handlers of these signals run afterwards.

    Blocking them in this thread would not do: the kernel gives them to any other thread, and Python runs the handler
    here all the same.
    """
    came: list[int] = []
    before = {number: signal.signal(number, lambda signum, _frame: came.append(signum)) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        for signum in came:
            signal.raise_signal(signum)


class EventReaders:
    """The other ends of the pipes of many workers."""

    def __init__(self) -> None:
        self._open: list[Connection] = []

    def add(self, connection: Connection) -> None:
        """Listens to one more."""
        self._open.append(connection)

    def listen(self, timeout: float) -> list[WorkerEvent]:
        """Everything that was said, waiting for the first of it at most so many seconds."""
        if not self._open:
            time.sleep(min(timeout, 0.05))
            return []
        ready = wait(self._open, timeout)
        return [
            event for connection in self._open[:] if connection in ready for event in self._read(connection)
        ]

    def _read(self, connection: Connection) -> Iterator[WorkerEvent]:
        try:
            while connection.poll():
                yield connection.recv()
        except (EOFError, OSError):
            # Its process has ended, perhaps half through a message.
            connection.close()
            self._open.remove(connection)
