"""What the benchmarks share: interleaved timing, medians, bad input in one line, and a record of what they ran on."""

from __future__ import annotations

import json
import platform
import statistics
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from hwcost.errors import OfframpError
from study.environment import commit, processor


@dataclass(frozen=True)
class Timing:
    """Seconds of one action over some rounds."""

    median_seconds: float
    fastest_seconds: float
    slowest_seconds: float
    n: int

    @classmethod
    def of(cls, seconds: Iterable[float]) -> Timing:
        """Summarizes measured times."""
        values = list(seconds)
        return cls(statistics.median(values), min(values), max(values), len(values))


def interleaved(
    actions: Mapping[str, Callable[[], object]],
    rounds: int,
    warmups: int = 1,
    clock: Callable[[], float] = time.perf_counter,
) -> dict[str, list[float]]:
    """Times actions in turn, so that slow phases of the machine meet all of them.

    Args:
        actions: By name.
        rounds: How often each is timed.
        warmups: Calls of each that are not timed, all before the first round.
        clock: Seconds; `time.process_time` leaves out what other programs take, and counts every thread.

    Returns:
        Seconds of each round by name; the i-th entries of all are neighbours in time.
    """
    for action in actions.values():
        for _ in range(warmups):
            action()
    seconds: dict[str, list[float]] = {name: [] for name in actions}
    for _ in range(rounds):
        for name, action in actions.items():
            started = clock()
            action()
            seconds[name].append(clock() - started)
    return seconds


def median_ratio(numerator: list[float], denominator: list[float]) -> float:
    """Median over rounds of the ratio within a round."""
    return statistics.median(a / b for a, b in zip(numerator, denominator, strict=True))


@contextmanager
def bad_input_in_one_line() -> Iterator[None]:
    """Ends the program with one line and the status 2 where what it was given is wrong."""
    try:
        yield
    except OfframpError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)


def provenance(packages: Iterable[str], **settings: Any) -> dict[str, Any]:
    """Commit, versions, processor and the benchmark's own settings."""
    return {
        "commit": commit(),
        "python": platform.python_version(),
        "versions": {name: _version(name) for name in packages},
        "processor": processor(),
        "settings": settings,
    }


def write_json(path: Path | None, result: Mapping[str, Any]) -> None:
    """Writes the figures for programs, where asked for."""
    if path is not None:
        # what was measured must not be lost for want of a folder
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(result, indent=1, default=_plain) + "\n", encoding="utf-8")


def _plain(value: object) -> object:
    return asdict(value) if isinstance(value, Timing) else float(value)  # type: ignore[arg-type]


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return "not installed"
