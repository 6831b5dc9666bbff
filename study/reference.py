"""The fixed static reference that every relative number is relative to, and the best static design beside it.

The reference has the study's backbone and data, 8 bit, no early exit, an `fc` final head, the default allocation and
the nominal voltage. It is trained twice with the budget of a trial: alone, and jointly with all exits; the better one
counts, because a reference that was trained worse than the candidates would flatter them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

from models.architecture import Architecture
from study.memo import TrainedNetwork
from study.record import DesignRecord

if TYPE_CHECKING:
    from study.evaluate import Evaluator

NO_LOSS = 0.002
"""Accuracy within which two designs count as equally accurate: 0.2 points."""

_ROUNDING = 1e-12
"""Far below one sample, far above what differences of fractions of samples round to."""

REFERENCE_HEAD = "fc"


def accuracy_floor(accuracy: float, drop: float) -> float:
    """The least accuracy of a design that loses at most `drop`; one that loses just that has it, however it rounds.

    Args:
        accuracy: Of the static reference.
        drop: As a fraction of 1.
    """
    return accuracy - drop - _ROUNDING


@dataclass(frozen=True)
class StaticReference:
    """The reference and what it was chosen from.

    Attributes:
        record: The reference design.
        trained: How the better of its two trainings was done.
        accuracy_alone: Validation accuracy when trained without exits, as a fraction.
        accuracy_jointly: Validation accuracy of its final exit when trained with all exits.
        best_static: The 8-bit static design of any final head, allocation and level with the lowest energy-latency
            product among those that meet the constraints and are within 0.2 points of the reference.
    """

    record: DesignRecord
    trained: Literal["alone", "jointly"]
    accuracy_alone: float
    accuracy_jointly: float
    best_static: DesignRecord

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values; `from_json` gives an equal reference back."""
        return {
            "record": self.record.to_json(),
            "trained": self.trained,
            "accuracy_alone": self.accuracy_alone,
            "accuracy_jointly": self.accuracy_jointly,
            "best_static": self.best_static.to_json(),
        }

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> StaticReference:
        """The reference that `to_json` wrote."""
        return cls(
            record=DesignRecord.from_json(values["record"]),
            trained=values["trained"],
            accuracy_alone=values["accuracy_alone"],
            accuracy_jointly=values["accuracy_jointly"],
            best_static=DesignRecord.from_json(values["best_static"]),
        )


def choose_reference(
    alone: TrainedNetwork, jointly: Mapping[str, TrainedNetwork], evaluator: Evaluator
) -> StaticReference:
    """Compares the trainings and costs the static designs.

    Args:
        alone: The reference architecture trained without exits.
        jointly: Per kind of final head, the final exit's predictions of one training with all exits.
        evaluator: Of the study.
    """
    joint = jointly[REFERENCE_HEAD]
    accuracy_alone = float(alone.validation.accuracies[-1])
    accuracy_jointly = float(joint.validation.accuracies[-1])
    trained: Literal["alone", "jointly"] = "alone" if accuracy_alone >= accuracy_jointly else "jointly"
    networks = {**jointly, REFERENCE_HEAD: alone if trained == "alone" else joint}
    default = tuple(evaluator.hardware.accelerator.default_allocation)
    network, architecture = networks[REFERENCE_HEAD], evaluator.hardware.static_architecture
    evaluator = evaluator.relative_to(evaluator.measure(architecture, network, default))
    designs = [
        design
        for head, trained_network in networks.items()
        for design in evaluator.derive(Architecture.static(architecture.n_blocks, head), trained_network)
    ]
    record = replace(
        evaluator.measure(architecture, network, default),
        source="proposed",  # a training of its own was spent on it
        training_samples=network.training_samples,
        seconds=network.seconds,
    )
    floor = accuracy_floor(record.accuracy, NO_LOSS)
    equal = [d for d in designs if d.feasible and d.accuracy >= floor]
    best = min([record, *equal], key=lambda d: d.mean_edp_pj_cycles)
    return StaticReference(record, trained, accuracy_alone, accuracy_jointly, best)
