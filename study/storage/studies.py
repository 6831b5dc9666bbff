"""The study in its storage: creating it, recognising it, and what it keeps of itself and of each trial."""

from __future__ import annotations

import json
import time
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import optuna
from optuna.exceptions import DuplicatedStudyError
from optuna.storages import BaseStorage
from optuna.trial import FrozenTrial, TrialState

from hwcost.errors import OfframpError
from study.config_io import differences, fingerprint
from study.record import DesignRecord
from study.reference import StaticReference

OBJECTIVES = ("error", "mean_latency_cycles", "mean_energy_pj")
"""Of a study that does not choose its own, at one clock."""

RESULT_KEY = "result"

_IDENTITY_KEY = "identity"
_FINGERPRINT_KEY = "fingerprint"
_POPULATION_KEY = "population"
_DATA_KEY = "data_fingerprint"
_BACKBONE_KEY = "backbone_fingerprint"
_GENES_KEY = "genes"
_REFERENCE_KEY = "static_reference"
_TRAINED_WITH_KEY = "trained_with"
_RUNS_KEY = "offramp:runs"  # system attribute: runs that worked on the study so far
_VALUES_KEY = "offramp:values"  # system attribute of a trial: its objectives, written before its state

_CREATION_SECONDS = 5.0
_CREATION_POLL_SECONDS = 0.1


@dataclass(frozen=True)
class StudyIdentity:
    """What makes a study the study it is.

    Attributes:
        name: In the storage.
        config: `study.config_io.identity` of the configuration.
        data_fingerprint: SHA-256 over the decoded data.
        population: Individuals a generation; fixed when the study is created.
        objectives: Names of what is minimised, with units.
        backbone: SHA-256 over the code of a user's own backbone, which the configuration names but does not hold.
    """

    name: str
    config: Mapping[str, Any]
    data_fingerprint: str
    population: int
    objectives: tuple[str, ...] = OBJECTIVES
    backbone: str = ""


def open_study(
    storage: BaseStorage,
    identity: StudyIdentity,
    sampler: Any = None,
    patience_seconds: float = _CREATION_SECONDS,
) -> optuna.Study:
    """Creates the study, or finds it and checks that it is the one that was asked for.

    Args:
        storage: Where it is kept.
        identity: What was asked for.
        sampler: Of the study.
        patience_seconds: How long another process may take from creating a study to describing it; one that was not
            described by then was killed, and the study is made anew.

    Raises:
        OfframpError: A study of that name exists with another configuration, other data or another maker.
    """
    if identity.name not in optuna.get_all_study_names(storage):
        try:
            return _create(storage, identity, sampler)
        except DuplicatedStudyError:  # another run was faster
            pass
    study = optuna.load_study(storage=storage, study_name=identity.name, sampler=sampler)
    deadline = time.monotonic() + patience_seconds
    while _cut_off(study):
        if time.monotonic() >= deadline:
            optuna.delete_study(storage=storage, study_name=identity.name)
            return open_study(storage, identity, sampler, patience_seconds)
        time.sleep(_CREATION_POLL_SECONDS)
    _check(study, identity)
    return study


def _create(storage: BaseStorage, identity: StudyIdentity, sampler: Any) -> optuna.Study:
    study = optuna.create_study(
        storage=storage,
        study_name=identity.name,
        directions=["minimize"] * len(identity.objectives),
        sampler=sampler,
    )
    with warnings.catch_warnings():
        # Experimental since Optuna 3.2 and unchanged since; a user should not see a warning about it.
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        study.set_metric_names(list(identity.objectives))
    study.set_user_attr(_IDENTITY_KEY, json.dumps(identity.config, sort_keys=True))
    study.set_user_attr(_DATA_KEY, identity.data_fingerprint)
    if identity.backbone:
        study.set_user_attr(_BACKBONE_KEY, identity.backbone)
    study.set_user_attr(_POPULATION_KEY, identity.population)
    # Written last: a study without it was not created to the end.
    study.set_user_attr(_FINGERPRINT_KEY, fingerprint(identity.config))
    return study


def _cut_off(study: optuna.Study) -> bool:
    """Whether the study was not described to the end. Nothing is lost with one that has no trials either."""
    attributes = study.user_attrs
    if _FINGERPRINT_KEY in attributes or (attributes and _IDENTITY_KEY not in attributes):
        return False  # whole, or of another tool
    return not study.get_trials(deepcopy=False)


def _check(study: optuna.Study, identity: StudyIdentity) -> None:
    name, attributes = identity.name, study.user_attrs
    if _FINGERPRINT_KEY not in attributes:
        raise OfframpError(
            f"expected a study made by study.run, got {name!r} of another maker; choose another --study-name"
        )
    if attributes[_FINGERPRINT_KEY] != fingerprint(identity.config):
        changed = "; ".join(differences(json.loads(attributes[_IDENTITY_KEY]), identity.config))
        raise OfframpError(
            f"expected the configuration study {name!r} was created with, got another: {changed}; "
            "choose another --study-name or the old values"
        )
    if attributes[_DATA_KEY] != identity.data_fingerprint:
        raise OfframpError(
            f"expected the data study {name!r} was created with (fingerprint {attributes[_DATA_KEY][:12]}), "
            f"got other images ({identity.data_fingerprint[:12]}); choose another --study-name or the old data"
        )
    backbone = attributes.get(_BACKBONE_KEY, identity.backbone)  # studies of earlier versions do not say
    if backbone != identity.backbone:
        raise OfframpError(
            f"expected the backbone study {name!r} was created with (fingerprint {backbone[:12]}), got other code "
            f"under its name ({identity.backbone[:12]}); choose another --study-name or the old code"
        )


