"""The result tables of a study as pandas frames; `docs/csv.md` documents every column."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import pandas as pd

from hwcost.workload import Op
from study.front import headline_front, objective_front
from study.hardware import HardwareCosts
from study.metrics import Objectives
from study.record import DesignRecord
from study.reference import StaticReference
from study.side_by_side import in_order
from study.trial_times import finished_seconds

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial

SPLIT = "validation"


@dataclass(frozen=True)
class Design:
    """A record with where it comes from.

    Attributes:
        record: The result.
        trial: Number of the trial that evaluated it, or that trained the network it is derived from.
    """

    record: DesignRecord
    trial: int

    @property
    def identifier(self) -> str:
        """12 hex digits that name the design: the same design has the same name in every run."""
        return self.record.genome.key()[:12]


@dataclass(frozen=True)
class TableMaker:
    """Makes the tables of one study.

    Attributes:
        hardware: The simulator, for names and cost per layer.
        reference: What relative columns are relative to.
        objectives: What the front is a front of.
    """

    hardware: HardwareCosts
    reference: StaticReference
    objectives: Objectives

    def columns(self, record: DesignRecord) -> dict[str, Any]:
        """The columns that every table of designs shares."""
        architecture = record.genome.architecture
        accelerator = self.hardware.accelerator
        static = self.reference.record
        level = accelerator.levels[record.genome.level]
        return {
            "feasible": record.feasible,
            "source": record.source,
            "split": SPLIT,
            "accuracy": record.accuracy,
            "accuracy_drop": static.accuracy - record.accuracy,
            "mean_latency_cycles": record.mean_latency_cycles,
            "mean_energy_pj": record.mean_energy_pj,
            "mean_edp_pj_cycles": record.mean_edp_pj_cycles,
            "edp_relative": record.mean_edp_pj_cycles / static.mean_edp_pj_cycles,
            "worst_latency_cycles": record.worst_latency_cycles,
            "weight_memory_bits": record.weight_memory_bits,
            "exits": _words(architecture.exits),
            "heads": _words(architecture.heads),
            "weight_bits": _words(architecture.weight_bits),
            "activation_bits": _words(architecture.activation_bits),
            "head_weight_bits": architecture.head_weight_bits,
            "head_activation_bits": architecture.head_activation_bits,
            "pe_arrays": _words(
                catalogue[index].label
                for catalogue, index in zip(accelerator.catalogues, record.genome.allocation, strict=True)
            ),
            "policy_target": record.genome.policy_target,
            "violation": record.violation,
            "rung": record.rung if record.trained else None,
            "training_samples": record.training_samples,
            "seconds": record.seconds,
            "architecture": architecture.key()[:12],
            "level": level.name,
            "clock_hz": level.clock_hz,
            "mean_latency_seconds": record.mean_latency_seconds,
            "mean_energy_joules": record.mean_energy_joules,
            "mean_edp_joule_seconds": record.mean_edp_joule_seconds,
            "worst_latency_seconds": record.worst_latency_seconds,
            "area_mm2": record.area_mm2,
            "batch_size": record.batch_size,
            "network": record.network.key()[:12],
        }

    def trials(
        self,
        trials: Sequence[FrozenTrial],
        generations: Sequence[int | None],
        records: Mapping[int, DesignRecord] | None = None,
    ) -> pd.DataFrame:
        """One row a trial, failed ones included; columns of results are empty where there is none.

        Args:
            trials: By number.
            generations: Of each.
            records: Trial number -> its result, where these were read before; None reads them.
        """
        from study.storage import record_of

        if records is None:
            found = {trial.number: record_of(trial) for trial in trials}
            records = {number: record for number, record in found.items() if record is not None}
        seconds = finished_seconds(trials, records)
        rows: list[dict[str, Any]] = []
        for trial, generation in zip(trials, generations, strict=True):
            record = records.get(trial.number)
            row: dict[str, Any] = {"trial": trial.number, "state": trial.state.name}
            row |= {} if record is None else self.columns(record)
            row["generation"] = generation
            row["finished_seconds"] = seconds.get(trial.number)
            row["failure"] = trial.user_attrs.get("failure")
            rows.append(row)
        frame = pd.DataFrame(rows, columns=["trial", "state", *self._shared(), *_TRIAL_ONLY])
        return frame.astype(dict.fromkeys(WHOLE_NUMBERS, "Int64"))

    def designs(self, designs: Sequence[Design]) -> pd.DataFrame:
        """One row a design that was evaluated, the derived ones included."""
        rows = [
            {"design": d.identifier, "trial": d.trial, "state": "COMPLETE", **self.columns(d.record)}
            for d in designs
        ]
        frame = pd.DataFrame(rows, columns=["design", "trial", "state", *self._shared()])
        return frame.astype({"rung": "Int64", "batch_size": "Int64"})

    def pareto(
        self, designs: Sequence[Design], table: pd.DataFrame | None = None
    ) -> tuple[pd.DataFrame, list[Design]]:
        """The front in the study's objectives and its members, by falling accuracy.

        Members of the headline front in (accuracy, mean energy-latency product) are marked; those that are not on
        the front of the objectives are added.

        Args:
            designs: All of the study.
            table: What `designs` makes of them, where that is there already.
        """
        records = [d.record for d in designs]
        headline = set(headline_front(records))
        members = sorted(
            headline | set(objective_front(records, self.objectives)), key=lambda i: -records[i].accuracy
        )
        frame = self.designs([designs[i] for i in members]) if table is None else table.iloc[members].copy()
        frame["headline"] = [i in headline for i in members]
        return frame, [designs[i] for i in members]

    def exits(self, members: Sequence[Design]) -> pd.DataFrame:
        """One row an exit of each front member."""
        rows = []
        known = self.hardware.costs_of([design.record.genome for design in members])
        for design, costs in zip(members, known, strict=True):
            record, architecture = design.record, design.record.genome.architecture
            last = architecture.n_blocks - 1
            for index, block in enumerate((*architecture.exits, last)):
                early = index < len(architecture.exits)
                latency, energy = costs.latency_cycles[0, index], costs.energy_pj[0, index]
                rows.append(
                    {
                        "design": design.identifier,
                        "trial": design.trial,
                        "exit": index,
                        "block": block,
                        "head": architecture.heads[index],
                        "threshold": record.thresholds[index] if early else None,
                        "ratio": record.exit_ratios[index],
                        "leaving_accuracy": record.leaving_accuracies[index],
                        "exit_accuracy": record.exit_accuracies[index],
                        "temperature": record.temperatures[index] if record.temperatures else 1.0,
                        "calibration_error": _at(record.calibration_errors, index),
                        "raw_calibration_error": _at(record.raw_calibration_errors, index),
                        "latency_cycles": latency,
                        "energy_pj": energy,
                        "edp_pj_cycles": latency * energy,
                        "split": SPLIT,
                        "latency_seconds": costs.latency_s[0, index],
                        "energy_joules": costs.energy_j[0, index],
                    }
                )
        return pd.DataFrame(rows, columns=_EXIT_COLUMNS)

    def layers(self, members: Sequence[Design], workers: int = 1) -> pd.DataFrame:
        """One row a layer of each front member, on the core it is mapped to.

        Args:
            members: Of the front.
            workers: Processes at most; the table is the same.
        """
        frames = in_order(partial(_layers_of, self.hardware), members, workers)
        return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame()

    def static_reference(self) -> dict[str, Any]:
        """The reference with the names of `trials.csv`, and the best static design beside it."""
        reference = self.reference
        return {
            "trial": None,  # no trial of the search
            "state": "COMPLETE",
            **self.columns(reference.record),
            "trained": reference.trained,
            "accuracy_alone": reference.accuracy_alone,
            "accuracy_jointly": reference.accuracy_jointly,
            "best_static": {"trial": None, "state": "COMPLETE", **self.columns(reference.best_static)},
        }

    def _shared(self) -> list[str]:
        return list(self.columns(self.reference.record))


def _layers_of(hardware: HardwareCosts, design: Design) -> pd.DataFrame:
    genome = design.record.genome
    workload = hardware.workload(genome.architecture)
    report = hardware.layer_report(genome)
    frame = pd.DataFrame(
        {
            "design": design.identifier,
            "trial": design.trial,
            "layer": workload.names,
            "op": [Op(value).name.lower() for value in workload.op],
            "segment": workload.segment,
            "head": workload.head,
            "core": report.core,
            "pe_array": report.pe_array,
            "macs": workload.macs,
            "weight_bits": workload.weight_bits,
            "input_bits": workload.input_bits,
            "output_bits": workload.output_bits,
            "start_cycles": report.start_cycle,
            "latency_cycles": report.latency_cycles,
            "energy_pj": report.energy_pj,
        }
    )
    for level, name in enumerate(report.level_names):
        frame[f"energy_{name}_pj"] = report.energy_by_level_pj[:, level]
    frame["latency_seconds"] = report.latency_cycles / design.record.clock_hz
    return frame


# Whole numbers, also in a table with rows that have none: a column is written alike whatever the trials are.
WHOLE_NUMBERS = (
    "generation", "weight_memory_bits", "training_samples", "rung", "batch_size", "head_weight_bits",
    "head_activation_bits",
)  # fmt: skip


def unique(designs: Iterable[Design]) -> list[Design]:
    """Each design once: the one of the highest rung, and of these one that was proposed before its derived twin."""
    seen: dict[str, Design] = {}
    for design in designs:
        known = seen.get(design.record.genome.key())
        if known is None or _precedence(design.record) > _precedence(known.record):
            seen[design.record.genome.key()] = design
    return list(seen.values())


def _precedence(record: DesignRecord) -> tuple[int, bool]:
    return record.rung, record.source != "derived"


def _words(values: Iterable[object]) -> str:
    return " ".join(str(value) for value in values)


_TRIAL_ONLY = ["generation", "finished_seconds", "failure"]

_EXIT_COLUMNS = [
    "design",
    "trial",
    "exit",
    "block",
    "head",
    "threshold",
    "ratio",
    "leaving_accuracy",
    "exit_accuracy",
    "temperature",
    "calibration_error",
    "raw_calibration_error",
    "latency_cycles",
    "energy_pj",
    "edp_pj_cycles",
    "split",
    "latency_seconds",
    "energy_joules",
]


def _at(values: tuple[float, ...], index: int) -> float | None:
    """An exit's value, None where it was not measured."""
    return values[index] if values else None
