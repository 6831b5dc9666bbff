"""Stratified, seeded division of the train images into train, calibration and validation.

The test images are no part of this: a data set brings its own, and only the final refinement of a
study may look at them. This module imports numpy alone, so a configuration can be read without torch.
"""

from __future__ import annotations

import dataclasses
import hashlib
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from hwcost.errors import OfframpError

IntArray = NDArray[np.int64]


@dataclasses.dataclass(frozen=True)
class SplitSpec:
    """How many of the train images are set aside.

    An integer is a number of images, a fraction below 1 a share of the train images. The defaults
    divide the 50,000 train images of CIFAR-10 into 40,000 / 5,000 / 5,000.

    Attributes:
        calibration: Images on which exit thresholds are tuned.
        validation: Images on which objectives are measured.
        seed: Seed of the generator that draws the images.
    """

    calibration: int | float = 0.1
    validation: int | float = 0.1
    seed: int = 0

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    def __post_init__(self) -> None:
        for name in ("calibration", "validation"):
            value = getattr(self, name)
            is_count = isinstance(value, int) and not isinstance(value, bool) and value >= 1
            is_share = isinstance(value, float) and 0.0 < value < 1.0
            if not (is_count or is_share):
                raise OfframpError(
                    f"expected a number of images (an integer from 1) or a share between 0 and 1 "
                    f"for the {name} split, got {value!r}"
                )
        if isinstance(self.seed, bool) or not isinstance(self.seed, int) or self.seed < 0:
            raise OfframpError(f"expected an integer from 0 as the seed of the splits, got {self.seed!r}")

    def counts(self, n_images: int) -> tuple[int, int]:
        """Return the sizes of the calibration and the validation split for ``n_images`` train images."""
        calibration, validation = (
            value if isinstance(value, int) else round(value * n_images)
            for value in (self.calibration, self.validation)
        )
        if calibration + validation >= n_images:
            raise OfframpError(
                f"expected calibration and validation to leave images to train on, got {calibration} + "
                f"{validation} of {n_images} train images; set smaller splits"
            )
        return calibration, validation


@dataclasses.dataclass(frozen=True, eq=False)
class Splits:
    """Indices into the train images, ascending within each split.

    Attributes:
        train: (n_train,) indices.
        calibration: (n_calibration,) indices.
        validation: (n_validation,) indices.
    """

    train: IntArray
    calibration: IntArray
    validation: IntArray

    def __post_init__(self) -> None:
        everything = np.concatenate([self.train, self.calibration, self.validation])
        if np.unique(everything).size != everything.size:
            raise ValueError("expected splits without a common image, got an index twice")

    def fingerprint(self) -> str:
        """Return the SHA-256 of the three index arrays: part of the key of every cached training result."""
        digest = hashlib.sha256()
        for name in ("train", "calibration", "validation"):
            indices = np.ascontiguousarray(getattr(self, name), dtype="<i8")
            digest.update(f"{name} {indices.size}\n".encode())
            digest.update(indices.tobytes())
        return digest.hexdigest()


def spread(n_images: int, count: int) -> IntArray:
    """Some images out of all, evenly: those of folders and splits come in order of their class.

    Args:
        n_images: Images there are.
        count: Images wanted, at most.

    Returns:
        (min(count, n_images),) ascending, distinct indices.
    """
    wanted = min(count, n_images)
    return np.arange(wanted, dtype=np.int64) * n_images // max(wanted, 1)


def largest_remainder(class_counts: IntArray, total: int) -> IntArray:
    """Share ``total`` out over classes in proportion to their size.

    The method of largest remainders: every class gets the rounded-down share, and the classes with
    the largest remainders (the first of equals) one more, so each share is within 1 of its quota.

    Args:
        class_counts: (n_classes,) images of each class.
        total: Images to share out, at most the sum of ``class_counts``.

    Returns:
        (n_classes,) shares that add up to ``total``.
    """
    quotas = class_counts.astype(np.int64) * total
    n_images = int(class_counts.sum())
    shares = quotas // n_images
    remainders = quotas - shares * n_images  # integers: no rounding can make two machines disagree
    order = np.argsort(-remainders, kind="stable")
    shares[order[: total - int(shares.sum())]] += 1
    return shares.astype(np.int64)


def make_splits(labels: IntArray, spec: SplitSpec, class_names: tuple[str, ...] = ()) -> Splits:
    """Divide the train images, each class in the same proportion.

    Args:
        labels: (n_images,) class index of each train image.
        spec: Sizes and seed.
        class_names: Used in messages only.

    Returns:
        The splits; the same labels and spec always give the same ones.

    Raises:
        OfframpError: When a class is too small to be in every split, or nothing would be left to train on.
    """
    labels = np.asarray(labels)
    n_calibration, n_validation = spec.counts(labels.size)
    class_counts = np.bincount(labels).astype(np.int64)
    calibration_counts = largest_remainder(class_counts, n_calibration)
    validation_counts = largest_remainder(class_counts, n_validation)
    train_counts = class_counts - calibration_counts - validation_counts
    smallest = np.minimum(np.minimum(train_counts, calibration_counts), validation_counts)
    if smallest.min() < 1:
        index = int(smallest.argmin())
        name = class_names[index] if index < len(class_names) else str(index)
        raise OfframpError(
            f"expected every class in the train, calibration and validation splits, got "
            f"{train_counts[index]}, {calibration_counts[index]} and {validation_counts[index]} images of "
            f"class {name}; add images of it or set other split sizes"
        )
    generator = np.random.default_rng(spec.seed)
    parts: list[list[IntArray]] = [[], [], []]
    for index in range(class_counts.size):
        members = generator.permutation(np.flatnonzero(labels == index)).astype(np.int64)
        bounds = [calibration_counts[index], calibration_counts[index] + validation_counts[index]]
        for part, chosen in zip(parts, np.split(members, bounds), strict=True):
            part.append(chosen)
    calibration, validation, train = (np.sort(np.concatenate(part)) for part in parts)
    return Splits(train=train, calibration=calibration, validation=validation)
