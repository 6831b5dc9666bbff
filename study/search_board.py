"""What a person sees of a running search: how far it is, what it has found, how fast it goes.

On a terminal the front stands below the bars and changes as trials finish; in a log the same is said in words.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from rich.console import Group
from rich.table import Table
from rich.text import Text

from study.front import headline_front, hypervolume
from study.record import DesignRecord

if TYPE_CHECKING:
    from study.progress import StageProgress
    from study.reference import StaticReference
    from study.setup import StudyContext

MOST_ROWS = 8
_STEPS = "▁▂▃▄▅▆▇█"
_SPARKS = 40
_STAGE = "trials"


@dataclass
class SearchBoard:
    """Follows the trials of one run.

    Attributes:
        progress: Where it is shown.
        context: Of the study.
        reference: What products are relative to.
        wanted: Proposals to finish.
        clock: Seconds, for the rate.
    """

    progress: StageProgress
    context: StudyContext
    reference: StaticReference
    wanted: int
    clock: Callable[[], float] = time.monotonic
    _began: tuple[float, int] | None = None  # when this run began, and what was finished before it
    _volumes: list[float] = field(default_factory=list)

    def show(self, records: Sequence[DesignRecord]) -> None:
        """Brings the board up to date.

        Args:
            records: Of all finished trials, in the order in which they finished.
        """
        hardware, classes = self.context.hardware, self.context.data.classes
        volume = hypervolume(records, self.context.evaluator.objectives, hardware.static, classes)
        self._volumes.append(volume)
        front = [records[i] for i in headline_front(records)]
        feasible = sum(record.feasible for record in records)
        words = [f"{feasible} feasible", f"front {len(front)}", f"hypervolume {volume:.3f}"]
        rate = self._per_hour(len(records))
        if rate is not None:
            words.append(f"{rate:.3g}/h")
        below = Group(Text(_spark(self._volumes)), self._table(front)) if front else None
        self.progress.update(_STAGE, len(records), self.wanted, ", ".join(words), below)

    def _per_hour(self, finished: int) -> float | None:
        """Trials an hour since this run began; None before its first one has finished."""
        now = self.clock()
        if self._began is None:
            self._began = now, finished
        start, before = self._began
        return 3600.0 * (finished - before) / (now - start) if finished > before and now > start else None

    def _table(self, front: Sequence[DesignRecord]) -> Table:
        """The front in accuracy and mean energy-latency product, the static reference above it."""
        table = Table(box=None, pad_edge=False, header_style="bold")
        for name in ("accuracy", "drop", "EDP"):
            table.add_column(name, justify="right", no_wrap=True)
        for name in ("exits", "weight bits"):
            table.add_column(name, no_wrap=True, overflow="ellipsis")
        for record in (self.reference.record, *_spread(front)):
            table.add_row(*self._cells(record))
        return table

    def _cells(self, record: DesignRecord) -> list[str]:
        static, architecture = self.reference.record, record.genome.architecture
        bits = [str(b) for b in architecture.weight_bits]
        return [
            f"{record.accuracy:.2%}",
            f"{100 * (static.accuracy - record.accuracy):+.2f}",
            f"{record.mean_edp_pj_cycles / static.mean_edp_pj_cycles:.1%}",
            " ".join(map(str, architecture.exits)) or "static",
            bits[0] if len(set(bits)) == 1 else "".join(bits),
        ]


def _spread(front: Sequence[DesignRecord]) -> list[DesignRecord]:
    """At most `MOST_ROWS` members, the first and the last among them."""
    if len(front) <= MOST_ROWS:
        return list(front)
    return [front[round(i * (len(front) - 1) / (MOST_ROWS - 1))] for i in range(MOST_ROWS)]


def _spark(values: Sequence[float]) -> str:
    """A curve of the last values in one line of text, from the least to the largest of them."""
    shown = values[-_SPARKS:]
    low, span = min(shown), max(shown) - min(shown)
    steps = [round((value - low) / span * (len(_STEPS) - 1)) if span else 0 for value in shown]
    return "hypervolume " + "".join(_STEPS[step] for step in steps)
