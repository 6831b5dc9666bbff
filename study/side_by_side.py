"""The same work on many things, in this process or, where that takes long, in several.

A process takes seconds to start, so some things are done here first, and the time they took decides.
"""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import TypeVar

from study.processes import follow_parent, interrupts_ignored

Thing = TypeVar("Thing")
Result = TypeVar("Result")

LOOK_SECONDS = 2.0
"""Time after which it is looked how long the rest will take."""

WORTH_PROCESSES = 15.0
"""Seconds of work left from which on processes are started."""


def in_order(
    work: Callable[[Thing], Result],
    things: Sequence[Thing],
    workers: int = 1,
    look_seconds: float = LOOK_SECONDS,
    worth_processes: float = WORTH_PROCESSES,
) -> list[Result]:
    """What the work gives for each thing, in their order, whoever did it.

    Args:
        work: Depends on the thing alone; it and its results can be handed to other processes.
        things: To be worked on.
        workers: Processes at most.
        look_seconds: See `LOOK_SECONDS`.
        worth_processes: See `WORTH_PROCESSES`.
    """
    results: list[Result] = []
    start, alone = time.monotonic(), workers < 2
    for number, thing in enumerate(things):
        spent = time.monotonic() - start
        if not alone and number and spent >= look_seconds:
            if spent / number * (len(things) - number) >= worth_processes:
                return results + _in_processes(work, things[number:], workers)
            alone = True
        results.append(work(thing))
    return results


def _in_processes(work: Callable[[Thing], Result], things: Sequence[Thing], workers: int) -> list[Result]:
    """The same; what a process that died leaves is done here."""
    results: list[Result] = []
    with ProcessPoolExecutor(
        min(workers, len(things)),
        multiprocessing.get_context("spawn"),
        initializer=follow_parent,
    ) as pool:
        try:
            with interrupts_ignored():  # they are started here
                given_out = pool.map(work, things, chunksize=max(1, len(things) // (8 * workers)))
            for result in given_out:
                results.append(result)
        except BrokenProcessPool:
            results += [work(thing) for thing in things[len(results) :]]
    return results
