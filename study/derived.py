"""Designs derived from trained networks, kept beside the predictions: one file a network, never in the storage."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from models.architecture import Architecture
from study.atomic import write_text
from study.config_io import fingerprint, identity
from study.record import DesignRecord

if TYPE_CHECKING:
    from study.setup import StudyContext


def write_derived(context: StudyContext, architecture: Architecture) -> list[DesignRecord]:
    """All allocations and policy targets of a trained network, evaluated once and kept.

    Raises:
        OfframpError: The network has no predictions here, or the disk is full.
    """
    path = _path(context, architecture)
    if path.exists():
        return _read(path)
    network = context.evaluator.memo.find(architecture)
    if network is None:
        return []
    records = context.evaluator.derive(architecture, network)
    write_text(path, "".join(json.dumps(record.to_json()) + "\n" for record in records))
    return records


def _path(context: StudyContext, architecture: Architecture) -> Path:
    # Derived designs depend on hardware, constraints and targets too, which the memo's key leaves out.
    study = fingerprint(identity(context.config))[:12]
    return context.paths.derived / f"{study}-{context.evaluator.memo.key(architecture)[:32]}.jsonl"


def _read(path: Path) -> list[DesignRecord]:
    return [
        DesignRecord.from_json(json.loads(line)) for line in path.read_text(encoding="utf-8").splitlines()
    ]
