"""Which images a float network was trained on, so that no study goes on from one that knows its other splits."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any

from hwcost.errors import OfframpError
from models.training_data import TrainingData

_KEY = "trained_on"
"""Of the list in the values of a warm start's file."""


@dataclasses.dataclass(frozen=True)
class TrainedOn:
    """The train split of one pre-training.

    Attributes:
        images: SHA-256 over the decoded images of all splits.
        archive: SHA-256 of the file they came from, by which they are known at another size too; may be empty.
        splits: SHA-256 over which of them belong to which split.
    """

    images: str
    archive: str
    splits: str

    @classmethod
    def of(cls, data: TrainingData) -> TrainedOn | None:
        """Of a training on these data; None where they do not say how they were divided."""
        if not (data.content_sha256 and data.splits_sha256):
            return None
        return cls(data.content_sha256, data.archive_sha256, data.splits_sha256)

    def has_images_of(self, other: TrainedOn) -> bool:
        """Whether both are of the same images."""
        return self.images == other.images or (self.archive != "" and self.archive == other.archive)


def check_splits(seen: Iterable[TrainedOn], data: TrainingData) -> None:
    """Refuses weights that were trained on the same images divided otherwise.

    Args:
        seen: What the weights were trained on, as far as that is known.
        data: What is to be trained on now.

    Raises:
        OfframpError: Images of the calibration or validation split were among those trained on.
    """
    now = TrainedOn.of(data)
    if now is not None and any(one.has_images_of(now) and one.splits != now.splits for one in seen):
        raise OfframpError(
            f"expected float weights trained on the train split of {data.name}, got ones of the same images with "
            "other splits, which know most of the calibration and validation images; use the splits (sizes and seed) "
            "of their study, or other weights"
        )


def to_values(seen: Iterable[TrainedOn]) -> dict[str, Any]:
    """JSON values for the file of a warm start."""
    return {_KEY: [dataclasses.asdict(one) for one in dict.fromkeys(seen)]}


def from_values(values: Mapping[str, Any]) -> tuple[TrainedOn, ...]:
    """What `to_values` wrote; nothing where a file has none of it, as those of earlier versions."""
    fields = [field.name for field in dataclasses.fields(TrainedOn)]
    try:
        return tuple(TrainedOn(*(str(entry[name]) for name in fields)) for entry in values[_KEY])
    except (KeyError, TypeError):
        return ()
