"""Results that an interrupted benchmark finds again."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.kept_results import kept, kept_by_commit


class Counted:
    """Work that says how often it was done."""

    def __init__(self) -> None:
        self.times = 0

    def __call__(self) -> dict[str, int]:
        self.times += 1
        return {"time": self.times}


def test_what_is_known_is_not_done_again(tmp_path: Path) -> None:
    work = Counted()
    assert kept(tmp_path / "made", {"a": 1}, work) == {"time": 1}
    assert kept(tmp_path / "made", {"a": 1}, work) == {"time": 1}
    assert kept(tmp_path / "made", {"a": 2}, work) == {"time": 2}
    (file, _) = sorted((tmp_path / "made").iterdir(), key=lambda path: path.stat().st_mtime_ns)
    file.write_text('{"time": ')  # as a full disk leaves it
    assert kept(tmp_path / "made", {"a": 1}, work) == {"time": 3}


def test_a_commit_knows_its_own_results_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    work = Counted()
    times = []
    for code in ("one", "one", "two", "one", "one-dirty", "one-dirty", None, None):
        monkeypatch.setattr("benchmarks.kept_results.commit", lambda code=code: code)
        times.append(kept_by_commit(tmp_path, {}, work)["time"])
    assert times == [1, 1, 2, 1, 3, 4, 5, 6]
