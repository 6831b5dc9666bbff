from __future__ import annotations

import hashlib
import io
import logging
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from hwcost.errors import OfframpError
from models.data import _to_tensor, load_dataset
from models.training_data import prepare
from tests.models.image_files import encoded, tree, write_folder, write_tar, write_zip


def test_digits_need_no_cache(tmp_path: Path) -> None:
    digits = load_dataset("digits", 8, tmp_path / "cache")
    assert digits.name == "digits"
    assert not (tmp_path / "cache").exists()


def test_an_archive_is_named_hashed_and_cached(tmp_path: Path) -> None:
    path = write_tar(tmp_path / "pets.tar.xz", tree())
    calls: list[int] = []
    first = load_dataset(str(path), 8, tmp_path / "cache", calls.append)
    assert calls == [12]
    assert (first.name, first.archive_name) == ("pets", "pets.tar.xz")
    assert first.archive_sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    renamed = path.rename(tmp_path / "animals.tar.xz")
    second = load_dataset(str(renamed), 8, tmp_path / "cache", calls.append)
    assert calls == [12]
    assert (second.name, second.archive_name) == ("animals", "animals.tar.xz")
    assert second.fingerprint == first.fingerprint
    other_size = load_dataset(str(renamed), 16, tmp_path / "cache", calls.append)
    assert calls == [12, 12]
    assert other_size.image_size == 16


@pytest.mark.parametrize("name", ["pets.tar.xz", "folder of pets"])
def test_data_behind_a_link_have_the_name_of_the_link(tmp_path: Path, name: str) -> None:
    """Stores that keep files by their checksum, without suffixes, give them names by links."""
    if name.endswith(".xz"):
        target = write_tar(tmp_path / "set.tar.xz", tree()).rename(tmp_path / "3f2a90")
    else:
        target = write_folder(tmp_path / "3f2a90", tree())
    (tmp_path / "links").mkdir()
    link = tmp_path / "links" / name
    link.symlink_to(target)
    found = load_dataset(str(link), 8, tmp_path / "cache")
    assert (found.name, found.archive_name) == (name.removesuffix(".tar.xz"), name)
    assert len(found.train_images) == 6


def test_a_folder_has_its_name_however_it_is_reached(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = write_folder(tmp_path / "pets", tree())
    monkeypatch.chdir(root)
    for source in (".", str(root / "train" / ".."), "../pets"):
        assert load_dataset(source, 8, tmp_path / "cache").name == "pets"


def test_a_changed_folder_is_decoded_again(tmp_path: Path) -> None:
    root = write_folder(tmp_path / "pets", tree())
    first = load_dataset(str(root), 8, tmp_path / "cache")
    assert first.archive_sha256 == ""
    (root / "train/cat/0000.png").write_bytes(encoded(777) + b"0")
    assert load_dataset(str(root), 8, tmp_path / "cache").fingerprint != first.fingerprint


@pytest.mark.parametrize("source", ["cifra10", "", "/no/such/set.zip", "no/such/folder"])
def test_unknown_sources(tmp_path: Path, source: str) -> None:
    with pytest.raises(OfframpError, match=r"expected digits, cifar10 or the path .*does not exist"):
        load_dataset(source, 8, tmp_path)


def test_files_that_are_no_archive(tmp_path: Path) -> None:
    path = tmp_path / "set.csv"
    path.write_text("1,2,3")
    with pytest.raises(OfframpError, match="expected a folder or an archive"):
        load_dataset(str(path), 8, tmp_path)
    with pytest.raises(OfframpError, match="expected a folder or an archive"):
        load_dataset("/dev/null", 8, tmp_path)


@pytest.mark.parametrize("size", [0, 7, 100000])
def test_image_sizes_out_of_range(tmp_path: Path, size: int) -> None:
    with pytest.raises(OfframpError, match="image size"):
        load_dataset("digits", size, tmp_path)


def test_bad_images_leave_no_cache_entry(tmp_path: Path) -> None:
    path = write_zip(tmp_path / "set.zip", tree() | {"train/cat/0001.png": b"broken"})
    for _ in range(2):
        with pytest.raises(OfframpError, match=r"0001\.png"):
            load_dataset(str(path), 8, tmp_path / "cache")
    assert not list((tmp_path / "cache" / "data").glob("*.safetensors"))


@pytest.mark.parametrize("size", [16, 32])
def test_arrays_become_what_the_same_images_in_files_become(tmp_path: Path, size: int) -> None:
    files = tree(size=32)
    names = sorted(name for name in files if name.startswith("train/"))
    arrays = np.stack([np.asarray(Image.open(io.BytesIO(files[name]))) for name in names])
    decoded = load_dataset(str(write_zip(tmp_path / "set.zip", files)), size, tmp_path)
    assert torch.equal(_to_tensor(arrays, size), decoded.train_images)


def test_cifar10_archive(cifar10_archive: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    images = load_dataset(str(cifar10_archive), 32, tmp_path)
    assert images.train_images.shape == (50000, 3, 32, 32)
    assert images.test_images.shape == (10000, 3, 32, 32)
    assert torch.bincount(images.train_labels).tolist() == [5000] * 10
    assert torch.bincount(images.test_labels).tolist() == [1000] * 10
    assert images.class_names[0] == "airplane"
    assert images.class_names[-1] == "truck"
    again = load_dataset(str(cifar10_archive), 32, tmp_path)
    assert again.fingerprint == images.fingerprint
    data = prepare(again)
    assert [len(data.train_labels), len(data.calibration_labels), len(data.validation_labels)] == [
        40000,
        5000,
        5000,
    ]
    assert torch.bincount(data.validation_labels).tolist() == [500] * 10
    # The known statistics of CIFAR-10's train images; re-encoding as JPEG moves them a little.
    assert data.mean == pytest.approx((0.4914, 0.4822, 0.4465), abs=0.004)
    assert data.std == pytest.approx((0.2470, 0.2435, 0.2616), abs=0.006)
    assert not caplog.records
