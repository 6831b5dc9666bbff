"""What the benchmarks share."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from benchmarks import accuracy, time_to_front
from benchmarks.harness import write_json


@pytest.mark.parametrize("command", [accuracy, time_to_front])
def test_bad_input_is_one_line_and_a_status(
    command: object, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["benchmark", "--data", "nowhere.zip"])
    with pytest.raises(SystemExit) as ended:
        command.main()  # type: ignore[attr-defined]
    assert ended.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: expected ")
    assert "nowhere.zip" in line


def test_figures_are_not_lost_for_want_of_a_folder(tmp_path: Path) -> None:
    write_json(tmp_path / "new" / "figures.json", {"n": 1})
    assert (tmp_path / "new" / "figures.json").read_text() == '{\n "n": 1\n}\n'