def register_run(study: optuna.Study, run: str) -> int:
    """Counts one more run of the study; the number, which no other run has, tells their random streams apart.

    Where the storage has no lock, runs that begin together may take the same number at first. Each then sees the
    other, or is seen by it, and moves on by another step.

    Args:
        study: Of the run.
        run: Its name, random.
    """
    storage, study_id = study._storage, study._study_id

    def others() -> dict[str, int]:
        attributes = storage.get_study_system_attrs(study_id)
        named = {key: int(value) for key, value in attributes.items() if key.startswith(f"{_RUNS_KEY}:")}
        # Runs of earlier versions are counted in one attribute.
        earlier = {f"earlier {n}": n for n in range(int(attributes.get(_RUNS_KEY, 0)))}
        return {key: n for key, n in {**earlier, **named}.items() if key != own}

    own = f"{_RUNS_KEY}:{run}"
    number = max(others().values(), default=-1) + 1
    while True:
        storage.set_study_system_attr(study_id, own, number)
        same = sorted(key for key, n in others().items() if n == number)
        if not same:
            return number
        number += 1 + sum(key < own for key in same)


def compare_training(study: optuna.Study, trained_with: Mapping[str, str]) -> list[str]:
    """Keeps what the first run trains with; says in what this one differs, by name.

    Args:
        study: Of the run.
        trained_with: Code version, checksum of the warm start, device: all that the key of a training has beyond
            the configuration and the data.
    """
    first = study.user_attrs.get(_TRAINED_WITH_KEY)
    if first is None:
        study.set_user_attr(_TRAINED_WITH_KEY, dict(trained_with))
        return []
    return [name for name, value in trained_with.items() if first.get(name) != value]


def describe_genes(study: optuna.Study, legend: Mapping[str, list[str]]) -> None:
    """Keeps what each index of each gene means beside the study, where optuna-dashboard shows it."""
    meaning = {
        name: ", ".join(f"{i}: {text}" for i, text in enumerate(texts)) for name, texts in legend.items()
    }
    if study.user_attrs.get(_GENES_KEY) != meaning:
        study.set_user_attr(_GENES_KEY, meaning)


def kept_reference(study: optuna.Study) -> StaticReference | None:
    """The static reference the study was begun with."""
    values = study.user_attrs.get(_REFERENCE_KEY)
    return None if values is None else StaticReference.from_json(values)


def keep_reference(study: optuna.Study, reference: StaticReference) -> None:
    """Fixes the static reference for good.

    Every constraint and every relative number of the study refers to it: another device or a newer version must not
    put another one under the trials that are there.
    """
    study.set_user_attr(_REFERENCE_KEY, reference.to_json())


def population_of(study: optuna.Study) -> int:
    """Individuals a generation, as fixed when the study was created."""
    return int(study.user_attrs[_POPULATION_KEY])


def store_result(trial: optuna.Trial, record: DesignRecord) -> None:
    """Writes constraints, the dashboard's feasibility mark and the packed result.

    optuna-dashboard does not read constraints, so feasibility is an attribute of its own. Everything else is one
    JSON value, because each attribute is a write.
    """
    trial.set_user_attr("feasible", record.feasible)
    trial.set_user_attr(RESULT_KEY, record.to_json())
    for name, violation in record.violations.items():
        trial.set_constraint(name, violation)


def tell_result(
    study: optuna.Study, trial: optuna.Trial, record: DesignRecord, objectives: Sequence[float]
) -> None:
    """Finishes a trial with its result.

    Args:
        study: Of the trial.
        trial: To be finished.
        record: Its result.
        objectives: Their values in the order of the study.

    Raises:
        UpdateFinishedTrialError: Another process has put the trial aside.
    """
    store_result(trial, record)
    values = [float(value) for value in objectives]
    # Written last before the state: should this process end here, whoever finds the trial can finish it.
    study._storage.set_trial_system_attr(trial._trial_id, _VALUES_KEY, values)
    study._storage.set_trial_state_values(trial._trial_id, TrialState.COMPLETE, values)


def told_values(trial: FrozenTrial) -> list[float] | None:
    """Objectives of a trial whose result is stored to the end, None for others."""
    return trial.system_attrs.get(_VALUES_KEY)


def record_of(trial: FrozenTrial) -> DesignRecord | None:
    """The packed result of a finished trial; None for a trial that has none."""
    values = trial.user_attrs.get(RESULT_KEY)
    return None if values is None else DesignRecord.from_json(values)


def finished_trials(study: optuna.Study) -> list[FrozenTrial]:
    """Finished proposals, which is what `--trials` counts; failed ones are not among them."""
    return study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
