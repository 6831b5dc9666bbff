"""Data sets by name or path: digits, CIFAR-10, or any folder or archive of images."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from hwcost.errors import OfframpError
from models.data_path import find_data
from models.digits import load_digits
from models.image_archive import ARCHIVE_SUFFIXES, identify, is_archive
from models.image_cache import cache_key, cached_images
from models.image_decode import DecodeProgress, decode_tree, resize
from models.image_set import ImageSet, content_fingerprint

__all__ = ["NAMED_SOURCES", "ImageSet", "load_dataset"]

NAMED_SOURCES = ("digits", "cifar10")
_MIN_IMAGE_SIZE, _MAX_IMAGE_SIZE = 8, 1024


def load_dataset(
    source: str, image_size: int, cache_dir: Path, progress: DecodeProgress | None = None
) -> ImageSet:
    """Return a data set with every image resized to ``image_size``.

    Args:
        source: ``digits`` (embedded in scikit-learn), ``cifar10`` (downloaded once), or the path of a
            folder or archive with ``train/<class>/`` and ``test/<class>/`` images.
        image_size: Height and width in pixels.
        cache_dir: Where decoded images and downloads are kept.
        progress: Called now and then with the number of images decoded so far.

    Raises:
        OfframpError: When the source is unknown or something in it cannot be used.
    """
    if not _MIN_IMAGE_SIZE <= image_size <= _MAX_IMAGE_SIZE:
        raise OfframpError(
            f"expected an image size of {_MIN_IMAGE_SIZE}..{_MAX_IMAGE_SIZE} pixels, got {image_size}"
        )
    if source == "digits":
        return load_digits(image_size)
    if source == "cifar10":
        key = cache_key("torchvision CIFAR10", image_size)
        return cached_images(cache_dir, key, lambda: _build_cifar10(image_size, cache_dir))
    return _load_path(source, image_size, cache_dir, progress)


def _load_path(source: str, image_size: int, cache_dir: Path, progress: DecodeProgress | None) -> ImageSet:
    path = find_data(source)
    if path is None:
        raise OfframpError(
            f"expected {', '.join(NAMED_SOURCES)} or the path of a folder or archive as the data, "
            f"got {source!r}, which does not exist"
        )
    if not path.is_dir() and not (path.is_file() and is_archive(path)):
        raise OfframpError(
            f"expected a folder or an archive ({', '.join(ARCHIVE_SUFFIXES)}) as the data, got {source!r}"
        )
    path = path.absolute()  # a link keeps its own name, which tells what kind of archive it leads to
    if path.name in ("", ".."):
        path = path.resolve()
    identity = identify(path)
    sha256 = "" if path.is_dir() else identity
    key = cache_key(identity, image_size)
    images = cached_images(cache_dir, key, lambda: decode_tree(path, image_size, progress))
    # The same bytes may have been cached under another file name.
    return dataclasses.replace(images, name=_stem(path), archive_name=path.name, archive_sha256=sha256)


def _stem(path: Path) -> str:
    name = path.name
    for suffix in ARCHIVE_SUFFIXES:
        if not path.is_dir() and name.lower().endswith(suffix):
            return name[: -len(suffix)]
    return name


def _build_cifar10(image_size: int, cache_dir: Path) -> ImageSet:
    from models.torchvision_adapter import load_cifar10

    arrays = load_cifar10(cache_dir / "downloads")
    train_images = _to_tensor(arrays.train_images, image_size)
    test_images = _to_tensor(arrays.test_images, image_size)
    train_labels, test_labels = map(torch.from_numpy, (arrays.train_labels, arrays.test_labels))
    names = arrays.class_names
    return ImageSet(
        name="cifar10",
        train_images=train_images,
        train_labels=train_labels,
        test_images=test_images,
        test_labels=test_labels,
        class_names=names,
        fingerprint=content_fingerprint(train_images, train_labels, test_images, test_labels, names),
        archive_name=arrays.archive.name,
        archive_sha256=identify(arrays.archive) if arrays.archive.is_file() else "",
    )


def _to_tensor(images: NDArray[np.uint8], image_size: int) -> Tensor:
    """Return (n, c, s, s) uint8 of (n, h, w, c) uint8 images."""
    if images.shape[1:3] != (image_size, image_size):
        images = np.stack([np.asarray(resize(Image.fromarray(image), image_size)) for image in images])
    return torch.from_numpy(np.ascontiguousarray(images.transpose(0, 3, 1, 2)))
