"""Work in this process and in others: the same results in the same order, whatever happens to a process."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import pytest

from study.side_by_side import in_order
from tests.study.processes import is_running, wait_for


def _square_and_place(number: int) -> tuple[int, int]:
    return number * number, os.getpid()


def _square_but_kill(parent: int, mark: Path, number: int) -> int:
    """Kills its process once, unless that is the one that gave out the work."""
    if number == 3 and os.getpid() != parent and not mark.exists():
        mark.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return number * number


def _refuse(number: int) -> int:
    if number == 4:
        raise ValueError("four")
    return number


def test_processes_give_what_one_gives() -> None:
    here = in_order(_square_and_place, range(40), 1)
    there = in_order(_square_and_place, range(40), 2, look_seconds=0, worth_processes=0)
    assert [square for square, _ in here] == [square for square, _ in there] == [n * n for n in range(40)]
    assert {pid for _, pid in here} == {os.getpid()}
    assert there[0][1] == os.getpid()  # what was done to look how long it takes is not done again
    assert len({pid for _, pid in there[1:]} - {os.getpid()}) in (1, 2)


@pytest.mark.parametrize("workers", [1, 8])
def test_quick_work_needs_no_process(workers: int) -> None:
    found = in_order(_square_and_place, range(100), workers, look_seconds=0, worth_processes=60)
    assert {pid for _, pid in found} == {os.getpid()}


def test_nothing_to_do() -> None:
    assert in_order(_square_and_place, [], 4, look_seconds=0, worth_processes=0) == []


def test_a_killed_process_costs_nothing_but_time(tmp_path: Path) -> None:
    mark = tmp_path / "killed"
    work = partial(_square_but_kill, os.getpid(), mark)
    assert in_order(work, range(6), 2, look_seconds=0, worth_processes=0) == [n * n for n in range(6)]
    assert mark.exists()


def test_what_the_work_refuses_is_refused() -> None:
    with pytest.raises(ValueError, match="four"):
        in_order(_refuse, range(6), 2, look_seconds=0, worth_processes=0)


def _say_and_sleep(folder: Path, number: int) -> int:
    (folder / str(os.getpid())).touch()
    time.sleep(0.0 if number == 0 else 60.0)
    return number


def test_processes_end_with_the_one_that_started_them(tmp_path: Path) -> None:
    """kill -9 of it: nobody else would ever end them."""
    program = (
        "import sys; from pathlib import Path; from functools import partial\n"
        "from study.side_by_side import in_order; from tests.study.test_side_by_side import _say_and_sleep\n"
        "if __name__ == '__main__':\n"
        "    work = partial(_say_and_sleep, Path(sys.argv[1]))\n"
        "    in_order(work, range(5), 2, look_seconds=0, worth_processes=0)\n"
    )
    parent = subprocess.Popen([sys.executable, "-c", program, str(tmp_path)], cwd=Path(__file__).parents[2])
    try:
        wait_for(lambda: len(list(tmp_path.iterdir())) == 3)
    finally:
        parent.kill()
        parent.wait()
    children = {int(mark.name) for mark in tmp_path.iterdir()} - {parent.pid}
    assert len(children) == 2
    wait_for(lambda: not any(is_running(pid) for pid in children))
