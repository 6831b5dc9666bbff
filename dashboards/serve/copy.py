"""A copy of a study in memory, which optuna-dashboard shows in place of the study itself.

A viewer then writes nothing into the storage that workers write to, and what the dashboard does not do by itself can
be put right in the copy: it reads constraints from an attribute that Optuna 5 no longer writes, lists files only if
they were uploaded from within the objective, and compares every two trials of a study with three objectives. That
comparison is quadratic, so the copy holds a bounded number of trials.
"""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import optuna
from optuna.distributions import BaseDistribution
from optuna.samplers import RandomSampler
from optuna.storages import InMemoryStorage
from optuna.trial import FrozenTrial, TrialState

CONSTRAINTS_KEY = "constraints"
"""What optuna-dashboard 0.21 reads; above 0 is infeasible."""

FILE_PREFIX = "artifacts:"
"""Of the attribute under which Optuna lists a file."""

Describe = Callable[[FrozenTrial], tuple[dict[str, Any], dict[str, Any]]]
"""From a finished trial to the user attributes and system attributes its copy is shown with."""


class _Kept(dict[str, BaseDistribution]):
    """Distributions, which nothing alters: copying those of 500 trials in depth took half of an update."""

    def __deepcopy__(self, memo: object) -> dict[str, BaseDistribution]:
        return dict(self)


@dataclass
class StudyCopy:
    """The copy, and which trials it has.

    Attributes:
        storage: Where it is.
        study: The copy.
        most: Trials it may hold; those that come to the front later are taken all the same.
        numbers: Number of an original trial -> number of its copy.
        thinned: Whether trials are left out, so that copies have numbers of their own.
    """

    storage: InMemoryStorage
    study: optuna.Study
    most: int
    numbers: dict[int, int] = field(default_factory=dict)
    thinned: bool = False
    _unfinished: dict[int, int] = field(
        default_factory=dict
    )  # number of the original -> identifier of the copy

    @classmethod
    def of(cls, original: optuna.Study, most: int) -> StudyCopy:
        """An empty copy with the name and directions of a study."""
        storage = InMemoryStorage()
        study = optuna.create_study(
            storage=storage,
            study_name=original.study_name,
            directions=original.directions,
            sampler=RandomSampler(seed=0),
        )
        if original.metric_names:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
                study.set_metric_names(original.metric_names)
        return cls(storage, study, most)

    @property
    def study_id(self) -> int:
        """Of the copy in its storage."""
        return self.storage.get_study_id_from_name(self.study.study_name)

    def trial_id(self, number: int) -> int:
        """Identifier of the copy of a trial, by the original's number."""
        return self.storage.get_trial_id_from_study_id_trial_number(self.study_id, self.numbers[number])

    def update(self, trials: Sequence[FrozenTrial], front: Sequence[int], describe: Describe) -> int:
        """Takes over what is new.

        Args:
            trials: All of the study, by number.
            front: Numbers of the trials on the front, the most important first.
            describe: What finished trials are shown with.

        Returns:
            Number of trials that were added or finished.
        """
        changed = 0
        for trial in trials:
            if trial.number in self._unfinished and trial.state.is_finished():
                self._finish(self._unfinished.pop(trial.number), trial, describe)
                changed += 1
        for trial in self._wanted(trials, front):
            shown = self._add(trial, describe)
            self.numbers[trial.number] = self.storage.get_trial_number_from_id(shown)
            if not trial.state.is_finished():
                self._unfinished[trial.number] = shown
            changed += 1
        self.thinned = len(self.numbers) < len(trials)
        return changed

    def _wanted(self, trials: Sequence[FrozenTrial], front: Sequence[int]) -> list[FrozenTrial]:
        """New trials in their order: all while there is room, then the front, then the latest for what room is left.

        So a copy that is full takes trials of the front alone, some at each update, and grows by them.
        """
        new = [trial for trial in trials if trial.number not in self.numbers]
        room = self.most - len(self.numbers)
        if len(new) <= room:
            return new
        leading = [number for number in front if number not in self.numbers][: max(room, self.most // 10, 1)]
        chosen = set(leading)
        rest = [trial.number for trial in new if trial.number not in chosen]
        chosen.update(rest[max(0, len(rest) - max(0, room - len(leading))) :])
        return [trial for trial in new if trial.number in chosen]

    def _add(self, trial: FrozenTrial, describe: Describe) -> int:
        shown = copy.copy(trial)
        shown.distributions = _Kept(trial.distributions)
        attributes, system = describe(trial) if trial.state.is_finished() else ({}, {})
        shown.user_attrs, shown.system_attrs = attributes, system
        if trial.state == TrialState.WAITING:
            shown.state = TrialState.RUNNING  # a waiting copy could be taken up by nobody
        return self.storage.create_new_trial(self.study_id, template_trial=shown)

    def _finish(self, identifier: int, trial: FrozenTrial, describe: Describe) -> None:
        for name, distribution in trial.distributions.items():
            if name not in self.storage.get_trial(identifier).params:
                value = distribution.to_internal_repr(trial.params[name])
                self.storage.set_trial_param(identifier, name, value, distribution)
        attributes, system = describe(trial)
        for key, value in attributes.items():
            self.storage.set_trial_user_attr(identifier, key, value)
        for key, value in system.items():
            self.storage.set_trial_system_attr(identifier, key, value)
        self.storage.set_trial_state_values(identifier, trial.state, trial.values)

    def list_file(self, number: int, attributes: Mapping[str, str]) -> None:
        """Lists a file with a trial that has ended, whose own attributes cannot change any more.

        Args:
            number: Of the original trial.
            attributes: As the shelf gives them.
        """
        for key, value in attributes.items():
            self.storage.set_study_system_attr(
                self.study_id, self._file_place(number, key.removeprefix(FILE_PREFIX)), value
            )

    def unlist_file(self, number: int, identifier: str) -> None:
        """Takes a file back that `list_file` listed, if it did.

        Args:
            number: Of the original trial.
            identifier: Of the file.
        """
        place = self._file_place(number, identifier)
        if place in self.storage.get_study_system_attrs(self.study_id):
            self.storage.set_study_system_attr(self.study_id, place, "null")  # as optuna-dashboard does it

    def _file_place(self, number: int, identifier: str) -> str:
        return f"dashboard:artifacts:{self.trial_id(number)}:{identifier}"

    def set_study_attributes(self, values: Mapping[str, Any]) -> None:
        """What the dashboard lists as attributes of the study."""
        for key, value in values.items():
            if self.study.user_attrs.get(key) != value:
                self.study.set_user_attr(key, value)
