"""Whether a study's description and trials agree with themselves and with the folder."""

from __future__ import annotations

import json
import tomllib
from collections import Counter
from pathlib import Path
from typing import Any

import optuna
from optuna.trial import FrozenTrial, TrialState

from hwcost.errors import OfframpError
from study.config_io import fingerprint, identity, resolve
from study.doctor_findings import Backup, Finding
from study.leases import Owner, put_aside, this_machine
from study.storage import open_storage, record_of, told_values


def check_trials(
    url: str, name: str, out: Path, repair: bool, backup: Backup
) -> tuple[list[Finding], optuna.Study]:
    """Looks at a study through Optuna.

    Args:
        url: Of the storage.
        name: Of the study.
        out: The run's folder.
        repair: Whether to put aside what dead workers have left.
        backup: Where trials are kept as they were.

    Returns:
        What was found, and the study.

    Raises:
        OfframpError: There is no such study.
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    storage = open_storage(url)
    names = optuna.get_all_study_names(storage)
    if name not in names:
        there = ", ".join(map(repr, names)) or "none"
        raise OfframpError(f"expected study {name!r} in the storage, got {there}; name it with --study-name")
    study = optuna.load_study(storage=storage, study_name=name)
    trials = study.get_trials(deepcopy=False)
    findings = [_counts(trials), *_configuration(study, out)]
    findings += _running(study, trials, repair, backup)
    findings += _results(trials)
    return findings, study


def _counts(trials: list[FrozenTrial]) -> Finding:
    states = Counter(trial.state.name for trial in trials)
    text = ", ".join(f"{count} {state}" for state, count in sorted(states.items())) or "none yet"
    gaps = [trial.number for number, trial in enumerate(trials) if trial.number != number]
    if gaps:
        return Finding(
            "trials", "fault", f"{text}; expected numbers without gaps, got a gap before {gaps[0]}"
        )
    return Finding("trials", "ok", text)


def _configuration(study: optuna.Study, out: Path) -> list[Finding]:
    check = "configuration"
    attributes = study.user_attrs
    if "fingerprint" not in attributes or "identity" not in attributes:
        return [Finding(check, "fault", "the study was not described to the end, or another tool made it")]
    stored = json.loads(attributes["identity"])
    if fingerprint(stored) != attributes["fingerprint"]:
        return [Finding(check, "fault", "the stored configuration does not have the stored fingerprint")]
    findings = [Finding(check, "ok", f"fingerprint {attributes['fingerprint'][:12]}")]
    path = out / "config.toml"
    if path.exists():
        findings += _folder(path, attributes["fingerprint"])
    return findings


def _folder(path: Path, wanted: str) -> list[Finding]:
    check = "folder"
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
        found = fingerprint(identity(resolve([values], path.name)))
    except (OfframpError, ValueError, OSError) as error:
        return [Finding(check, "note", f"{path.name} cannot be compared with the study: {error}")]
    if found != wanted:
        return [
            Finding(check, "fault", f"{path.name} is of another configuration than the study: another --out?")
        ]
    return [Finding(check, "ok", f"{path.name} is the study's configuration")]


def _running(study: optuna.Study, trials: list[FrozenTrial], repair: bool, backup: Backup) -> list[Finding]:
    running = [trial for trial in trials if trial.state == TrialState.RUNNING]
    owners = {trial.number: Owner.of(trial) for trial in running}
    dead = [t for t in running if (owner := owners[t.number]) is None or owner.known_dead()]
    here = sum(o is not None and o.machine == this_machine() and not o.known_dead() for o in owners.values())
    far = len(running) - len(dead) - here
    findings = []
    if here or far:
        findings.append(
            Finding(
                "workers", "note", f"{here} trial(s) run on this machine, {far} on others or before a restart"
            )
        )
    if not dead:
        return [*findings, Finding("workers", "ok", "no trial of a dead worker")]
    numbers = " ".join(str(trial.number) for trial in dead)
    stored = sum(told_values(trial) is not None for trial in dead)
    text = f"trial(s) {numbers} of workers that are gone; {stored} of them have their results"
    if repair:
        backup.write("trials.json", json.dumps([_as_json(trial) for trial in dead], indent=1, default=str))
        for trial in dead:
            put_aside(study, trial, "its worker has ended; put aside by study.doctor")
    return [*findings, Finding("workers", "fault", text, mendable=True, repaired=repair)]


def _as_json(trial: FrozenTrial) -> dict[str, Any]:
    return {
        "number": trial.number,
        "state": trial.state.name,
        "params": trial.params,
        "user_attrs": trial.user_attrs,
        "system_attrs": trial.system_attrs,
        "datetime_start": trial.datetime_start,
    }


def _results(trials: list[FrozenTrial]) -> list[Finding]:
    """Finished trials have a result that can be read and says what the values say."""
    broken = []
    done = [trial for trial in trials if trial.state == TrialState.COMPLETE]
    for trial in done:
        try:
            record = record_of(trial)
            told = told_values(trial)
            sound = record is not None and (told is None or told == trial.values)
        except (KeyError, TypeError, ValueError, AttributeError, OfframpError):
            sound = False
        if not sound:
            broken.append(trial.number)
    if broken:
        numbers = " ".join(map(str, broken[:20]))
        return [
            Finding("results", "fault", f"{len(broken)} finished trial(s) without a sound result: {numbers}")
        ]
    return [Finding("results", "ok", f"{len(done)} results can be read")]
