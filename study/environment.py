"""What a result was obtained with: versions, machine type, commit, seeds, data. No host name, no absolute path."""

from __future__ import annotations

import os
import platform
import subprocess
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from models.device import device_name
from study.config import StudyConfig

if TYPE_CHECKING:
    from models.training_data import TrainingData

_PACKAGES = (
    "offramp", "optuna", "torch", "torchvision", "brevitas", "numpy", "pandas", "plotly", "scikit-learn",
)  # fmt: skip


def describe(config: StudyConfig, data: TrainingData, device: str, command: str) -> dict[str, Any]:
    """The environment as plain JSON values.

    Args:
        config: Of the study.
        data: Of the study.
        device: What it ran on.
        command: The command line, with paths cut to file names.
    """
    return {
        "command": command,
        "commit": commit(),
        "versions": {"python": platform.python_version(), **{name: _version(name) for name in _PACKAGES}},
        "machine": {
            "system": platform.system(),
            "architecture": platform.machine(),
            "processor": processor(),
            "cores": cores(),
            "device": device_name(device),
        },
        "seeds": {"study": config.search.seed, "splits": config.splits.seed},
        "data": {
            "name": data.name,
            "archive": data.archive_name,
            # Data that are no single file have the checksum of their decoded content.
            "sha256": data.archive_sha256 or data.content_sha256,
            "fingerprint": data.fingerprint,
            "train": len(data.train_labels),
            "calibration": len(data.calibration_labels),
            "validation": len(data.validation_labels),
            "channels": data.channels,
            "classes": list(data.class_names),
        },
    }


def cores() -> int:
    """How many this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def with_earlier(environment: Mapping[str, Any], kept: Mapping[str, Any]) -> dict[str, Any]:
    """The environment of a run with what earlier runs of its study ran on, as `before`.

    Args:
        environment: Of this run.
        kept: Of the run before, with its own `before`; empty for the first run.

    Returns:
        A copy; `before` holds command, commit, versions and machine of each earlier run, the first one first, equal
        ones once, and is left out where all of them are equal to this run.
    """
    mine = _how(environment)
    earlier = [*kept.get("before", []), *([_how(kept)] if kept else [])]
    before: list[dict[str, Any]] = []
    for how in earlier:
        if how not in before:
            before.append(how)
    return {**environment, **({"before": before} if before not in ([], [mine]) else {})}


def _how(environment: Mapping[str, Any]) -> dict[str, Any]:
    return {name: environment.get(name) for name in ("command", "commit", "versions", "machine")}


def commit() -> str | None:
    """The commit of the source tree, with `-dirty` where files were changed; None outside a repository."""
    folder = Path(__file__).resolve().parent
    command = ["git", "-C", str(folder), "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    try:
        tracked = subprocess.run(
            ["git", "-C", str(folder), "ls-files", "--error-unmatch", Path(__file__).name],
            capture_output=True, timeout=10, check=False,
        )  # fmt: skip
        if tracked.returncode:
            return None  # installed inside somebody else's repository
        answer = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return answer.stdout.strip() or None


def processor() -> str:
    """The processor's model name."""
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or "unknown"


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None
