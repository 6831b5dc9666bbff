"""What a sampler needs of the trials of a study; each finished trial is looked at once.

A proposal looks at all trials. At some thousands of them, reading genes and results anew for every proposal takes
longer than thinking about it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields

import numpy as np
from optuna.trial import FrozenTrial, TrialState


@dataclass(frozen=True, eq=False)
class Measured:
    """Designs whose values were measured; of trials in the order in which they finished.

    Attributes:
        genes: (n, n_genes).
        values: Objectives: (n, n_objectives).
        comparable: Objectives that compare with each other, see `study.rungs`: (n, n_objectives).
        excess: The largest over a bound: (n,).
        leaving: Share of inputs that leaves at each slot of an exit: (n, n_slots); no slots where it is not known.
    """

    genes: np.ndarray
    values: np.ndarray
    comparable: np.ndarray
    excess: np.ndarray
    leaving: np.ndarray

    def followed_by(self, other: Measured) -> Measured:
        """Both, one after the other."""
        return Measured.joined([self, other])

    @classmethod
    def joined(cls, parts: Sequence[Measured]) -> Measured:
        """All of them, one after the other."""
        return cls(*(np.concatenate([getattr(part, f.name) for part in parts]) for f in fields(cls)))

    def take(self, rows: np.ndarray) -> Measured:
        """Some of them."""
        return Measured(*(getattr(self, f.name)[rows] for f in fields(self)))


class History:
    """Arrays over the finished trials, in the order in which they were seen to be finished.

    Args:
        names: Of the genes.
        key: Equal for trials of the same design.
        measured: Whether the values of a finished trial were measured.
        results: Values, values that compare with each other, the largest excess over a bound, and the share of
            inputs that leaves at each slot of an exit, of such a trial.
        out: Whether a failed trial's design fails however often it is tried.
        generation_key: System attribute with a trial's generation.
    """

    def __init__(
        self,
        names: Sequence[str],
        key: Callable[[FrozenTrial], str],
        measured: Callable[[FrozenTrial], bool],
        results: Callable[[FrozenTrial], tuple[Sequence[float], Sequence[float], float, Sequence[float]]],
        out: Callable[[FrozenTrial], bool],
        generation_key: str,
    ) -> None:
        self._names, self._key, self._generation_key = list(names), key, generation_key
        self._measured, self._results, self._out = measured, results, out
        self._genes = frozenset(names)
        self._settled = 0  # so many trials from the first on have ended and were noted
        self._noted: set[int] = set()  # later ones that were noted
        self._open_keys: dict[int, str] = {}
        self._rows: list[list[int]] = []
        self._values: list[Sequence[float]] = []
        self._comparable: list[Sequence[float]] = []
        self._excess: list[float] = []
        self._leaving: list[Sequence[float]] = []
        empty = np.zeros((0, 0))
        self._arrays = Measured(np.zeros((0, len(names)), np.intp), empty, empty, np.zeros(0), empty)
        self._seen: set[str] = set()
        self.generations: Counter[int] = Counter()
        """Finished trials of each generation."""
        self.running: list[FrozenTrial] = []
        """Trials with all their genes that are worked on."""

    def read(self, trials: Sequence[FrozenTrial]) -> None:
        """Takes in what is new.

        Args:
            trials: All of the study, ascending by number.
        """
        self.running = []
        for trial in trials[self._settled :]:
            if trial.state.is_finished():
                if trial.number not in self._noted:
                    self._noted.add(trial.number)
                    self._note(trial)
            elif trial.state == TrialState.RUNNING and self._genes <= trial.params.keys():
                self.running.append(trial)
        while self._settled < len(trials) and trials[self._settled].number in self._noted:
            self._noted.discard(trials[self._settled].number)
            self._settled += 1

    def seen(self) -> set[str]:
        """Keys of designs that are finished, being evaluated, or sure to fail.

        Other failures (a killed process, a full disk) say nothing about a design: it may be proposed again.
        """
        for trial in self.running:
            if trial.number not in self._open_keys:  # genes of a trial do not change any more
                self._open_keys[trial.number] = self._key(trial)
        return self._seen | {self._open_keys[trial.number] for trial in self.running}

    def measured(self) -> Measured:
        """The trials that were measured."""
        n = len(self._rows)
        before = len(self._arrays.genes)
        if n > before:
            new = Measured(
                np.array(self._rows[before:], dtype=np.intp),
                np.array(self._values[before:]),
                np.array(self._comparable[before:]),
                np.array(self._excess[before:]),
                np.array(self._leaving[before:]).reshape(n - before, -1),
            )
            self._arrays = self._arrays.followed_by(new) if before else new
        return self._arrays

    def _note(self, trial: FrozenTrial) -> None:
        complete = trial.state == TrialState.COMPLETE
        whole = self._genes <= trial.params.keys()
        if whole and (complete or (trial.state == TrialState.FAIL and self._out(trial))):
            self._seen.add(self._open_keys.pop(trial.number, "") or self._key(trial))
        if not complete:
            return
        generation = trial.system_attrs.get(self._generation_key)
        if generation is not None:
            self.generations[generation] += 1
        if whole and self._measured(trial):
            values, comparable, excess, leaving = self._results(trial)
            params = trial.params
            self._rows.append([params[name] for name in self._names])
            self._values.append(values)
            self._comparable.append(comparable)
            self._excess.append(excess)
            self._leaving.append(leaving)
