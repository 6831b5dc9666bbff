from __future__ import annotations

import json
import multiprocessing
import os
import signal
import threading
import time
from pathlib import Path

import optuna
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from optuna.storages.journal import JournalFileOpenLock

from hwcost.errors import OfframpError
from study.storage import open_storage
from study.storage.journal import KernelLock, MendingJournal, cut_torn_tail, journal_lock, torn_tail
from tests.study.process_targets import hold_journal_lock

SPAWN = multiprocessing.get_context("spawn")


def journal(path: Path) -> MendingJournal:
    return MendingJournal(path, KernelLock(path))


def lines(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_what_was_appended_is_read(tmp_path):
    path = tmp_path / "study.log"
    one = journal(path)
    one.append_logs([{"n": 1}, {"n": 2}])
    journal(path).append_logs([{"n": 3}])
    assert list(one.read_logs(0)) == [{"n": 1}, {"n": 2}, {"n": 3}]
    assert list(one.read_logs(2)) == [{"n": 3}]


@given(st.lists(st.binary(max_size=30), max_size=6), st.binary(max_size=40))
@settings(deadline=None, max_examples=25)
def test_the_torn_tail_is_what_follows_the_last_newline(tmp_path_factory, whole, tail):
    path = tmp_path_factory.mktemp("journal") / "study.log"
    content = b"".join(line.replace(b"\n", b"") + b"\n" for line in whole)
    tail = tail.replace(b"\n", b"")
    path.write_bytes(content + tail)
    assert torn_tail(path) == len(tail)
    copy = cut_torn_tail(path)
    assert path.read_bytes() == content
    assert (copy is None) == (not tail)
    if copy is not None:
        assert copy.read_bytes() == tail


def test_a_tail_longer_than_a_block_is_found(tmp_path):
    path = tmp_path / "study.log"
    path.write_bytes(b"{}\n" + b"x" * 200_000)
    assert torn_tail(path) == 200_000


@pytest.mark.parametrize("keep", [1, 10, 40])
def test_a_study_goes_on_behind_a_line_that_was_cut_off(tmp_path, keep):
    """Whoever has it open and whoever opens it later: nothing is lost but the piece, which is kept."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    path = tmp_path / "study.log"
    url = f"journal:///{path}"
    study = optuna.create_study(storage=open_storage(url), study_name="s")
    study.tell(study.ask(), 1.0)
    with path.open("ab") as file:  # kill -9 in the middle of a write
        file.write(path.read_bytes().splitlines()[-1][:keep])
    study.tell(study.ask(), 2.0)
    again = optuna.load_study(storage=open_storage(url), study_name="s")
    assert [t.value for t in again.trials] == [1.0, 2.0]
    assert (tmp_path / "study.log.torn-1").stat().st_size == keep
    assert all(isinstance(line, dict) for line in lines(path))
    with path.open("ab") as file:
        file.write(b'{"op_code"')
    assert len(optuna.load_study(storage=open_storage(url), study_name="s").trials) == 2
    assert (tmp_path / "study.log.torn-2").read_bytes() == b'{"op_code"'


def test_a_full_disk_leaves_no_half_line(small_disk):
    path = small_disk / "study.log"
    one = journal(path)
    one.append_logs([{"n": 1}])
    with pytest.raises(OSError, match="No space left"):
        one.append_logs([{"n": "x" * 5_000_000}])
    assert list(one.read_logs(0)) == [{"n": 1}]
    assert torn_tail(path) == 0
    one.append_logs([{"n": 2}])  # there is room again
    assert list(journal(path).read_logs(0)) == [{"n": 1}, {"n": 2}]


def test_the_disk_is_waited_for_where_a_trial_ends_and_not_for_each_attribute(tmp_path, monkeypatch):
    path = tmp_path / "study.log"
    safe = []
    wait = os.fsync

    def watched(descriptor):
        wait(descriptor)
        safe.append(os.fstat(descriptor).st_size)

    monkeypatch.setattr(os, "fsync", watched)
    study = optuna.create_study(storage=open_storage(f"journal:///{path}"), study_name="s")
    study.set_user_attr("reference", 1)
    assert safe[-1] == path.stat().st_size
    trial = study.ask()
    begun = safe[-1]
    trial.set_user_attr("result", [1, 2, 3])
    trial.set_constraint("memory", -1.0)
    assert safe[-1] == begun < path.stat().st_size
    study.tell(trial, 1.0)
    assert safe[-1] == path.stat().st_size


def test_the_lock_of_a_killed_process_is_free_at_once(tmp_path):
    path = tmp_path / "study.log"
    held = SPAWN.Event()
    process = SPAWN.Process(target=hold_journal_lock, args=(str(path), held))
    process.start()
    assert held.wait(60)
    lock = KernelLock(path)
    taken = []

    def take() -> None:
        lock.acquire()
        taken.append(time.monotonic())
        lock.release()

    waiting = threading.Thread(target=take)
    waiting.start()
    time.sleep(0.3)
    assert not taken  # it excludes
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    killed = time.monotonic()
    waiting.join(20)
    assert taken
    assert taken[0] - killed < 10  # and not the half minute of a lock file


def test_file_systems_without_kernel_locks_get_a_lock_file(tmp_path):
    path = tmp_path / "study.log"
    assert isinstance(journal_lock(path, "kernel"), KernelLock)
    assert isinstance(journal_lock(path, "link"), JournalFileOpenLock)
    url = f"journal:///{path}?lock=link"
    optuna.create_study(storage=open_storage(url), study_name="s")
    assert optuna.get_all_study_names(open_storage(url)) == ["s"]


@pytest.mark.parametrize(
    "url",
    ["journal://", "journal://host/file", "journal:///f?lock=none", "journal:///f?mode=x", "grpc://host"],
)
def test_a_url_that_says_too_little_or_too_much_is_refused(url):
    with pytest.raises(OfframpError, match=r"expected .*got '(journal|grpc):"):
        open_storage(url)
