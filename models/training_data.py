"""What training sees of a data set: the train, calibration and validation splits, never the test images."""

from __future__ import annotations

import dataclasses
import hashlib
import json

import torch
from torch import Tensor

from hwcost.errors import OfframpError
from models.augment_spec import AugmentSpec
from models.image_set import ImageSet
from models.splits import SplitSpec, make_splits

_CHUNK_IMAGES = 4096


@dataclasses.dataclass(frozen=True, eq=False)
class TrainingData:
    """The splits of one data set with the statistics that normalize it.

    Attributes:
        name: Name of the data set.
        class_names: Names of the classes, in the order of the labels.
        train_images: (n_train, c, h, w) uint8.
        train_labels: (n_train,) int64.
        calibration_images: (n_calibration, c, h, w) uint8: exit thresholds are tuned on these.
        calibration_labels: (n_calibration,) int64.
        validation_images: (n_validation, c, h, w) uint8: objectives are measured on these.
        validation_labels: (n_validation,) int64.
        mean: (c,) mean of each channel of the train split, on the scale 0..1.
        std: (c,) standard deviation of each channel of the train split, on the scale 0..1.
        augment: Random changes for the train split, with every choice made.
        fingerprint: SHA-256 over images, splits and augmentation: part of every training key.
        archive_name: File that the images came from, without its path.
        archive_sha256: SHA-256 of that file, empty when there is none.
        content_sha256: SHA-256 over the decoded images and labels of all splits.
        splits_sha256: SHA-256 over which images are in which split, empty when that is not known.
    """

    name: str
    class_names: tuple[str, ...]
    train_images: Tensor
    train_labels: Tensor
    calibration_images: Tensor
    calibration_labels: Tensor
    validation_images: Tensor
    validation_labels: Tensor
    mean: tuple[float, ...]
    std: tuple[float, ...]
    augment: AugmentSpec
    fingerprint: str
    archive_name: str = ""
    archive_sha256: str = ""
    content_sha256: str = ""
    splits_sha256: str = ""

    def __post_init__(self) -> None:
        shape = self.train_images.shape[1:]
        for part in ("train", "calibration", "validation"):
            images, labels = getattr(self, f"{part}_images"), getattr(self, f"{part}_labels")
            if images.dtype != torch.uint8 or images.shape[1:] != shape or len(images) == 0:
                raise ValueError(
                    f"expected {part} images uint8 (n, {', '.join(map(str, shape))}), got {images.dtype} "
                    f"{tuple(images.shape)}"
                )
            if labels.dtype != torch.int64 or labels.shape != images.shape[:1]:
                raise ValueError(f"expected one int64 label for each of the {len(images)} {part} images")
        if len(self.mean) != self.channels or len(self.std) != self.channels or min(self.std) <= 0:
            raise ValueError(f"expected {self.channels} means and positive deviations, got {self.std}")
        self.augment.check_image_size(self.image_size)

    @property
    def classes(self) -> int:
        """Number of classes."""
        return len(self.class_names)

    @property
    def channels(self) -> int:
        """Colour channels: 1 or 3."""
        return int(self.train_images.shape[1])

    @property
    def image_size(self) -> int:
        """Height and width in pixels."""
        return int(self.train_images.shape[2])

    def to(self, device: torch.device | str) -> TrainingData:
        """Return the same data with every tensor on ``device``."""
        moved = {
            field.name: getattr(self, field.name).to(device)
            for field in dataclasses.fields(self)
            if isinstance(getattr(self, field.name), Tensor)
        }
        return dataclasses.replace(self, **moved)


@dataclasses.dataclass(frozen=True, eq=False)
class TestSplit:
    """The test images with the statistics of the train split.

    Attributes:
        images: (n_test, c, h, w) uint8.
        labels: (n_test,) int64.
        mean: (c,) mean of each channel of the train split, on the scale 0..1.
        std: (c,) standard deviation of each channel of the train split, on the scale 0..1.
    """

    __test__ = False  # not a test class, whatever its name says to pytest

    images: Tensor
    labels: Tensor
    mean: tuple[float, ...]
    std: tuple[float, ...]


def prepare(
    image_set: ImageSet, split_spec: SplitSpec | None = None, augment: AugmentSpec | None = None
) -> TrainingData:
    """Divide the train images and compute the statistics of the train split.

    Args:
        image_set: The data set.
        split_spec: Sizes and seed of the splits; None takes the defaults.
        augment: Random changes for training; None takes the defaults (no mirroring where that would
            change a class).

    Raises:
        OfframpError: When a class is too small for the splits, a channel is constant, or the
            augmentation does not fit the image size.
    """
    splits = make_splits(image_set.train_labels.numpy(), split_spec or SplitSpec(), image_set.class_names)
    chosen = (augment or AugmentSpec()).resolved(image_set.mirror_safe)
    parts: dict[str, Tensor] = {}
    for name in ("train", "calibration", "validation"):
        indices = torch.from_numpy(getattr(splits, name))
        parts[f"{name}_images"] = image_set.train_images[indices]
        parts[f"{name}_labels"] = image_set.train_labels[indices]
    mean, std = channel_statistics(parts["train_images"])
    seen = json.dumps(
        [image_set.fingerprint, splits.fingerprint(), dataclasses.asdict(chosen)], sort_keys=True
    )
    return TrainingData(
        name=image_set.name,
        class_names=image_set.class_names,
        mean=mean,
        std=std,
        augment=chosen,
        fingerprint=hashlib.sha256(seen.encode()).hexdigest(),
        archive_name=image_set.archive_name,
        archive_sha256=image_set.archive_sha256,
        content_sha256=image_set.fingerprint,
        splits_sha256=splits.fingerprint(),
        **parts,
    )


def open_test_split(image_set: ImageSet, split_spec: SplitSpec | None = None) -> TestSplit:
    """Return the test images, normalized by the statistics of the train split that training used.

    A study never calls this: whatever has been compared on these images is no longer a fair test.
    """
    splits = make_splits(image_set.train_labels.numpy(), split_spec or SplitSpec(), image_set.class_names)
    mean, std = channel_statistics(image_set.train_images[torch.from_numpy(splits.train)])
    return TestSplit(image_set.test_images, image_set.test_labels, mean, std)


def channel_statistics(images: Tensor) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return mean and standard deviation of each channel of uint8 images, on the scale 0..1.

    The sums are of integers, so the result does not depend on order or threads.

    Args:
        images: (n, c, h, w) uint8.

    Raises:
        OfframpError: When a channel has one value everywhere.
    """
    sums = torch.zeros(images.shape[1], dtype=torch.int64)
    squares = torch.zeros_like(sums)
    for chunk in images.split(_CHUNK_IMAGES):
        values = chunk.to(torch.int32)
        sums += values.sum(dim=(0, 2, 3), dtype=torch.int64)
        squares += values.square_().sum(dim=(0, 2, 3), dtype=torch.int64)
    count = images.shape[0] * images.shape[2] * images.shape[3]
    mean, std = [], []
    for total, square in zip(sums.tolist(), squares.tolist(), strict=True):
        variance = (square * count - total * total) / count**2
        if variance <= 0:
            raise OfframpError(
                "expected train images that differ, got a channel with one value everywhere; "
                "check the images (are they black?)"
            )
        mean.append(total / count / 255.0)
        std.append(variance**0.5 / 255.0)
    return tuple(mean), tuple(std)
