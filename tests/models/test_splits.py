from __future__ import annotations

import subprocess
import sys

import numpy as np
import pydantic
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwcost.errors import OfframpError
from models.splits import Splits, SplitSpec, largest_remainder, make_splits, spread

CLASS_COUNTS = st.lists(st.integers(12, 60), min_size=2, max_size=8)
SHARES = st.floats(0.1, 0.4)


def labels_of(counts: list[int], seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).permutation(np.repeat(np.arange(len(counts)), counts))


@given(counts=CLASS_COUNTS, calibration=SHARES, validation=SHARES, seed=st.integers(0, 5))
def test_splits_are_a_stratified_partition(
    counts: list[int], calibration: float, validation: float, seed: int
) -> None:
    labels = labels_of(counts)
    spec = SplitSpec(calibration, validation, seed)
    splits = make_splits(labels, spec)
    together = np.concatenate([splits.train, splits.calibration, splits.validation])
    assert np.array_equal(np.sort(together), np.arange(labels.size))
    sizes = spec.counts(labels.size)
    assert (splits.calibration.size, splits.validation.size) == sizes
    for part, size in zip((splits.calibration, splits.validation), sizes, strict=True):
        found = np.bincount(labels[part], minlength=len(counts))
        quotas = np.array(counts) * size / labels.size
        assert np.all(np.abs(found - quotas) < 1)
    again = make_splits(labels, spec)
    assert again.fingerprint() == splits.fingerprint()


@given(counts=st.lists(st.integers(0, 1000), min_size=1, max_size=10), share=st.floats(0, 1))
def test_largest_remainder_adds_up_and_stays_near_the_quota(counts: list[int], share: float) -> None:
    array = np.array(counts, dtype=np.int64)
    total = int(share * array.sum())
    if not array.sum():
        return
    shares = largest_remainder(array, total)
    assert shares.sum() == total
    assert np.all(shares <= array)
    assert np.all(np.abs(shares - array * total / array.sum()) < 1)


def test_the_seed_decides_and_order_of_calls_does_not() -> None:
    labels = labels_of([50, 50])
    first = make_splits(labels, SplitSpec(seed=1)).fingerprint()
    assert make_splits(labels, SplitSpec(seed=2)).fingerprint() != first
    assert make_splits(labels, SplitSpec(seed=1)).fingerprint() == first


def test_defaults_divide_cifar10_as_designed() -> None:
    splits = make_splits(np.repeat(np.arange(10), 5000), SplitSpec())
    assert (splits.train.size, splits.calibration.size, splits.validation.size) == (40000, 5000, 5000)
    exact = SplitSpec(calibration=5000, validation=5000)
    assert make_splits(np.repeat(np.arange(10), 5000), exact).fingerprint() == splits.fingerprint()


def test_the_fingerprint_is_pinned() -> None:
    # Every cached training result depends on it: a change here makes all of them unreachable.
    splits = make_splits(np.arange(100) % 4, SplitSpec(seed=3))
    assert splits.fingerprint().startswith("ff2e45930794")


@pytest.mark.parametrize("value", [0, -1, 1.0, 0.0, float("nan"), True, "5", None])
def test_sizes_that_mean_nothing_are_refused(value: object) -> None:
    with pytest.raises(OfframpError, match="for the calibration split"):
        SplitSpec(calibration=value)  # type: ignore[arg-type]
    with pytest.raises(OfframpError, match="for the validation split"):
        SplitSpec(validation=value)  # type: ignore[arg-type]


@pytest.mark.parametrize("seed", [-1, 0.5, True])
def test_seeds_that_mean_nothing_are_refused(seed: object) -> None:
    with pytest.raises(OfframpError, match="seed"):
        SplitSpec(seed=seed)  # type: ignore[arg-type]


@pytest.mark.parametrize("size", [50, 100, 0.5])
def test_nothing_left_to_train_on(size: float) -> None:
    with pytest.raises(OfframpError, match="leave images to train on"):
        make_splits(labels_of([50, 50]), SplitSpec(size, size))


def test_a_class_that_is_too_small_is_named() -> None:
    with pytest.raises(OfframpError, match="images of class dog; add images"):
        make_splits(labels_of([50, 2, 50]), SplitSpec(), ("cat", "dog", "eel"))


def test_a_common_index_is_refused() -> None:
    part = np.array([1, 2])
    with pytest.raises(ValueError, match="twice"):
        Splits(part, np.array([3]), np.array([2]))


def test_a_configuration_can_embed_the_spec() -> None:
    adapter = pydantic.TypeAdapter(SplitSpec)
    assert adapter.validate_python({"calibration": 5000, "validation": 0.25}) == SplitSpec(5000, 0.25)
    assert isinstance(adapter.validate_python({"calibration": 5000}).calibration, int)
    for bad in ({"calibration": 0}, {"sead": 1}):
        with pytest.raises(pydantic.ValidationError):
            adapter.validate_python(bad)


@given(st.integers(0, 2000), st.integers(1, 300))
def test_some_images_are_distinct_and_evenly_spread(n_images: int, count: int) -> None:
    chosen = spread(n_images, count)
    assert len(chosen) == min(n_images, count) == len(set(chosen.tolist()))
    assert all(0 <= index < n_images for index in chosen)
    gaps = np.diff(chosen)
    assert gaps.size == 0 or gaps.max() - gaps.min() <= 1
    # so every part of the order, such as a class, has its share of them, to within one
    half = int((chosen < n_images // 2).sum())
    assert abs(half - len(chosen) / 2) <= 1


def test_importing_needs_no_torch() -> None:
    code = "import sys, models.splits, models.augment_spec; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
