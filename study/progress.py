"""What a person sees while a study runs: bars on a terminal, plain lines in a log."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from rich.console import Console, RenderableType
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

_LINE_SECONDS = 10.0
_SPEED_SECONDS = 3600.0  # the bars' own 30 seconds hold no two trials, and so no time left


class _Bars(Progress):
    """Bars with something below them."""

    below: RenderableType | None = None

    def get_renderables(self) -> Iterable[RenderableType]:
        """What is on the screen, from top to bottom."""
        yield from super().get_renderables()
        if self.below is not None:
            yield self.below


class StageProgress:
    """Progress of named stages, one bar each; on a log one line at most every ten seconds.

    Args:
        console: Where to.
    """

    def __init__(self, console: Console) -> None:
        self._console = console
        self._plain = not console.is_terminal
        self._bars = _Bars(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[detail]}", markup=False),
            TimeRemainingColumn(),
            console=console,
            speed_estimate_period=_SPEED_SECONDS,
        )
        self._tasks: dict[str, TaskID] = {}
        self._started: dict[str, tuple[float, int]] = {}  # when, and what was done already
        self._last_line: dict[str, float] = {}
        self._ended: dict[str, str] = {}  # detail of the last line of a stage that has ended

    @contextmanager
    def shown(self) -> Iterator[StageProgress]:
        """The bars are on the screen inside this block."""
        if self._plain:
            yield self
            return
        with self._bars:
            yield self

    def update(
        self, stage: str, done: int, total: int, detail: str = "", below: RenderableType | None = None
    ) -> None:
        """So much of a stage is done.

        Args:
            stage: What is going on, for people.
            done: Steps finished.
            total: Steps in all.
            detail: Anything more to say.
            below: What stands below the bars on a terminal from now on; None leaves it as it is.
        """
        now = time.monotonic()
        if stage not in self._started:
            self._started[stage] = now, done
        if self._plain:
            self._line(stage, done, total, detail, now)
            return
        if below is not None:
            self._bars.below = below
        if stage not in self._tasks:
            # Unseen until it has its value: a run that goes on would begin with a bar at 0.
            self._tasks[stage] = self._bars.add_task(stage, total=total, detail=detail, visible=False)
        self._bars.update(self._tasks[stage], completed=done, total=total, detail=detail, visible=True)

    def log(self, text: str) -> None:
        """A line above the bars."""
        (self._console if self._plain else self._bars.console).print(
            text, highlight=False, markup=False, soft_wrap=True
        )

    def _line(self, stage: str, done: int, total: int, detail: str, now: float) -> None:
        if done >= total:
            if self._ended.get(stage) == detail:
                return  # said already
            self._ended[stage] = detail
        elif now - self._last_line.get(stage, -math.inf) < _LINE_SECONDS:
            return
        self._last_line[stage] = now
        started, before = self._started[stage]
        elapsed, now_done = now - started, done - before
        left = (
            f", {_clock(elapsed * (total - done) / now_done)} left" if now_done > 0 and done < total else ""
        )
        self.log(f"{stage}: {done}/{total}{' ' + detail if detail else ''}, {_clock(elapsed)}{left}")


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
