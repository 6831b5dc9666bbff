from __future__ import annotations

import subprocess
import sys
import time

import study.processes
from study.processes import ProcessGroup
from study.worker_events import WorkerEvent
from tests.study.process_targets import say_and_end, wait_for_signal
from tests.study.processes import is_running


def test_everything_said_arrives_and_deaths_are_told_apart():
    group = ProcessGroup()
    for index, how in enumerate(("well", "killed", "status")):
        group.start(index, say_and_end, index, how)
    events = list(group.events())
    for index in range(3):
        said = [e for e in events if e.worker == index]
        assert said[0] == WorkerEvent("started", index, 10 + index)
        assert len(said) == 2
    last = {e.worker: e for e in events if e.kind != "started"}
    assert last[0] == WorkerEvent("done", 0)
    assert last[1] == WorkerEvent("died", 1, reason="signal 9")
    assert last[2] == WorkerEvent("died", 2, reason="status 3")
    assert list(group.events()) == []  # nobody is left
    assert group.stop() == []


def test_one_that_is_killed_in_a_word_does_not_silence_the_others():
    group = ProcessGroup()
    for index, how in enumerate(("in a word", "well", "in a word", "well")):
        group.start(index, say_and_end, index, how)
    events = list(group.events())
    assert [e.kind for e in events if e.worker in (1, 3)].count("done") == 2
    assert sorted(e.worker for e in events if e.kind == "started") == [0, 1, 2, 3]
    assert sorted(e.worker for e in events if e.kind == "died") == [0, 2]


def test_stop_ends_all_and_keeps_what_they_said(monkeypatch):
    monkeypatch.setattr(study.processes, "_STOP_SECONDS", 1.0)
    group = ProcessGroup()
    group.start(0, wait_for_signal, 0, False)
    group.start(1, wait_for_signal, 1, True)
    ready = set()
    for event in group.events():
        assert event.kind == "ready"
        ready.add(event.worker)
        if ready == {0, 1}:
            break
    processes = list(group._processes.values())
    start = time.monotonic()
    assert group.stop() == [WorkerEvent("done", 0)]
    assert time.monotonic() - start < 20
    assert [p.exitcode for p in processes] == [0, -9]  # one listened, the other had to be killed


def test_workers_are_spawned_not_forked():
    assert ProcessGroup().context.get_start_method() == "spawn"


def test_a_process_ends_when_its_parent_is_killed(tmp_path):
    """A parent that dies by kill -9 cannot stop anybody."""
    child = (
        "import os, time, sys; from study.processes import follow_parent; follow_parent();"
        f"open({str(tmp_path / 'pid')!r}, 'w').write(str(os.getpid())); time.sleep(60)"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", f"import subprocess, sys; subprocess.run([sys.executable, '-c', {child!r}])"]
    )
    deadline = time.monotonic() + 60
    while not ((tmp_path / "pid").exists() and (tmp_path / "pid").read_text()):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    pid = int((tmp_path / "pid").read_text())
    parent.kill()
    parent.wait()
    while is_running(pid):
        assert time.monotonic() < deadline, "the worker outlived its parent"
        time.sleep(0.05)


def test_a_process_ends_whose_parent_was_gone_before_it_looked():
    """It has another parent by then: the one that takes in orphans."""
    child = (
        "import multiprocessing, time, types\n"
        "multiprocessing.parent_process = lambda: types.SimpleNamespace(pid=2**22 + 1)\n"
        "from study.processes import follow_parent\n"
        "follow_parent(); time.sleep(60)"
    )
    assert subprocess.run([sys.executable, "-c", child], timeout=50, check=False).returncode == 1


def test_signals_do_not_interrupt_the_stopping():
    code = (
        "import os, signal\n"
        "from study.processes import stopping_undisturbed\n"
        "with stopping_undisturbed():\n"
        "    os.kill(os.getpid(), signal.SIGTERM); os.kill(os.getpid(), signal.SIGINT)\n"
        "print('undisturbed', flush=True)\n"
        "os.kill(os.getpid(), signal.SIGTERM)\n"
        "print('not reached')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.stdout, done.returncode) == ("undisturbed\n", -15)
