"""Running the real command on a study small enough for a test."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

TINY = (
    "--set", "pretrain.epochs=1",
    "--set", "qat.epochs=0.2",
    "--set", "qat.norm_batches=2",
)  # fmt: skip


def study_command(*options: str) -> list[str]:
    """`python -m study.run` with the tiny training budget."""
    return [sys.executable, "-m", "study.run", *TINY, *options]


def environment(cache: Path) -> dict[str, str]:
    """The process's environment with a cache folder of its own and a fixed width for tables."""
    return {**os.environ, "OFFRAMP_CACHE": str(cache), "COLUMNS": "200"}


def run_study(
    folder: Path, cache: Path, *options: str, timeout: float = 300
) -> subprocess.CompletedProcess[str]:
    """Runs the command in a folder and waits for it."""
    return subprocess.run(
        study_command(*options),
        cwd=folder, env=environment(cache), capture_output=True, text=True, timeout=timeout, check=False,
    )  # fmt: skip
