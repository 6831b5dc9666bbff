"""What is worth knowing of a trained network beside what has to match: its images, its accuracy, its commit."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from hwcost.errors import OfframpError
from models.source_commit import source_commit

if TYPE_CHECKING:
    from models.predictions import ExitPredictions
    from models.training_data import TrainingData


@dataclasses.dataclass(frozen=True)
class CheckpointNotes:
    """Notes of a training; whoever deploys the network needs the first two to prepare an image.

    Attributes:
        mean: (channels,) subtracted from each channel of an image on the scale 0..1.
        std: (channels,) by which the result is divided.
        class_names: In the order of the logits.
        data_name: Short name of the data set.
        archive_name: File the images came from, without its path.
        content_sha256: Checksum of the decoded images.
        n_calibration: Images of the calibration split.
        n_validation: Images of the validation split.
        validation_accuracies: (n_exits,) accuracy of each exit if all samples left there, as fractions of 1; empty
            when not measured.
        commit: Of the source that trained it; empty when unknown.
    """

    mean: tuple[float, ...]
    std: tuple[float, ...]
    class_names: tuple[str, ...]
    data_name: str = ""
    archive_name: str = ""
    content_sha256: str = ""
    n_calibration: int = 0
    n_validation: int = 0
    validation_accuracies: tuple[float, ...] = ()
    commit: str = ""

    def __post_init__(self) -> None:
        finite = all(math.isfinite(value) for value in (*self.mean, *self.std))
        if not self.mean or len(self.mean) != len(self.std) or not finite or min(self.std) <= 0:
            raise OfframpError(
                f"expected one mean and one deviation above 0 per channel, got {list(self.mean)} and "
                f"{list(self.std)}"
            )

    @classmethod
    def of_training(cls, data: TrainingData, validation: ExitPredictions | None = None) -> CheckpointNotes:
        """The notes of a network that was trained just now.

        Args:
            data: What it was trained on.
            validation: What its exits said about the validation split.
        """
        accuracies = () if validation is None else tuple(float(a) for a in validation.accuracies)
        return cls(
            mean=data.mean,
            std=data.std,
            class_names=data.class_names,
            data_name=data.name,
            archive_name=data.archive_name,
            content_sha256=data.content_sha256,
            n_calibration=len(data.calibration_labels),
            n_validation=len(data.validation_labels),
            validation_accuracies=accuracies,
            commit=source_commit() or "",
        )

    def to_dict(self) -> dict[str, Any]:
        """JSON values."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> CheckpointNotes:
        """What `to_dict` gave.

        Raises:
            OfframpError: When a field is unknown or missing.
        """
        known = {field.name for field in dataclasses.fields(cls)}
        if set(values) != known:
            raise OfframpError(
                f"expected the notes {', '.join(sorted(known))}, got {', '.join(sorted(values))}; "
                "the checkpoint is of another version"
            )
        plain: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in values.items()}
        return cls(**plain)
