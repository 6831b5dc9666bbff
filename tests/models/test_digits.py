from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits as load_bunch

from models.digits import load_digits


def test_sizes_and_classes() -> None:
    digits = load_digits(16)
    assert digits.train_images.shape == (1438, 1, 16, 16)
    assert digits.test_images.shape == (359, 1, 16, 16)
    assert digits.class_names == tuple("0123456789")
    assert not digits.mirror_safe
    counts = torch.bincount(digits.test_labels)
    assert int(counts.min()) >= 34
    assert int(counts.max()) <= 37


def test_train_and_test_are_all_digits_once() -> None:
    digits = load_digits(8)
    bunch = load_bunch()
    together = torch.cat([digits.train_images, digits.test_images]).flatten(1).numpy()
    labels = torch.cat([digits.train_labels, digits.test_labels]).numpy()
    expected = np.rint(bunch.images * 255 / 16).astype(np.uint8).reshape(-1, 64)
    rows = sorted(map(bytes, np.column_stack([together, labels.astype(np.uint8)])))
    assert rows == sorted(map(bytes, np.column_stack([expected, bunch.target.astype(np.uint8)])))


@pytest.mark.parametrize("size", [8, 32])
def test_loading_twice_gives_the_same(size: int) -> None:
    assert load_digits(size).fingerprint == load_digits(size).fingerprint
    assert load_digits(size).fingerprint != load_digits(12).fingerprint
