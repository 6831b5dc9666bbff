"""Designs derived from trained networks, kept beside the predictions: one file a network, never in the storage."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import TYPE_CHECKING

from models.architecture import Architecture
from study.atomic import write_text
from study.config_io import fingerprint, identity
from study.record import DesignRecord

if TYPE_CHECKING:
    from study.setup import StudyContext

_log = logging.getLogger(__name__)


def write_derived(context: StudyContext, architecture: Architecture) -> list[DesignRecord]:
    """Evaluates all allocations and policy targets of a trained network and keeps them.

    Raises:
        OfframpError: The disk is full.
    """
    network = context.evaluator.longest_known(architecture)
    if network is None:
        return []
    records = context.evaluator.derive(architecture, network)
    text = "".join(json.dumps(record.to_json()) + "\n" for record in records)
    write_text(_path(context, architecture, network.rung), text)
    return records


def read_derived(context: StudyContext, architecture: Architecture, rung: int = 0) -> list[DesignRecord]:
    """What was kept; evaluated now where a killed process did not get that far, or where the file is damaged.

    Args:
        context: Of the study.
        architecture: Of the network.
        rung: The highest it was trained with.
    """
    path = _path(context, architecture, rung)
    if path.exists():
        try:
            return _read(path)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            _log.warning("%s is damaged and its designs are evaluated again: %s", path.name, error)
    return write_derived(context, architecture)


def _path(context: StudyContext, architecture: Architecture, rung: int) -> Path:
    # Not the memo's key: a newer version of the training code must not make finished designs disappear.
    study = fingerprint(identity(context.config))[:12]
    return context.paths.derived / f"{study}-{architecture.key()[:32]}-{rung}.jsonl"


def _read(path: Path) -> list[DesignRecord]:
    return [
        DesignRecord.from_json(json.loads(line)) for line in path.read_text(encoding="utf-8").splitlines()
    ]
