"""Processes take turns: never more at once than there are locks, and nobody is held up for good."""

from __future__ import annotations

import multiprocessing
import os
import platform
import signal
import time
from multiprocessing.synchronize import Event
from pathlib import Path

import pytest

from study.turns import Turns


def take_turns(locks: list[Path], times: Path, count: int) -> None:
    """Writes when each of so many turns began and ended."""
    turns, lines = Turns(locks), []
    for _ in range(count):
        with turns():
            begin = time.monotonic()
            time.sleep(0.02)
            lines.append(f"{begin} {time.monotonic()}")
    times.write_text("\n".join(lines))


def hold_a_turn(lock: Path, held: Event) -> None:
    """Takes a turn and keeps it until it is killed."""
    with Turns([lock])():
        held.set()
        time.sleep(600)


def most_at_once(spans: list[tuple[float, float]]) -> int:
    return max(sum(begin <= at < end for begin, end in spans) for at, _ in spans)


@pytest.mark.parametrize("slots", [1, 2])
def test_no_more_processes_think_at_once_than_there_are_locks(slots, tmp_path):
    locks = [tmp_path / "missing" / f"{slot}.lock" for slot in range(slots)]
    context = multiprocessing.get_context("spawn")
    files = [tmp_path / f"{i}.txt" for i in range(4)]
    processes = [context.Process(target=take_turns, args=(locks, file, 10)) for file in files]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
        assert process.exitcode == 0
    lines = [line.split() for file in files for line in file.read_text().splitlines()]
    spans = [(float(begin), float(end)) for begin, end in lines]
    assert len(spans) == 40
    assert most_at_once(spans) <= slots


def test_who_waited_is_told_so(tmp_path):
    mine, other = Turns([tmp_path / "a.lock"]), Turns([tmp_path / "a.lock"])
    with mine() as waited:
        assert not waited
        naps: list[float] = []
        impatient = Turns(
            [tmp_path / "a.lock"], longest=0.05, sleep=lambda s: naps.append(s) or time.sleep(s)
        )
        with impatient() as waited:  # goes on without a turn
            assert waited
            assert naps
    with other() as waited:
        assert not waited


def test_a_turn_is_free_again_when_its_process_is_killed(tmp_path):
    context = multiprocessing.get_context("spawn")
    held = context.Event()
    process = context.Process(target=hold_a_turn, args=(tmp_path / "a.lock", held))
    process.start()
    assert held.wait(60)
    busy = Turns([tmp_path / "a.lock"], longest=0.0)
    assert busy._free() is None
    os.kill(process.pid, signal.SIGKILL)
    process.join(60)
    with Turns([tmp_path / "a.lock"], longest=600)() as waited:
        assert not waited


def test_where_no_lock_can_be_made_there_are_no_turns(tmp_path):
    blocked = tmp_path / "a file"
    blocked.write_text("")
    with Turns([blocked / "a.lock"])() as waited:
        assert not waited
    with Turns([])() as waited:
        assert not waited


def test_processes_of_the_same_cores_share_a_turn_a_core_and_others_do_not(tmp_path, monkeypatch):
    def files(cores: set[int], machine: str = "one") -> set[str]:
        monkeypatch.setattr(os, "sched_getaffinity", lambda _: cores)
        monkeypatch.setattr(platform, "node", lambda: machine)
        return {lock.lock_file for lock in Turns.of_this_machine(tmp_path)._locks}

    assert len(files({0, 1, 5})) == 3
    assert files({0, 1, 5}) == files({5, 1, 0})
    assert not files({0, 1}) & files({2, 3})  # a task of a cluster that has cores of its own
    assert not files({0, 1}) & files({0, 1}, "another")  # that sees the same folder
