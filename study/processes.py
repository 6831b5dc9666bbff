"""Processes of one run: started together, listened to, and stopped without leaving anything behind."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.process import BaseProcess
from typing import Any

from study.worker_events import EventReaders, EventWriter, WorkerEvent

_POLL_SECONDS = 0.5
_STOP_SECONDS = 30.0
_PARENT_POLL_SECONDS = 1.0


@contextmanager
def interrupts_ignored() -> Iterator[None]:
    """For starting processes, which inherit it.

    Ctrl-C reaches the whole group. The parent decides what to do; a child that is still importing must not die with a
    traceback.
    """
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


@contextmanager
def stopping_undisturbed() -> Iterator[None]:
    """For putting trials aside: a second Ctrl-C or SIGTERM must not interrupt that."""
    before = {number: signal.signal(number, signal.SIG_IGN) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def follow_parent() -> None:
    """Ends this process when its parent is gone: after kill -9 nobody would ever stop it."""
    spawner = multiprocessing.parent_process()
    # Asked of the kernel alone, a parent that died before this line would be the one that takes in orphans.
    parent = os.getppid() if spawner is None else spawner.pid

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(_PARENT_POLL_SECONDS)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


class ProcessGroup:
    """Worker processes and what they report.

    They are spawned, not forked: a forked child of a process with running threads (PyTorch, sqlite) may hang.
    """

    def __init__(self) -> None:
        self.context = multiprocessing.get_context("spawn")
        self._readers = EventReaders()
        self._processes: dict[int, BaseProcess] = {}

    def start(self, index: int, target: Callable[..., None], *arguments: Any) -> None:
        """Starts a process; an `EventWriter` becomes the last argument of its target."""
        reader, writer = self.context.Pipe(duplex=False)
        process = self.context.Process(
            target=target, args=(*arguments, EventWriter(writer)), name=f"offramp-{index}", daemon=True
        )
        try:
            with interrupts_ignored():
                process.start()
        finally:
            writer.close()  # the process has one of its own; the pipe ends with that
        self._readers.add(reader)
        self._processes[index] = process

    def events(self, meanwhile: Callable[[], None] = lambda: None) -> Iterator[WorkerEvent]:
        """What the processes say, until all have ended.

        A process that ends without a word (killed from outside, out of memory) is reported as `died`.

        Args:
            meanwhile: Called every half second or so.
        """
        while self._processes:
            said = self._readers.listen(_POLL_SECONDS)
            meanwhile()
            yield from said
            if said:
                continue
            for index, process in list(self._processes.items()):
                if process.is_alive():
                    continue
                process.join()
                # Its last words may have arrived between the look into the pipes and now.
                yield from self._readers.listen(0.05)
                del self._processes[index]
                if process.exitcode:
                    how = (
                        f"signal {-process.exitcode}"
                        if process.exitcode < 0
                        else f"status {process.exitcode}"
                    )
                    yield WorkerEvent("died", index, reason=how)

    def stop(self) -> list[WorkerEvent]:
        """Asks every process to put its trial aside, waits, and ends by force what does not listen.

        Returns:
            What they still said.
        """
        for process in self._processes.values():
            process.terminate()
        said: list[WorkerEvent] = []
        for process in self._processes.values():
            deadline = time.monotonic() + _STOP_SECONDS
            while process.is_alive() and time.monotonic() < deadline:
                said += self._readers.listen(_POLL_SECONDS)  # a full pipe would keep the process from ending
            if process.is_alive():
                process.kill()
            process.join()
        self._processes.clear()
        return said + self._readers.listen(0.05)
