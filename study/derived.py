"""Designs derived from trained networks, kept beside the predictions: one file a network, never in the storage."""

from __future__ import annotations

import contextlib
import json
import logging
import math
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import moocore
import numpy as np

from models.architecture import Architecture
from study.atomic import write_text
from study.config_io import fingerprint, identity
from study.examples import Examples
from study.history import Measured
from study.leaving_out import derive_keeping, sets_to_derive
from study.record import DesignRecord

if TYPE_CHECKING:
    from study.setup import StudyContext

_log = logging.getLogger(__name__)
_DAMAGE = (ValueError, KeyError, TypeError, AttributeError)


def write_derived(
    context: StudyContext, architecture: Architecture, rung: int | None = None
) -> list[DesignRecord]:
    """Evaluates what derives from a trained network and keeps it: placements, policy targets, fewer exits.

    Args:
        context: Of the study.
        architecture: Of the network.
        rung: The training of the network that counts; None: the longest it had.

    Raises:
        OfframpError: The disk is full.
    """
    evaluator = context.evaluator
    find = evaluator.longest_known if rung is None else evaluator.rungs[rung].memo.find
    network = find(architecture)
    if network is None:
        return []
    sets = sets_to_derive(evaluator, architecture, [network])
    records = derive_keeping(evaluator, architecture, network, sets)
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


class DerivedFiles:
    """The derived designs in a run's folder, read as files appear.

    Args:
        folder: Where they are; it need not be there yet.
        identity_values: Of the study's configuration, as `study.config_io.identity` gives them.
        rung: Of networks after this training alone, see `study.rungs`; None: after every one.
    """

    def __init__(self, folder: Path, identity_values: Mapping[str, Any], rung: int | None = None) -> None:
        self._folder = folder
        self._pattern = f"{_mark(identity_values)}-*-{'*' if rung is None else rung}.jsonl"
        self._known: set[str] = set()
        self.pending = False
        """Whether the last call left files for the next one."""

    def new(self, until: float = math.inf) -> list[DesignRecord]:
        """Designs of the files that appeared since the last call; those of other machines are not among them.

        Args:
            until: `time.monotonic()` after which the rest is left to the next call; a file is read all the same.
        """
        found: list[DesignRecord] = []
        self.pending = False
        unread = (p for p in sorted(self._folder.glob(self._pattern)) if p.name not in self._known)
        for path in unread:
            self._known.add(path.name)
            with contextlib.suppress(*_DAMAGE):  # its designs are evaluated again when tables are written
                found += _read(path)
            if time.monotonic() > until:
                self.pending = next(unread, None) is not None
                break
        return found


class DerivedDesigns:
    """What was derived so far in a run's folder, see `study.examples.Derived`.

    Args:
        context: Of the study.
        rung: Of networks after this training; by default the one that all have, so that all compare.
    """

    def __init__(self, context: StudyContext, rung: int = 0) -> None:
        search, space = context.config.search, context.space
        self._objectives = context.evaluator.objectives
        self._files = DerivedFiles(context.paths.derived, identity(context.config), rung)
        self._front = np.zeros((0, len(self._objectives.columns)))
        costing = context.evaluator.costing if search.exit_costs else None
        self._examples = Examples(
            list(space.genes()), space.encode, self._objectives, costing, search.learn_derived
        )

    def front(self) -> np.ndarray:
        """See `Derived`."""
        self._read()
        return self._front

    def examples(self, most: int) -> Measured:
        """See `Derived`."""
        self._read()
        return self._examples.take(most)

    def _read(self) -> None:
        new = self._files.new()
        leading = [self._objectives.values(record) for record in new if record.feasible and record.trained]
        if leading:
            merged = np.vstack([self._front, np.array(leading)])
            self._front = merged[moocore.is_nondominated(merged)]
        self._examples.add(new)


def _mark(identity_values: Mapping[str, Any]) -> str:
    return fingerprint(identity_values)[:12]


def _path(context: StudyContext, architecture: Architecture, rung: int) -> Path:
    # Not the memo's key: a newer version of the training code must not make finished designs disappear.
    mark = _mark(identity(context.config))
    return context.paths.derived / f"{mark}-{architecture.key()[:32]}-{rung}.jsonl"


def _read(path: Path) -> list[DesignRecord]:
    return [
        DesignRecord.from_json(json.loads(line)) for line in path.read_text(encoding="utf-8").splitlines()
    ]
