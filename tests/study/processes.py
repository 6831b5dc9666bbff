"""Processes of tests that need not import everything anew."""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Callable
from multiprocessing.context import ForkServerContext
from pathlib import Path

_MODULES = ["study.claims", "study.sampler", "study.storage", "tests.study.spaces", "tests.study.synthetic"]


def warm_processes() -> ForkServerContext:
    """A context whose processes are forked from one that has the modules and neither threads nor connections."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(_MODULES)
    return context


def is_running(pid: int) -> bool:
    """Whether there is such a process that has not ended."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except OSError:
        return False
    return state != "Z"


def wait_for(done: Callable[[], bool], seconds: float = 30.0) -> None:
    """Until something is so; fails where that takes too long."""
    deadline = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < deadline
        time.sleep(0.1)
