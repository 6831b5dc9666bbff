"""What survives when a run is killed in the middle."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path

import optuna
import pytest
from optuna.trial import TrialState

from tests.study.command import environment, run_study, study_command

TRIALS = 7


def _finished(folder: Path) -> list[optuna.trial.FrozenTrial]:
    database = folder / "runs" / "quickstart" / "study.db"
    if not database.exists():
        return []
    try:
        study = optuna.load_study(study_name="quickstart", storage=f"sqlite:///{database}")
    except KeyError:
        return []
    return [t for t in study.get_trials(deepcopy=False) if t.state == TrialState.COMPLETE]


def _start(folder: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        study_command("--trials", str(TRIALS), "--workers", "2"),
        cwd=folder, env=environment(folder / "cache"), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
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


def test_kill_9_loses_at_most_the_trials_in_progress(tmp_path: Path) -> None:
    process = _start(tmp_path)
    _wait_for_finished(tmp_path, process, 2)
    workers = _children(process.pid)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    deadline = time.monotonic() + 20
    while any(map(_alive, workers)) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not any(map(_alive, workers)), "workers outlive a parent that was killed"
    before = {t.number: t.values for t in _finished(tmp_path)}

    again = run_study(tmp_path, tmp_path / "cache", "--trials", str(TRIALS))
    assert again.returncode == 0, again.stderr
    after = {t.number: t.values for t in _finished(tmp_path)}
    assert len(after) == TRIALS
    assert {number: after[number] for number in before} == before
    study = optuna.load_study(
        study_name="quickstart", storage=f"sqlite:///{tmp_path}/runs/quickstart/study.db"
    )
    assert not study.get_trials(states=(TrialState.RUNNING,))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_polite_signal_writes_results_and_leaves_nothing_running(tmp_path: Path, number: int) -> None:
    process = _start(tmp_path)
    _wait_for_finished(tmp_path, process, 1)
    workers = _children(process.pid)
    os.kill(process.pid, number)
    _, stderr = process.communicate(timeout=60)
    assert process.returncode == 130, stderr
    assert "Traceback" not in stderr
    assert not any(map(_alive, workers))
    assert (tmp_path / "runs" / "quickstart" / "trials.csv").exists()
    study = optuna.load_study(
        study_name="quickstart", storage=f"sqlite:///{tmp_path}/runs/quickstart/study.db"
    )
    assert not study.get_trials(states=(TrialState.RUNNING,))


def test_a_killed_worker_is_replaced(tmp_path: Path) -> None:
    process = _start(tmp_path)
    _wait_for_finished(tmp_path, process, 1)
    for pid in _children(process.pid):
        command = Path(f"/proc/{pid}/cmdline").read_bytes()
        if b"spawn_main" in command:
            os.kill(pid, signal.SIGKILL)
            break
    stdout, stderr = process.communicate(timeout=240)
    assert process.returncode == 0, stderr
    assert len(_finished(tmp_path)) == TRIALS
    assert "ended by signal 9" in stdout
