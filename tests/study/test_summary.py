from __future__ import annotations

import io
import shlex
import sys
from pathlib import Path

import pandas as pd
import pytest
from rich.console import Console

from study.metrics import Objectives
from study.summary import front_table, print_next_steps, program


@pytest.fixture
def environment(tmp_path, monkeypatch):
    """An environment in the current folder, as `make study` makes one, that nobody has activated."""
    programs = tmp_path / ".venv" / "bin"
    programs.mkdir(parents=True)
    for name in ("python", "optuna-dashboard"):
        (programs / name).touch(mode=0o755)
    monkeypatch.setattr(sys, "executable", str(programs / "python"))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", "/usr/bin")
    return programs


def test_programs_outside_the_path_are_called_by_their_place(environment, tmp_path, monkeypatch):
    assert program("optuna-dashboard") == ".venv/bin/optuna-dashboard"
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert program("python") == str(environment / "python")


def test_programs_of_an_activated_environment_are_called_by_name(environment, monkeypatch):
    monkeypatch.setenv("PATH", f"{environment}:/usr/bin")
    assert program("optuna-dashboard") == "optuna-dashboard"


def test_a_program_installed_somewhere_else_is_left_to_the_path(environment):
    (environment / "optuna-dashboard").unlink()
    assert program("optuna-dashboard") == "optuna-dashboard"


def test_the_commands_can_be_copied(environment):
    console = Console(file=io.StringIO(), width=40)
    print_next_steps(console, "runs/my study", "sqlite:///runs/my study/study.db")
    report, figures, dashboard = console.file.getvalue().splitlines()[2:5]
    assert shlex.split(report)[1:5] == [".venv/bin/python", "-m", "dashboards.report", "runs/my study"]
    assert shlex.split(figures)[1:5] == [".venv/bin/python", "-m", "dashboards.figures", "runs/my study"]
    assert shlex.split(dashboard)[1:] == [
        ".venv/bin/python", "-m", "dashboards.serve", "--storage", "sqlite:///runs/my study/study.db",
        "--run", "runs/my study",
    ]  # fmt: skip
    assert Path(report.split("written: ")[1].removesuffix(")")) == Path("runs/my study/report.html")


@pytest.mark.parametrize("level", ["[low]", "[/x]", "[bold]low", "low"])
def test_a_level_is_shown_by_its_name_whatever_that_is(level):
    static = {
        "accuracy": 0.9, "accuracy_drop": 0.0, "mean_latency_seconds": 2e-5, "mean_energy_pj": 2e6,
        "edp_relative": 1.0, "exits": "", "heads": "fc", "weight_bits": "8 8", "activation_bits": "8 8",
        "pe_arrays": "4x4", "level": "high",
    }  # fmt: skip
    found = static | {
        "design": "0123456789ab",
        "level": level,
        "headline": True,
        "exits": "0",
        "heads": "gap fc",
    }
    objectives = Objectives.named(("error", "mean_latency", "mean_energy"), seconds=True)
    console = Console(file=io.StringIO(), width=160)
    console.print(front_table(pd.DataFrame([found]), static | {"best_static": static}, objectives, 160))
    (row,) = [line for line in console.file.getvalue().splitlines() if "01234567" in line]
    assert f" {level} " in row
    assert "0:gap K:fc" in row
