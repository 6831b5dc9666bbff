"""Writing a run's results: tables, reference, configuration, environment. Works on what is finished so far."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import optuna
import pandas as pd

from study.atomic import write_text
from study.config import StudyConfig
from study.config_io import to_toml
from study.derived import read_derived
from study.policy_curves import policy_curves
from study.reference import StaticReference
from study.reliability import reliability
from study.samplers import generation_of
from study.skipping import SkipReport
from study.storage import record_of
from study.tables import Design, TableMaker, unique

if TYPE_CHECKING:
    from study.setup import StudyContext


@dataclass(frozen=True)
class Exported:
    """What was written.

    Attributes:
        trials: `trials.csv`.
        pareto: `pareto.csv`.
        designs: `designs.csv`.
        skipped: How often the predictor was right; in `environment.json`.
    """

    trials: pd.DataFrame
    pareto: pd.DataFrame
    designs: pd.DataFrame
    skipped: SkipReport


def evaluated_designs(study: optuna.Study, context: StudyContext) -> list[Design]:
    """Every design of the study once: the finished trials, and what was derived from their networks."""
    designs: list[Design] = []
    longest: dict[str, Design] = {}  # per network the first trial at the highest rung it reached
    for trial in study.get_trials(deepcopy=False, states=(optuna.trial.TrialState.COMPLETE,)):
        record = record_of(trial)
        if record is None:
            continue
        designs.append(Design(record, trial.number))
        known = longest.get(record.genome.architecture.key())
        if record.trained and (known is None or known.record.rung < record.rung):
            longest[record.genome.architecture.key()] = designs[-1]
    derived = [
        Design(record, design.trial)
        for design in (longest.values() if context.config.search.derive else ())
        for record in read_derived(context, design.record.genome.architecture, design.record.rung)
    ]
    return unique([*designs, *derived])


def export(
    study: optuna.Study,
    context: StudyContext,
    reference: StaticReference,
    environment: dict[str, Any],
) -> Exported:
    """Writes all results into the run's folder; each file is either the old or the new one.

    Raises:
        OfframpError: A file cannot be written.
    """
    maker = TableMaker(context.hardware, reference, context.evaluator.objectives)
    out = context.paths.out
    trials = study.get_trials(deepcopy=False)
    generations = [generation_of(trial) for trial in trials]
    designs = evaluated_designs(study, context)
    pareto, members = maker.pareto(designs)
    find, score = context.evaluator.longest_known, context.config.space.score
    reference_edp = reference.record.mean_edp_pj_cycles
    workers = context.config.search.workers
    skipped = SkipReport.of(trials, study.directions, _by_network(designs, context))
    environment = {**environment, "skipped_children": skipped.to_json()}
    exported = Exported(maker.trials(trials, generations), pareto, maker.designs(designs), skipped)
    write_origin(out, context.config, environment)
    write_text(out / "static_reference.json", json.dumps(maker.static_reference(), indent=2) + "\n")
    for name, frame in (
        ("trials", exported.trials),
        ("designs", exported.designs),
        ("pareto", exported.pareto),
        ("exits", maker.exits(members)),
        ("layers", maker.layers(members, workers)),
        ("policy_curves", policy_curves(members, find, context.hardware, score, reference_edp, workers)),
        ("reliability", reliability(members, find)),
    ):
        write_text(out / f"{name}.csv", frame.to_csv(index=False, lineterminator="\n"))
    return exported


def write_origin(out: Path, config: StudyConfig, environment: dict[str, Any]) -> None:
    """Writes what a run's results come from: its configuration, and what it runs on and with.

    Before the first trial too, so that a run that is killed can be refined as it is.

    Raises:
        OfframpError: A file cannot be written.
    """
    write_text(out / "config.toml", to_toml(config))
    write_text(out / "environment.json", json.dumps(environment, indent=2) + "\n")


def _by_network(designs: list[Design], context: StudyContext) -> dict[int, np.ndarray] | None:
    """Objectives of the designs that may lead by the trial that trained their network; None where none is derived."""
    if not context.config.search.derive:
        return None
    found: dict[int, list[tuple[float, ...]]] = {}
    for design in designs:
        if design.record.may_lead:
            found.setdefault(design.trial, []).append(context.evaluator.objectives.values(design.record))
    return {trial: np.array(values) for trial, values in found.items()}
