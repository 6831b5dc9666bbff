"""A proposal that reaches the storage at once: all genes of a trial, or no trial.

Optuna creates a trial first and then writes gene after gene, each a transaction of its own. Of a process that is
killed in between half a trial stays, other processes cannot see what is being proposed, and in a relational database
some fifty writes take longer than the proposal. Here the trial that is being asked for is a draft in memory.
"""

from __future__ import annotations

import copy
from collections.abc import Container
from datetime import datetime
from typing import Any

import optuna
from optuna.distributions import BaseDistribution
from optuna.storages import BaseStorage
from optuna.trial import FrozenTrial, TrialState

from study.storage.forwarding import ForwardingStorage

_DRAFT_ID = -1


class _DraftStorage(ForwardingStorage):
    """Keeps what is written to a trial that does not exist yet."""

    def __init__(self, behind: BaseStorage) -> None:
        super().__init__(behind)
        self.draft: FrozenTrial | None = None
        self._read: list[FrozenTrial] = []
        self._answers: dict[Any, list[FrozenTrial]] = {}

    def begin(self, trials: list[FrozenTrial]) -> None:
        """From here on the study is as it was read just now: a proposal reads it many times."""
        self._read, self._answers = trials, {None: trials}
        self.draft = None

    def get_study_system_attrs(self, study_id: int) -> dict[str, Any]:
        answer = super().get_study_system_attrs(study_id)
        # Another process may have chosen parents that had not finished when the trials were read.
        draft = self.draft
        self.begin(self.behind.get_all_trials(study_id, deepcopy=False))
        self.draft = draft
        return answer

    def get_all_trials(
        self, study_id: int, deepcopy: bool = True, states: Container[TrialState] | None = None
    ) -> list[FrozenTrial]:
        key = None if states is None else tuple(state for state in TrialState if state in states)
        if key not in self._answers:
            self._answers[key] = [trial for trial in self._read if trial.state in (key or ())]
        answer = self._answers[key]
        return copy.deepcopy(answer) if deepcopy else list(answer)

    def create_new_trial(self, study_id: int, template_trial: FrozenTrial | None = None) -> int:
        self.draft = FrozenTrial(
            number=len(self._read), trial_id=_DRAFT_ID, state=TrialState.RUNNING, value=None,
            datetime_start=datetime.now(), datetime_complete=None, params={}, distributions={}, user_attrs={},
            system_attrs={}, intermediate_values={},
        )  # fmt: skip
        return _DRAFT_ID

    def _drafted(self, trial_id: int) -> FrozenTrial | None:
        return self.draft if trial_id == _DRAFT_ID else None

    def get_trial(self, trial_id: int) -> FrozenTrial:
        draft = self._drafted(trial_id)
        return super().get_trial(trial_id) if draft is None else copy.deepcopy(draft)

    def set_trial_param(
        self, trial_id: int, param_name: str, param_value_internal: float, distribution: BaseDistribution
    ) -> None:
        draft = self._drafted(trial_id)
        if draft is None:
            super().set_trial_param(trial_id, param_name, param_value_internal, distribution)
            return
        draft.params = {**draft.params, param_name: distribution.to_external_repr(param_value_internal)}
        draft.distributions = {**draft.distributions, param_name: distribution}

    def set_trial_user_attr(self, trial_id: int, key: str, value: Any) -> None:
        draft = self._drafted(trial_id)
        if draft is None:
            super().set_trial_user_attr(trial_id, key, value)
            return
        draft.set_user_attr(key, value)

    def set_trial_system_attr(self, trial_id: int, key: str, value: Any) -> None:
        draft = self._drafted(trial_id)
        if draft is None:
            super().set_trial_system_attr(trial_id, key, value)
            return
        draft.system_attrs = {**draft.system_attrs, key: value}


class Drafting:
    """Asks a study's sampler for trials that are written in one go.

    Args:
        study: Its sampler proposes.
        distributions: Every gene.
    """

    def __init__(self, study: optuna.Study, distributions: dict[str, BaseDistribution]) -> None:
        self._study = study
        self._distributions = distributions
        self._storage = _DraftStorage(study._storage)
        self._mirror = optuna.load_study(
            study_name=study.study_name, storage=self._storage, sampler=study.sampler
        )

    @property
    def genes(self) -> dict[str, Any]:
        """Of the draft."""
        return self._drafted().params

    def propose(self, trials: list[FrozenTrial]) -> optuna.Trial | None:
        """Drafts a trial of the sampler's.

        Args:
            trials: All of the study, as they were read just now.

        Returns:
            A trial that waited in the queue, which takes the place of a draft and is running now; else None.
        """
        self._storage.begin(trials)
        self._mirror.sampler = self._study.sampler
        asked = self._mirror.ask(self._distributions)
        return None if asked._trial_id == _DRAFT_ID else optuna.Trial(self._study, asked._trial_id)

    def repeat(self, genes: dict[str, Any], trials: list[FrozenTrial]) -> None:
        """Drafts a trial of a design that was proposed before, in the present generation.

        Args:
            genes: Every gene.
            trials: All of the study, as they were read just now.
        """
        self._storage.begin(trials)
        self._storage.create_new_trial(self._study._study_id)
        draft, sampler = self._drafted(), self._study.sampler
        if isinstance(sampler, optuna.samplers.BaseGASampler):
            # Without a generation it would never become a parent.
            sampler.get_trial_generation(self._mirror, draft)
        draft.params, draft.distributions = dict(genes), dict(self._distributions)

    def write(self, attributes: dict[str, Any]) -> optuna.Trial:
        """Makes the draft a trial.

        Args:
            attributes: System attributes it has from the beginning.
        """
        draft = self._drafted()
        draft.system_attrs = {**draft.system_attrs, **attributes}
        storage = self._study._storage
        return optuna.Trial(self._study, storage.create_new_trial(self._study._study_id, draft))

    def _drafted(self) -> FrozenTrial:
        if self._storage.draft is None:
            raise RuntimeError("expected a draft, got none; propose() comes first")
        return self._storage.draft
