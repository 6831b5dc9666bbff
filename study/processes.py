"""Processes of one run: started together, listened to, and stopped without leaving anything behind."""

from __future__ import annotations

import multiprocessing
import signal
from collections.abc import Callable, Iterator
from multiprocessing.process import BaseProcess
from typing import Any

from study.worker import WorkerEvent, drain

_POLL_SECONDS = 0.5
_STOP_SECONDS = 30.0


class ProcessGroup:
    """Worker processes that report through one queue.

    They are spawned, not forked: a forked child of a process with running threads (PyTorch, sqlite) may hang.
    """

    def __init__(self) -> None:
        self.context = multiprocessing.get_context("spawn")
        self._queue: Any = self.context.Queue()
        self._processes: dict[int, BaseProcess] = {}

    def start(self, index: int, target: Callable[..., None], *arguments: Any) -> None:
        """Starts a process; the queue becomes the last argument of its target."""
        process = self.context.Process(
            target=target, args=(*arguments, self._queue), name=f"offramp-{index}", daemon=True
        )
        # Ctrl-C reaches the whole group. The parent decides what to do; a child that is still importing must not
        # die with a traceback, and it inherits the signal as ignored.
        before = signal.signal(signal.SIGINT, signal.SIG_IGN)
        try:
            process.start()
        finally:
            signal.signal(signal.SIGINT, before)
        self._processes[index] = process

    def events(self, meanwhile: Callable[[], None] = lambda: None) -> Iterator[WorkerEvent]:
        """What the processes say, until all have ended.

        A process that ends without a word (killed from outside, out of memory) is reported as `died`.

        Args:
            meanwhile: Called every half second or so.
        """
        while self._processes:
            said = drain(self._queue, _POLL_SECONDS)
            meanwhile()
            yield from said
            if said:
                continue
            for index, process in list(self._processes.items()):
                if process.is_alive():
                    continue
                process.join()
                # Its last words may have arrived between the look into the queue and now.
                yield from drain(self._queue, 0.05)
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
            waited = 0.0
            while process.is_alive() and waited < _STOP_SECONDS:
                said += drain(self._queue, _POLL_SECONDS)  # a full pipe would keep the process from ending
                waited += _POLL_SECONDS
            if process.is_alive():
                process.kill()
            process.join()
        self._processes.clear()
        return said + drain(self._queue, 0.05)
