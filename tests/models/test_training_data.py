from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from hwcost.errors import OfframpError
from models.augment_spec import AugmentSpec
from models.digits import load_digits
from models.image_set import ImageSet
from models.splits import SplitSpec
from models.training_data import TrainingData, channel_statistics, open_test_split, prepare


@pytest.fixture(scope="module")
def digits() -> ImageSet:
    return load_digits(8)


def rows(images: torch.Tensor) -> set[bytes]:
    return {bytes(image.numpy()) for image in images}


def test_splits_share_no_image_and_none_is_test(digits: ImageSet) -> None:
    data = prepare(digits)
    parts = [data.train_images, data.calibration_images, data.validation_images]
    assert sum(map(len, parts)) == len(digits.train_images)
    distinct = [rows(part) for part in parts]
    assert set().union(*distinct) == rows(digits.train_images)
    for part in distinct:
        # scikit-learn's digits have no repeated image, so an image tells where it came from
        assert not part & rows(digits.test_images)
    assert sum(map(len, distinct)) == len(digits.train_images)
    assert not any("test" in field.name for field in dataclasses.fields(TrainingData))


def test_statistics_are_of_the_train_split_alone(digits: ImageSet) -> None:
    data = prepare(digits)
    values = data.train_images.numpy().astype(np.float64) / 255
    np.testing.assert_allclose(data.mean, values.mean(axis=(0, 2, 3)), rtol=1e-12)
    np.testing.assert_allclose(data.std, values.std(axis=(0, 2, 3)), rtol=1e-12)
    changed = digits.train_images.clone()
    held_out = rows(data.validation_images) | rows(data.calibration_images)
    for index, image in enumerate(digits.train_images):
        if bytes(image.numpy()) in held_out:
            changed[index] = 255
    other = prepare(dataclasses.replace(digits, train_images=changed))
    assert (other.mean, other.std) == (data.mean, data.std)


def test_statistics_over_several_chunks() -> None:
    images = torch.randint(0, 256, (9000, 3, 4, 4), dtype=torch.uint8)
    mean, std = channel_statistics(images)
    values = images.numpy().astype(np.float64) / 255
    np.testing.assert_allclose(mean, values.mean(axis=(0, 2, 3)), rtol=1e-12)
    np.testing.assert_allclose(std, values.std(axis=(0, 2, 3)), rtol=1e-12)


def test_constant_images_are_refused() -> None:
    with pytest.raises(OfframpError, match="one value everywhere"):
        channel_statistics(torch.zeros(5, 1, 8, 8, dtype=torch.uint8))


def test_the_fingerprint_follows_data_splits_and_augmentation(digits: ImageSet) -> None:
    base = prepare(digits).fingerprint
    assert prepare(digits, SplitSpec(), AugmentSpec(flip=False)).fingerprint == base
    others = {
        prepare(digits, SplitSpec(seed=1)).fingerprint,
        prepare(digits, augment=AugmentSpec(cutout=2)).fingerprint,
        prepare(load_digits(12)).fingerprint,
    }
    assert len(others | {base}) == 4


def test_digits_are_not_mirrored_unless_asked(digits: ImageSet) -> None:
    assert prepare(digits).augment.flip is False
    assert prepare(digits, augment=AugmentSpec(flip=True)).augment.flip is True
    assert prepare(dataclasses.replace(digits, mirror_safe=True)).augment.flip is True


def test_augmentation_larger_than_the_image(digits: ImageSet) -> None:
    with pytest.raises(OfframpError, match="cutout below the image size 8"):
        prepare(digits, augment=AugmentSpec(cutout=9))


def test_moving_keeps_everything_else(digits: ImageSet) -> None:
    data = prepare(digits)
    moved = data.to("meta")
    assert moved.train_images.device.type == "meta"
    assert (moved.fingerprint, moved.mean) == (data.fingerprint, data.mean)


def test_the_test_split_is_opened_explicitly(digits: ImageSet) -> None:
    test = open_test_split(digits, SplitSpec())
    assert torch.equal(test.images, digits.test_images)
    assert test.mean == prepare(digits).mean
