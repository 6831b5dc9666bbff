"""Real images to compare networks on."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from hwcost.errors import OfframpError
from models.augment import normalize_batch
from models.checkpoint import Checkpoint
from models.checkpoint_notes import CheckpointNotes
from models.data import load_dataset
from models.image_set import ImageSet
from models.splits import Splits, SplitSpec, make_splits
from models.training_data import channel_statistics, prepare


@dataclasses.dataclass(frozen=True, eq=False)
class EvaluationImages:
    """Images the network was not trained on, as far as that can be known.

    Attributes:
        images: (n, c, h, w) float32, normalized as in training.
        labels: (n,) int64.
        description: What they are, for the model card.
        of_validation: (n,) whether an image belongs to the validation split of the training; all False where the
            splits of the training are not known.
        mean: (channels,) that was subtracted, on the scale 0..1.
        std: (channels,) that was divided by.
        class_names: Of the data.
    """

    images: npt.NDArray[np.float32]
    labels: npt.NDArray[np.int64]
    description: str
    of_validation: npt.NDArray[np.bool_]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    class_names: tuple[str, ...]


def evaluation_images(
    source: str, checkpoint: Checkpoint, channels: int, cache: Path, n_images: int, split_seed: int
) -> EvaluationImages:
    """The validation split of the training and then its calibration split, where both can be made again.

    They can when the data are those of the training and the split seed gives the same statistics of the train split.
    Of other data the test images are taken.

    Args:
        source: See `models.data.load_dataset`.
        checkpoint: Says what images the network takes.
        channels: Of the images.
        cache: Where decoded images are kept.
        n_images: At most.
        split_seed: Of the study that trained the network.

    Raises:
        OfframpError: When the data cannot be used, do not fit the network, or were split differently.
    """
    keys, notes = checkpoint.keys, checkpoint.notes
    found = load_dataset(source, keys.image_size, cache)
    if (found.channels, found.classes) != (channels, keys.classes):
        raise OfframpError(
            f"expected images of {channels} channels and {keys.classes} classes, got {found.channels} channels "
            f"and {found.classes} classes from {source}; name the data the network was trained on"
        )
    if notes is not None and notes.content_sha256 not in ("", found.fingerprint):
        return _of_test(found, notes.mean, notes.std, n_images, "not the data of the training")
    splits = _training_splits(found, checkpoint, split_seed)
    if splits is None and notes is not None and notes.content_sha256:
        raise OfframpError(
            f"expected the split of the data this network was trained with, got another one by --split-seed "
            f"{split_seed}; give the seed of its study"
        )
    if splits is None:
        mean, std = (notes.mean, notes.std) if notes is not None else channel_statistics(found.train_images)
        return _of_test(found, mean, std, n_images, "the split of the training is not known")
    mean, std = channel_statistics(found.train_images[torch.from_numpy(splits.train)])
    rows = np.concatenate([_shuffled(splits.validation), _shuffled(splits.calibration)])[:n_images]
    indices = torch.from_numpy(rows)
    is_validation = np.arange(len(rows)) < len(splits.validation)
    n_validation = int(is_validation.sum())
    also = f" and {len(rows) - n_validation} of its calibration split" if n_validation < len(rows) else ""
    return EvaluationImages(
        _normalized(found.train_images[indices], mean, std),
        found.train_labels[indices].numpy(),
        f"{found.name}: {n_validation} images of the validation split{also}",
        is_validation,
        mean,
        std,
        found.class_names,
    )


def _training_splits(found: ImageSet, checkpoint: Checkpoint, seed: int) -> Splits | None:
    """The splits of the training, if they can be made again and are known to be the same."""
    labels = found.train_labels.numpy()
    notes = checkpoint.notes
    if notes is None:
        # Of a file of the first format the fingerprint of the data is all there is: the defaults are tried.
        spec = SplitSpec(seed=seed)
        same = prepare(found, spec).fingerprint == checkpoint.keys.data
        return make_splits(labels, spec) if same else None
    if not (notes.n_calibration and notes.n_validation):
        return None
    splits = make_splits(labels, SplitSpec(notes.n_calibration, notes.n_validation, seed))
    same = _statistics(found, splits) == (notes.mean, notes.std)
    return splits if same else None


def _statistics(found: ImageSet, splits: Splits) -> tuple[tuple[float, ...], tuple[float, ...]]:
    return channel_statistics(found.train_images[torch.from_numpy(splits.train)])


def _of_test(
    found: ImageSet, mean: tuple[float, ...], std: tuple[float, ...], n_images: int, why: str
) -> EvaluationImages:
    indices = torch.from_numpy(_shuffled(np.arange(len(found.test_images)))[:n_images])
    images = found.test_images[indices]
    return EvaluationImages(
        _normalized(images, mean, std),
        found.test_labels[indices].numpy(),
        f"{found.name}: {len(images)} test images ({why})",
        np.zeros(len(images), dtype=np.bool_),
        mean,
        std,
        found.class_names,
    )


def _shuffled(rows: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """In an order that is always the same: images come sorted by class, and any first few are to be of all."""
    return np.random.default_rng(0).permutation(rows)


def _normalized(
    images: torch.Tensor, mean: tuple[float, ...], std: tuple[float, ...]
) -> npt.NDArray[np.float32]:
    normalized: npt.NDArray[np.float32] = normalize_batch(images, mean, std).contiguous().numpy()
    return normalized


def notes_or_images(checkpoint: Checkpoint, images: EvaluationImages) -> CheckpointNotes:
    """The notes of the checkpoint, or what the images tell where it has none."""
    if checkpoint.notes is not None:
        return checkpoint.notes
    return CheckpointNotes(images.mean, images.std, images.class_names)
