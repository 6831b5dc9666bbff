"""A float network of the same images divided otherwise is no start: it knows what results are measured on."""

from __future__ import annotations

import dataclasses
import functools
import tempfile
from pathlib import Path

import pytest
from safetensors.torch import save_file

from hwcost.errors import OfframpError
from models.augment_spec import AugmentSpec
from models.data import load_dataset
from models.float_weights import load_float_weights
from models.splits import SplitSpec
from models.tensor_file import read_tensors, write_tensors
from models.trained_on import TrainedOn, check_splits, from_values, to_values
from models.training_data import TrainingData, prepare
from models.warm_start import pretrain
from tests.models.small import PRETRAIN, SPEC, digits

SHORT = dataclasses.replace(PRETRAIN, epochs=1)


@functools.cache
def divided(seed: int, crop_padding: int = 1) -> TrainingData:
    """The digits of `small`, with other splits for other seeds than 0."""
    with tempfile.TemporaryDirectory() as folder:
        image_set = load_dataset("digits", 16, Path(folder))
    return prepare(image_set, SplitSpec(200, 200, seed), AugmentSpec(flip=False, crop_padding=crop_padding))


def other_images(data: TrainingData) -> TrainingData:
    """As another data set would be."""
    return dataclasses.replace(data, fingerprint="other", content_sha256="other", splits_sha256="other")


def warm_file(data: TrainingData, cache: Path, start: Path | None = None, seed: int = 0) -> Path:
    """The file of a pre-training."""
    before = set(cache.rglob("warm.safetensors"))
    weights = None if start is None else load_float_weights(start, SPEC)
    pretrain(SPEC, ("fc",), data, SHORT, cache, seed, start=weights)
    (path,) = set(cache.rglob("warm.safetensors")) - before
    return path


def test_other_splits_of_the_same_images_are_refused(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    first = warm_file(digits(), tmp_path)
    with pytest.raises(
        OfframpError, match="train split of digits, got ones of the same images with other splits"
    ) as caught:
        warm_file(divided(1), tmp_path, first)
    assert "\n" not in str(caught.value)
    assert len(list((tmp_path / "warm").iterdir())) == 1
    warm_file(divided(0, crop_padding=2), tmp_path, first)  # the same splits, other augmentation
    warm_file(other_images(divided(1)), tmp_path, first)
    assert not caplog.records


def test_what_came_before_the_start_counts_too(tmp_path: Path) -> None:
    first = warm_file(digits(), tmp_path)
    second = warm_file(other_images(digits()), tmp_path, first)
    with pytest.raises(OfframpError, match="other splits"):
        warm_file(divided(1), tmp_path, second)
    warm_file(digits(), tmp_path, second)


def forget(path: Path) -> None:
    """Makes the file of a warm start one of an earlier version, which did not say what it was trained on."""
    tensors, meta = read_tensors(path)
    assert from_values(meta)
    write_tensors(
        path, tensors, {n: v for n, v in meta.items() if n in ("accuracies", "training_samples", "seconds")}
    )


def test_files_of_earlier_versions_start_with_a_warning_and_serve_as_caches(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    first = warm_file(digits(), tmp_path)
    forget(first)
    steps: list[int] = []
    pretrain(
        SPEC, ("fc",), digits(), SHORT, tmp_path, 0, progress=lambda _s, done, _n, _a: steps.append(done)
    )
    assert not steps
    assert not caplog.messages
    second = warm_file(divided(1), tmp_path, first)
    (line,) = caplog.messages
    assert "do not say which images they were trained on" in line
    caplog.clear()
    pretrain(
        SPEC, ("fc",), divided(1), SHORT, tmp_path, 0, start=load_float_weights(first, SPEC)
    )  # cached by now
    assert not caplog.messages
    with pytest.raises(OfframpError, match="other splits"):
        warm_file(digits(), tmp_path, second)


def test_an_authors_own_weights_start_without_a_word(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    tensors, _ = read_tensors(warm_file(digits(), tmp_path))
    own = {n.removeprefix("state."): t for n, t in tensors.items() if n.startswith("state.")}
    save_file(own, tmp_path / "own.safetensors")
    warm_file(divided(1), tmp_path, tmp_path / "own.safetensors")
    assert not caplog.messages


def test_images_of_another_size_are_known_by_their_archive() -> None:
    data = dataclasses.replace(digits(), archive_sha256="archive")
    one = TrainedOn.of(data)
    assert one is not None
    smaller = dataclasses.replace(data, content_sha256="decoded smaller")
    check_splits([one], smaller)
    for other in (data, smaller):
        with pytest.raises(OfframpError, match="other splits"):
            check_splits([one], dataclasses.replace(other, splits_sha256="others"))
    nowhere = dataclasses.replace(smaller, archive_sha256="", splits_sha256="others")
    check_splits([one, dataclasses.replace(one, archive="")], nowhere)  # no archive is not the same archive


def test_values_come_back_once_each_and_broken_ones_as_none() -> None:
    one, two = TrainedOn("a", "", "b"), TrainedOn("a", "c", "d")
    assert from_values(to_values([one, two, one])) == (one, two)
    for broken in ({}, {"trained_on": 3}, {"trained_on": [1]}, {"trained_on": [{"images": "a"}]}):
        assert from_values(broken) == ()
