"""`refined.csv` and `refined_exits.csv`; `docs/refine.md` documents what they add to the tables of a run."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from statistics import stdev
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from models.predictions import ExitPredictions
from study.exit_sets import columns_of
from study.policy import answers
from study.record import DesignRecord
from study.reference import StaticReference
from study.refine.bootstrap import Answers, percentile_interval, resampled_accuracies
from study.refine.choice import Choice, RefinedDesign, mean_record
from study.refine.networks import Training
from study.tables import Design, TableMaker

if TYPE_CHECKING:
    from study.setup import StudyContext

Predictions = Mapping[Training, ExitPredictions]


@dataclass(frozen=True, eq=False)
class Measured:
    """One design on one split.

    Attributes:
        design: Which.
        replicates: Its results there, one a seed.
        right: (n_seeds, n_images) bool, whether the exit taken was right.
    """

    design: RefinedDesign
    replicates: tuple[DesignRecord, ...]
    right: np.ndarray

    @property
    def mean(self) -> DesignRecord:
        """Mean over the seeds."""
        return mean_record(self.replicates)


def on_split(choice: Choice, predictions: Predictions, context: StudyContext) -> list[Measured]:
    """Every chosen design with its own thresholds on the split the predictions are of."""
    evaluator, score = context.evaluator, context.config.space.score
    found = []
    for design in choice.everything:
        there = [
            predictions[training].select(columns_of(record.network, record.genome.architecture.exits))
            for training, record in zip(design.trainings, design.replicates, strict=True)
        ]
        records = tuple(map(evaluator.on_split, design.replicates, there))
        right = [
            answers(split, [*record.thresholds, -math.inf], score)
            for record, split in zip(design.replicates, there, strict=True)
        ]
        found.append(Measured(design, records, np.stack(right)))
    return found


class RefinedTables:
    """The tables of a refinement on one split.

    Args:
        choice: What was measured.
        measured: Results of `choice.everything`, in its order.
        split: Name of the split.
        context: Of the study.
        rng: For the bootstrap.
        validation: The tables of the validation split, whose intervals are told again; None: these are they.
    """

    def __init__(
        self,
        choice: Choice,
        measured: list[Measured],
        split: str,
        context: StudyContext,
        rng: np.random.Generator,
        validation: RefinedTables | None = None,
    ) -> None:
        self._choice, self._measured, self._split = choice, measured, split
        reference = measured[0].mean
        self._maker = TableMaker(
            context.hardware,
            StaticReference(
                reference, choice.trained, reference.accuracy, reference.accuracy, measured[1].mean
            ),
            context.evaluator.objectives,
        )
        self._validation = choice.reference.mean
        rows = [Answers(one.right, _from_the_same(one.design)) for one in measured]
        self._accuracies = resampled_accuracies(rows, rng)
        self._drops = [percentile_interval(self._accuracies[:, 0] - one) for one in self._accuracies.T]
        self._validation_drops = self._drops if validation is None else validation._drops

    def refined(self) -> pd.DataFrame:
        """One row a design: the static reference, the best static design, then the others by falling accuracy."""
        rows = [self._row(index, one) for index, one in enumerate(self._measured)]
        head, tail = rows[:2], sorted(rows[2:], key=lambda row: -row["accuracy"])
        frame = pd.DataFrame([*head, *tail])
        return frame.astype({"trial": "Int64", "rung": "Int64"})

    def exits(self) -> pd.DataFrame:
        """One row an exit of every seed of every design."""
        frames = []
        for one in self._measured:
            for training, record in zip(one.design.trainings, one.replicates, strict=True):
                frame = self._maker.exits([Design(record, -1)])
                frame["trial"] = one.design.trial
                frame["split"] = self._split
                frame.insert(2, "seed", training.replicate)
                frames.append(frame.astype({"trial": "Int64"}))
        return pd.concat(frames, ignore_index=True)

    def _row(self, index: int, one: Measured) -> dict[str, Any]:
        mean, validation = one.mean, one.design.mean
        accuracy = percentile_interval(self._accuracies[:, index])
        drop, validation_drop = self._drops[index], self._validation_drops[index]
        return {
            "design": one.design.identifier,
            "trial": one.design.trial,
            "state": "COMPLETE",
            **self._maker.columns(mean),
            "split": self._split,
            "headline": one.design.headline,
            "role": one.design.role,
            "seeds": len(one.replicates),
            "accuracy_std": _spread(one.replicates, lambda record: record.accuracy),
            "accuracy_low": accuracy[0],
            "accuracy_high": accuracy[1],
            "accuracy_drop_low": drop[0],
            "accuracy_drop_high": drop[1],
            "mean_edp_pj_cycles_std": _spread(one.replicates, lambda record: record.mean_edp_pj_cycles),
            "validation_accuracy": validation.accuracy,
            "validation_accuracy_drop": self._validation.accuracy - validation.accuracy,
            "validation_accuracy_drop_low": validation_drop[0],
            "validation_accuracy_drop_high": validation_drop[1],
            "validation_edp_relative": validation.mean_edp_joule_seconds
            / self._validation.mean_edp_joule_seconds,
        }


def _from_the_same(design: RefinedDesign) -> tuple[object, ...]:
    """Equal for designs that come from the same trainings: a joint one gives static networks with several heads."""
    return tuple((t.replicate, "jointly") if t.jointly else t for t in design.trainings)


def _spread(records: tuple[DesignRecord, ...], value: Callable[[DesignRecord], float]) -> float | None:
    """Standard deviation over seeds (n - 1); None of a single one."""
    return stdev(map(value, records)) if len(records) > 1 else None
