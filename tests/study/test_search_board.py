from __future__ import annotations

import io
import math
from types import SimpleNamespace

import pytest
from rich.console import Console

from study.front import headline_front, hypervolume
from study.hardware import StaticCost
from study.metrics import Objectives
from study.progress import StageProgress
from study.reference import StaticReference
from study.search_board import MOST_ROWS, SearchBoard
from tests.study.spaces import record

OBJECTIVES = Objectives.named(("error", "mean_latency", "mean_energy"))
STATIC = StaticCost(latency_cycles=100.0, energy_pj=1000.0, weight_memory_bits=8, clock_hz=1.0)


def board(terminal: bool, wanted: int = 20, seconds: float = 30.0):
    """A board on a console, with a clock that goes on by so many seconds each time it is read."""
    console = Console(
        file=io.StringIO(),
        force_terminal=terminal,
        width=110,
        height=40,
        color_system=None,
        legacy_windows=False,
    )
    ticks = (seconds * step for step in range(10_000))
    context = SimpleNamespace(
        hardware=SimpleNamespace(static=STATIC),
        data=SimpleNamespace(classes=10),
        evaluator=SimpleNamespace(objectives=OBJECTIVES),
    )
    static = record(0.8)
    reference = StaticReference(static, "alone", 0.8, 0.8, static)
    progress = StageProgress(console)
    return console, progress, SearchBoard(progress, context, reference, wanted, clock=lambda: next(ticks))


RECORDS = [
    record(0.7, 60.0, 500.0),
    record(0.9, 90.0, 900.0),
    record(0.6, 95.0, 990.0),
    record(0.95, feasible=False),
]


def test_a_log_says_front_hypervolume_and_rate_in_plain_lines():
    console, _, shown = board(terminal=False, wanted=3)
    for count in range(4):
        shown.show(RECORDS[:count])
    lines = console.file.getvalue().splitlines()
    assert lines[0].startswith("trials: 0/3 0 feasible, front 0, hypervolume 0.000, ")
    # One more trial every 30 seconds.
    volume = hypervolume(RECORDS[:3], OBJECTIVES, STATIC, 10)
    assert lines[-1].startswith(f"trials: 3/3 3 feasible, front 2, hypervolume {volume:.3f}, 120/h")
    assert "\x1b" not in console.file.getvalue()
    assert "▁" not in console.file.getvalue()


def test_the_rate_counts_what_this_run_has_finished():
    _, _, shown = board(terminal=False)
    assert shown._per_hour(10) is None
    assert shown._per_hour(10) is None
    assert shown._per_hour(13) == pytest.approx(3 * 3600 / 60)


def test_a_terminal_shows_the_front_under_the_bars():
    console, progress, shown = board(terminal=True)
    with progress.shown():
        for count in range(5):
            shown.show(RECORDS[:count])
    screen = console.file.getvalue()
    assert "4/20" in screen
    for index in headline_front(RECORDS):
        assert f"{RECORDS[index].accuracy:.2%}" in screen
    assert "80.00%" in screen  # the static reference
    assert "hypervolume ▁" in screen
    assert "█" in screen
    assert "60.00%" not in screen  # dominated


def test_a_long_front_is_cut_to_its_ends_and_some_between():
    many = [record(0.5 + 0.4 * i / 99, 1.0 + i, 10.0 + i) for i in range(100)]
    _, _, shown = board(terminal=True)
    table = shown._table([many[i] for i in headline_front(many)])
    assert table.row_count == MOST_ROWS + 1
    cells = list(table.columns[0].cells)
    assert cells[1] == f"{0.9:.2%}"
    assert cells[-1] == f"{0.5:.2%}"


def test_nothing_found_yet_is_no_trouble():
    console, progress, shown = board(terminal=True)
    with progress.shown():
        shown.show([])
        shown.show([RECORDS[-1]])
    assert "0 feasible" in console.file.getvalue()
    assert all(math.isfinite(volume) for volume in shown._volumes)
