from __future__ import annotations

import io

import pytest
from rich.console import Console

import study.progress
from study.progress import StageProgress


@pytest.fixture
def clock(monkeypatch):
    """Seconds that pass only when a test says so."""

    class Clock:
        now = 0.0

        def monotonic(self) -> float:
            return self.now

    clock = Clock()
    monkeypatch.setattr(study.progress, "time", clock)
    return clock


def log_console() -> Console:
    return Console(file=io.StringIO(), force_terminal=False, width=60)


def lines(console: Console) -> list[str]:
    return console.file.getvalue().splitlines()


def test_a_log_gets_a_line_at_most_every_ten_seconds_and_always_the_last(clock):
    console = log_console()
    progress = StageProgress(console)
    with progress.shown():
        for step in range(0, 101):
            clock.now = 0.5 * step
            progress.update("trials", step, 100, f"{step} feasible")
    assert lines(console) == [
        "trials: 0/100 0 feasible, 0:00",
        "trials: 20/100 20 feasible, 0:10, 0:40 left",
        "trials: 40/100 40 feasible, 0:20, 0:30 left",
        "trials: 60/100 60 feasible, 0:30, 0:20 left",
        "trials: 80/100 80 feasible, 0:40, 0:10 left",
        "trials: 100/100 100 feasible, 0:50",
    ]


def test_the_end_is_said_once_and_again_only_with_something_new(clock):
    console = log_console()
    progress = StageProgress(console)
    for detail in ("", "", "accuracy 70.0%", "accuracy 70.0%"):
        progress.update("static reference", 2, 2, detail)
    assert lines(console) == [
        "static reference: 2/2, 0:00",
        "static reference: 2/2 accuracy 70.0%, 0:00",
    ]


def test_stages_have_clocks_of_their_own(clock):
    console = log_console()
    progress = StageProgress(console)
    progress.update("one", 0, 2)
    clock.now = 4000.0
    progress.update("two", 0, 2)
    progress.update("one", 1, 2)
    assert lines(console) == ["one: 0/2, 0:00", "two: 0/2, 0:00", "one: 1/2, 1:06:40, 1:06:40 left"]


def test_time_left_counts_from_where_this_run_began(clock):
    console = log_console()
    progress = StageProgress(console)
    progress.update("trials", 20, 24)
    clock.now = 60.0
    progress.update("trials", 21, 24)
    assert lines(console) == ["trials: 20/24, 0:00", "trials: 21/24, 1:00, 3:00 left"]


def test_bars_know_the_time_left_when_steps_take_minutes():
    console = Console(file=io.StringIO(), force_terminal=True, width=120, color_system=None)
    progress = StageProgress(console)
    seconds = iter(range(0, 100_000, 100))
    progress._bars.get_time = lambda: float(next(seconds))
    for done in range(4):
        progress.update("trials", done, 24)
    (task,) = progress._bars.tasks
    assert task.time_remaining is not None


@pytest.mark.parametrize("terminal", [False, True])
def test_text_is_shown_as_it_is(terminal):
    """Reasons of failures and paths have brackets, which are no markup."""
    console = Console(file=io.StringIO(), force_terminal=terminal, width=200, color_system=None)
    progress = StageProgress(console)
    text = "trial 3 failed: expected [red] out of [/data/x] " + "y" * 300
    with progress.shown():
        progress.update("trials [a]", 1, 2, "[bold]3 feasible[/]")
        progress.log(text)
    shown = console.file.getvalue()
    assert "trial 3 failed: expected [red] out of [/data/x]" in shown
    assert "trials [a]" in shown
    assert "[bold]3 feasible[/]" in shown
    if not terminal:
        assert text in shown.splitlines()  # one line, however long


def test_bars_show_done_total_and_detail():
    console = Console(file=io.StringIO(), force_terminal=True, width=120, color_system=None)
    progress = StageProgress(console)
    with progress.shown():
        progress.update("trials", 3, 24, "2 feasible, hypervolume 0.123")
        progress.update("trials", 4, 24, "3 feasible, hypervolume 0.456")
    assert "4/24" in console.file.getvalue()
    assert "hypervolume 0.456" in console.file.getvalue()


def test_a_run_that_goes_on_never_shows_a_bar_at_the_start():
    console = Console(file=io.StringIO(), force_terminal=True, width=120, color_system=None)
    progress = StageProgress(console)
    with progress.shown():
        progress.update("trials", 16, 18)
        progress._bars.refresh()
    assert "16/18" in console.file.getvalue()
    assert "0/18" not in console.file.getvalue()
