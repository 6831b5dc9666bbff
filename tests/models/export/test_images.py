import dataclasses
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from hwcost.errors import OfframpError
from models.augment import normalize_batch
from models.checkpoint import Checkpoint, CheckpointKeys, read_checkpoint
from models.data import load_dataset
from models.export.images import evaluation_images, notes_or_images
from models.splits import SplitSpec
from models.training_data import prepare
from tests.models.export.small_export import save
from tests.models.small import MIXED, SPEC, digits


@pytest.fixture
def checkpoint(tmp_path: Path) -> Checkpoint:
    return read_checkpoint(save(tmp_path / "network.safetensors"))


def pairs(images: np.ndarray, labels: np.ndarray) -> set[tuple[bytes, int]]:
    """Images with their labels, in no order."""
    return {(image.tobytes(), int(label)) for image, label in zip(images, labels, strict=True)}


def test_the_splits_of_the_training_are_made_again(checkpoint: Checkpoint, tmp_path: Path) -> None:
    data = digits()
    found = evaluation_images("digits", checkpoint, 1, tmp_path, 1000, 0)
    assert found.of_validation.tolist() == [True] * 200 + [False] * 200
    for part, images, labels in (
        (slice(0, 200), data.validation_images, data.validation_labels),
        (slice(200, 400), data.calibration_images, data.calibration_labels),
    ):
        expected = normalize_batch(images, data.mean, data.std).numpy()
        assert pairs(found.images[part], found.labels[part]) == pairs(expected, labels.numpy())
    assert (found.mean, found.std) == (data.mean, data.std)
    few = evaluation_images("digits", checkpoint, 1, tmp_path, 20, 0)
    np.testing.assert_array_equal(few.images, found.images[:20])
    assert few.description == "digits: 20 images of the validation split"


def test_another_seed_is_refused(checkpoint: Checkpoint, tmp_path: Path) -> None:
    with pytest.raises(OfframpError, match="another one by --split-seed 4; give the seed"):
        evaluation_images("digits", checkpoint, 1, tmp_path, 10, 4)


def test_images_that_do_not_fit_are_refused(checkpoint: Checkpoint, tmp_path: Path) -> None:
    with pytest.raises(
        OfframpError, match="images of 3 channels and 10 classes, got 1 channels and 10 classes"
    ):
        evaluation_images("digits", checkpoint, 3, tmp_path, 10, 0)


def test_of_other_data_the_test_images_are_taken(checkpoint: Checkpoint, tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    for part, n in (("train", 12), ("test", 3)):
        for name in range(10):
            folder = tmp_path / "other" / part / str(name)
            folder.mkdir(parents=True)
            for index in range(n):
                pixels = generator.integers(0, 255, (16, 16), dtype=np.uint8)
                Image.fromarray(pixels).save(folder / f"{index}.png")
    found = evaluation_images(str(tmp_path / "other"), checkpoint, 1, tmp_path / "cache", 25, 0)
    assert found.description == "other: 25 test images (not the data of the training)"
    assert len(set(found.labels.tolist())) == 10  # not the first 25 of a folder, which are sorted by class
    assert not found.of_validation.any()
    assert found.mean == digits().mean  # an image is prepared as the network was trained


def test_a_checkpoint_of_the_first_format_says_less(tmp_path: Path) -> None:
    everything = load_dataset("digits", 16, tmp_path)
    default = prepare(everything, SplitSpec())
    keys = CheckpointKeys(MIXED, SPEC.name, 10, 16, default.fingerprint, "")
    known = Checkpoint(keys, {})
    found = evaluation_images("digits", known, 1, tmp_path, 50, 0)
    assert found.description == "digits: 50 images of the validation split"
    expected = normalize_batch(default.validation_images, default.mean, default.std).numpy()
    assert pairs(found.images, found.labels) < pairs(expected, default.validation_labels.numpy())
    assert notes_or_images(known, found).mean == default.mean
    unknown = Checkpoint(dataclasses.replace(keys, data="something else"), {})
    found = evaluation_images("digits", unknown, 1, tmp_path, 50, 0)
    assert found.description == "digits: 50 test images (the split of the training is not known)"
