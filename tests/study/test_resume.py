"""What survives when a run is killed in the middle."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sqlite3
import subprocess
import time
from pathlib import Path

import pytest

from study.refine.opening import read_config
from tests.models.image_files import encoded, tree, write_folder
from tests.study.command import environment, run_study, study_command

TRIALS = 6
PACKAGES = ("study", "models", "hwcost", "dashboards")


def _rows(folder: Path, query: str) -> list[tuple[object, ...]]:
    """Reads the database without Optuna, whose way of opening one makes tables where there are none yet."""
    database = folder / "runs" / "quickstart" / "study.db"
    if not database.exists():
        return []
    connection = sqlite3.connect(f"file:{database}?mode=ro", uri=True, timeout=30)
    try:
        return connection.execute(query).fetchall()
    except sqlite3.OperationalError:
        return []  # no tables yet
    finally:
        connection.close()


def _finished(folder: Path) -> dict[object, list[object]]:
    """Objective values of every finished trial by its number."""
    query = (
        "SELECT number, value FROM trials JOIN trial_values USING (trial_id) "
        "WHERE state = 'COMPLETE' ORDER BY number, objective"
    )
    found: dict[object, list[object]] = {}
    for number, value in _rows(folder, query):
        found.setdefault(number, []).append(value)
    return found


def _running(folder: Path) -> list[tuple[object, ...]]:
    return _rows(folder, "SELECT number FROM trials WHERE state = 'RUNNING'")


def _start(
    folder: Path, cache: Path, workers: int = 1, trials: int = TRIALS, *options: str
) -> subprocess.Popen[str]:
    return subprocess.Popen(
        study_command("--trials", str(trials), "--workers", str(workers), *options),
        cwd=folder, env=environment(cache), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        # A shell that started the tests in the background has them, and all below, ignore Ctrl-C.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )  # fmt: skip


def _wait_for_finished(folder: Path, process: subprocess.Popen[str], count: int) -> None:
    deadline = time.monotonic() + 240
    while len(_finished(folder)) < count:
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline, "no trial finished in four minutes"
        time.sleep(0.1)


def _children(pid: int) -> list[int]:
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            if int(fields[1]) == pid:
                found.append(int(entry.name))
    return found


def _alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def _all_gone(pids: list[int]) -> bool:
    """Whether processes end; multiprocessing's own helper does so just after the process that it served."""
    deadline = time.monotonic() + 20
    while any(map(_alive, pids)) and time.monotonic() < deadline:
        time.sleep(0.1)
    return not any(map(_alive, pids))


def test_kill_9_loses_at_most_the_trials_in_progress(tmp_path: Path, study_cache: Path) -> None:
    process = _start(tmp_path, study_cache)
    _wait_for_finished(tmp_path, process, 2)
    workers = _children(process.pid)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert _all_gone(workers), "workers outlive a parent that was killed"
    before = _finished(tmp_path)
    out = tmp_path / "runs" / "quickstart"
    config, _ = read_config(out, {}, [])  # as study.refine does, which needs no tables
    assert config.search.trials == TRIALS
    assert json.loads((out / "environment.json").read_text())["pretraining"]["warm_start"]

    again = run_study(tmp_path, study_cache, "--trials", str(TRIALS), "--workers", "1")
    assert again.returncode == 0, again.stderr
    after = _finished(tmp_path)
    assert len(after) == TRIALS
    assert {number: after[number] for number in before} == before
    assert not _running(tmp_path)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_polite_signal_writes_results_and_leaves_nothing_running(
    tmp_path: Path, study_cache: Path, number: int
) -> None:
    process = _start(tmp_path, study_cache, trials=100)  # more than are finished before the signal comes
    _wait_for_finished(tmp_path, process, 1)
    workers = _children(process.pid)
    os.kill(process.pid, number)
    _, stderr = process.communicate(timeout=60)
    assert process.returncode == 130, stderr
    assert "Traceback" not in stderr
    assert _all_gone(workers)
    assert (tmp_path / "runs" / "quickstart" / "trials.csv").exists()
    assert not _running(tmp_path)


def test_killed_workers_are_replaced(tmp_path: Path, study_cache: Path) -> None:
    """However many: only deaths in a row, without a trial that finishes between them, end a run."""
    process = _start(tmp_path, study_cache, 1, TRIALS, "--set", "search.max_failures=1")
    for finished in (1, 3):
        _wait_for_finished(tmp_path, process, finished)
        for pid in _children(process.pid):
            command = Path(f"/proc/{pid}/cmdline").read_bytes()
            if b"spawn_main" in command:
                os.kill(pid, signal.SIGKILL)
                break
    stdout, stderr = process.communicate(timeout=240)
    assert process.returncode == 0, stderr
    assert len(_finished(tmp_path)) == TRIALS
    assert stdout.count("ended by signal 9") == 2


@pytest.mark.slow
def test_another_version_of_the_code_goes_on_and_says_so(tmp_path: Path, study_cache: Path) -> None:
    # Run in a copy of the source: the folder a command is called in comes first on its path.
    for package in PACKAGES:
        shutil.copytree(Path(package), tmp_path / package, ignore=shutil.ignore_patterns("__pycache__"))
    first = run_study(tmp_path, study_cache, "--trials", "2", "--workers", "1")
    assert first.returncode == 0, first.stderr
    before = _finished(tmp_path)
    with (tmp_path / "models" / "train.py").open("a", encoding="utf-8") as source:
        source.write("# another version\n")
    again = run_study(tmp_path, study_cache, "--trials", "4", "--workers", "1")
    assert again.returncode == 0, again.stderr
    assert "another version of the training code" in again.stdout + again.stderr
    after = _finished(tmp_path)
    assert len(after) == 4
    assert {number: after[number] for number in before} == before


@pytest.mark.slow
def test_other_images_under_the_same_name_are_refused(tmp_path: Path) -> None:
    images = tmp_path / "images"
    write_folder(images, tree(per_class=40))
    options = ("--data", "images", "--workers", "1")
    first = run_study(tmp_path, tmp_path / "cache", "--trials", "1", *options)
    assert first.returncode == 0, first.stderr
    before = _finished(tmp_path)
    (images / "train" / "cat" / "0000.png").write_bytes(encoded(12345))
    again = run_study(tmp_path, tmp_path / "cache", "--trials", "3", *options)
    assert again.returncode == 2
    assert "other images" in again.stderr
    assert "Traceback" not in again.stderr
    assert _finished(tmp_path) == before
