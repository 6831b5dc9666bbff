from __future__ import annotations

import multiprocessing
import os
import signal
import time
from typing import Any

import pytest

from study.worker_events import EventReaders, EventWriter, WorkerEvent

SPAWN = multiprocessing.get_context("spawn")


def pipe(readers: EventReaders) -> EventWriter:
    reader, writer = SPAWN.Pipe(duplex=False)
    readers.add(reader)
    return EventWriter(writer)


def test_all_that_is_there_arrives_in_order_and_only_the_first_is_waited_for() -> None:
    readers = EventReaders()
    writers = [pipe(readers), pipe(readers)]
    start = time.monotonic()
    assert readers.listen(0.1) == []
    assert time.monotonic() - start < 5
    for number in range(5):
        writers[number % 2].put(WorkerEvent("started", number % 2, number))
    said = readers.listen(5)
    assert [event.trial for event in said if event.worker == 0] == [0, 2, 4]
    assert [event.trial for event in said if event.worker == 1] == [1, 3]


def test_a_pipe_that_ends_is_no_longer_listened_to() -> None:
    readers = EventReaders()
    one, other = pipe(readers), pipe(readers)
    one.put(WorkerEvent("done", 0))
    one.connection.close()
    other.put(WorkerEvent("ready", 1))
    assert readers.listen(5) == [WorkerEvent("done", 0), WorkerEvent("ready", 1)]
    other.connection.close()
    readers.listen(5)
    assert readers.listen(0.01) == []


def test_nobody_who_listens_is_no_error() -> None:
    reader, writer = SPAWN.Pipe(duplex=False)
    reader.close()
    EventWriter(writer).put(WorkerEvent("done", 0))


def test_a_signal_waits_until_all_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    readers = EventReaders()
    writer = pipe(readers)
    send = writer.connection.send

    def send_and_be_told_to_stop(event: Any) -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        send(event)

    def stop(signum: int, frame: Any) -> None:
        raise InterruptedError

    monkeypatch.setattr(writer.connection, "send", send_and_be_told_to_stop)
    before = signal.signal(signal.SIGTERM, stop)
    try:
        with pytest.raises(InterruptedError):
            writer.put(WorkerEvent("done", 0))
    finally:
        signal.signal(signal.SIGTERM, before)
    assert readers.listen(5) == [WorkerEvent("done", 0)]


@pytest.mark.parametrize("kind", ["ready", "fatal"])
def test_an_event_needs_neither_trial_nor_record(kind):
    assert (WorkerEvent(kind, 1).trial, WorkerEvent(kind, 1).record, WorkerEvent(kind, 1).reason) == (
        -1,
        None,
        "",
    )
