"""Designs derived from trained networks, kept beside the predictions: one file a network, never in the storage."""

from __future__ import annotations

import contextlib
import json
import logging
from pathlib import Path
from typing import TYPE_CHECKING

import moocore
import numpy as np

from models.architecture import Architecture
from study.atomic import write_text
from study.config_io import fingerprint, identity
from study.record import DesignRecord

if TYPE_CHECKING:
    from study.setup import StudyContext

_log = logging.getLogger(__name__)
_DAMAGE = (ValueError, KeyError, TypeError, AttributeError)


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
        except _DAMAGE as error:
            _log.warning("%s is damaged and its designs are evaluated again: %s", path.name, error)
    return write_derived(context, architecture)


class DerivedFront:
    """The best objectives of all designs that were derived so far in a run's folder, read as files appear.

    Args:
        context: Of the study.
    """

    def __init__(self, context: StudyContext) -> None:
        self._context = context
        self._known: set[str] = set()
        self._front = np.zeros((0, len(context.evaluator.objectives.columns)))

    def __call__(self) -> np.ndarray:
        """(n, n_objectives); those of other machines' folders are not among them."""
        objectives = self._context.evaluator.objectives
        for path in sorted(self._context.paths.derived.glob(f"{_study(self._context)}-*.jsonl")):
            if path.name in self._known:
                continue
            self._known.add(path.name)
            with contextlib.suppress(*_DAMAGE):  # its designs are evaluated again when tables are written
                leading = [objectives.values(record) for record in _read(path) if record.may_lead]
                values = np.array(leading).reshape(-1, self._front.shape[1])
                merged = np.vstack([self._front, values])
                self._front = merged[moocore.is_nondominated(merged)] if len(merged) else merged
        return self._front


def _study(context: StudyContext) -> str:
    return fingerprint(identity(context.config))[:12]


def _path(context: StudyContext, architecture: Architecture, rung: int) -> Path:
    # Not the memo's key: a newer version of the training code must not make finished designs disappear.
    return context.paths.derived / f"{_study(context)}-{architecture.key()[:32]}-{rung}.jsonl"


def _read(path: Path) -> list[DesignRecord]:
    return [
        DesignRecord.from_json(json.loads(line)) for line in path.read_text(encoding="utf-8").splitlines()
    ]
