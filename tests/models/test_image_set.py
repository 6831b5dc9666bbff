from __future__ import annotations

import dataclasses

import pytest
import torch

from models.image_set import ImageSet, content_fingerprint


def image_set(n: int = 4) -> ImageSet:
    images = torch.arange(n * 3 * 8 * 8).to(torch.uint8).view(n, 3, 8, 8)
    labels = torch.arange(n) % 2
    names = ("cat", "dog")
    fingerprint = content_fingerprint(images, labels, images, labels, names)
    return ImageSet("set", images, labels, images, labels, names, fingerprint)


def test_properties() -> None:
    images = image_set()
    assert (images.channels, images.image_size, images.classes) == (3, 8, 2)


@pytest.mark.parametrize(
    "change",
    [
        {"train_images": torch.zeros(4, 3, 8, 8)},
        {"train_images": torch.zeros(4, 8, 8, dtype=torch.uint8)},
        {"train_images": torch.zeros(4, 1, 8, 8, dtype=torch.uint8)},
        {"train_labels": torch.zeros(3, dtype=torch.int64)},
        {"train_labels": torch.zeros(4, dtype=torch.int32)},
        {"test_labels": torch.full((4,), 2)},
        {"test_labels": torch.full((4,), -1)},
    ],
)
def test_tensors_that_do_not_fit_are_refused(change: dict[str, torch.Tensor]) -> None:
    with pytest.raises(ValueError, match="expected"):
        dataclasses.replace(image_set(), **change)


def test_the_fingerprint_sees_every_part() -> None:
    images = image_set()
    parts = [images.train_images, images.train_labels, images.test_images, images.test_labels]
    prints = {content_fingerprint(*parts, images.class_names), content_fingerprint(*parts, ("a", "b"))}  # type: ignore[arg-type]
    for index, part in enumerate(parts):
        changed = list(parts)
        changed[index] = part.clone()
        changed[index].view(-1)[0] ^= 1
        prints.add(content_fingerprint(*changed, images.class_names))  # type: ignore[arg-type]
    assert len(prints) == 6
