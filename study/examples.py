"""What follows from trained networks without a trial, as the search sees it: a front, and examples to learn from.

A trial says one thing of its network. What is derived from it says how its results change with exits left out, other
PE arrays and other policy targets, and costs nothing more; a predictor that learns from a few of these designs too
needs far fewer trials (`docs/results/search`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

import moocore
import numpy as np

from study.costing import Costing
from study.genome import Genome
from study.history import Measured
from study.metrics import Objectives
from study.record import DesignRecord


class Derived(Protocol):
    """What follows from the networks that were trained so far."""

    def front(self) -> np.ndarray:
        """Objectives of the best of these designs, (n, n_objectives)."""
        ...

    def examples(self, most: int) -> Measured:
        """Some of these designs, at most so many."""
        ...


class Examples:
    """The best designs of each network, thinned out.

    Args:
        names: Of the genes.
        encode: From a design to its genes.
        objectives: What is minimised.
        costing: Says where exits are; None: what leaves at each exit is not told.
        of_a_network: Designs kept of each network, at most.
    """

    def __init__(
        self,
        names: Sequence[str],
        encode: Callable[[Genome], Mapping[str, int]],
        objectives: Objectives,
        costing: Costing | None,
        of_a_network: int,
    ) -> None:
        self._names, self._encode = list(names), encode
        self._objectives, self._costing, self._most = objectives, costing, of_a_network
        self._kept: dict[str, list[DesignRecord]] = {}
        self._read: dict[str, Measured] = {}

    def add(self, records: Sequence[DesignRecord]) -> None:
        """Takes in all that was derived from networks, each with all its designs; a later word on one replaces.

        All of them must have had the same training, whatever else the study trains.
        """
        by_network: dict[str, list[DesignRecord]] = {}
        for record in records:
            own = by_network.setdefault(record.network.key(), [])
            if record.feasible and record.trained:
                own.append(record)
        for key, own in by_network.items():
            self._kept[key] = self._best(own)
            self._read.pop(key, None)

    def take(self, most: int) -> Measured:
        """At most so many, as many of each network, in the order in which networks came."""
        each = min(self._most, most // max(1, len(self._kept)))
        if not each:
            return self._measured([])
        # Genes take a while to find, and may never be asked for.
        for key in self._kept.keys() - self._read.keys():
            self._read[key] = self._measured(self._kept[key])
        return Measured.joined([self._measured([]), *(_spread(self._read[key], each) for key in self._kept)])

    def _best(self, records: list[DesignRecord]) -> list[DesignRecord]:
        """Those that no other beats, by rising first objective."""
        if not records:
            return []
        values = np.array([self._objectives.values(record) for record in records])
        best = np.flatnonzero(moocore.is_nondominated(values))
        best = best[np.argsort(values[best, 0], kind="stable")]
        return [records[i] for i in _evenly(len(best), self._most, best)]

    def _measured(self, records: Sequence[DesignRecord]) -> Measured:
        genes = [self._encode(record.genome) for record in records]
        values = np.array([self._objectives.values(record) for record in records])
        values = values.reshape(len(records), len(self._objectives.columns))
        slots = 0 if self._costing is None else self._costing.n_slots
        leaving = np.full((len(records), slots), np.nan)
        if self._costing is not None:
            for row, record, own in zip(leaving, records, genes, strict=True):
                row[self._costing.slots(own)] = record.exit_ratios
        return Measured(
            genes=np.array([[own[name] for name in self._names] for own in genes], dtype=np.intp).reshape(
                len(records), len(self._names)
            ),
            values=values,
            comparable=values,
            excess=np.array([max(record.violations.values(), default=-1.0) for record in records]),
            leaving=leaving,
        )


def _spread(known: Measured, most: int) -> Measured:
    """So many of them from one end to the other."""
    count = len(known.genes)
    return known if count <= most else known.take(np.array(_evenly(count, most, np.arange(count)), dtype=int))


def _evenly(count: int, most: int, rows: np.ndarray) -> list[int]:
    """At most so many of some rows, the first and the last among them where there are two."""
    kept: list[int] = rows[np.unique(np.linspace(0, count - 1, min(most, count)).astype(int))].tolist()
    return kept
