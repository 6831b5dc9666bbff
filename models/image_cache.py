"""Decoded data sets kept on disk: a safetensors file for the images, a JSON file beside it.

The JSON file is written last and holds the SHA-256 of the content, so a half-written or changed
entry is noticed and decoded again. A file lock lets the first of several processes decode while
the others wait; it dies with its process, so a kill leaves nothing to clean up.
"""

from __future__ import annotations

import contextlib
import dataclasses
import fcntl
import hashlib
import json
import logging
import os
from collections.abc import Callable, Iterator
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from models.image_set import ImageSet, content_fingerprint

_LOGGER = logging.getLogger(__name__)
_FORMAT = 1  # part of the key: raise it when decoding or resizing changes
_TENSORS = ("train_images", "train_labels", "test_images", "test_labels")


def cache_key(source_id: str, image_size: int) -> str:
    """Return the name of a cache entry: 32 hexadecimal digits over source, image size and format."""
    return hashlib.sha256(json.dumps([_FORMAT, source_id, image_size]).encode()).hexdigest()[:32]


def cached_images(cache_dir: Path, key: str, build: Callable[[], ImageSet]) -> ImageSet:
    """Return the entry ``key``, building and storing it when it is missing or damaged.

    A cache that cannot be written (disk full, read-only) costs time, not the run: a warning is
    logged and the images are returned all the same.

    Args:
        cache_dir: Folder of all caches; entries go into its ``data`` folder.
        key: Name of the entry, from ``cache_key``.
        build: Decodes the images.
    """
    folder = cache_dir / "data"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        _LOGGER.warning("decoded images are not kept: %s", error)
        return build()
    with _locked(folder / f"{key}.lock"):
        images = _load(folder, key)
        if images is None:
            images = build()
            try:
                _store(folder, key, images)
            except (OSError, SafetensorError) as error:
                _LOGGER.warning("decoded images are not kept: %s", error)
    return images


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Hold an exclusive lock; without one (read-only folder) work is at worst done twice."""
    try:
        stream = path.open("ab")
    except OSError:
        yield
        return
    with stream:
        # Some network file systems have no locks: then work is at worst done twice.
        with contextlib.suppress(OSError):
            fcntl.flock(stream, fcntl.LOCK_EX)
        yield


def _load(folder: Path, key: str) -> ImageSet | None:
    """Return an entry, or None when there is none or it is not what was stored."""
    description = folder / f"{key}.json"
    if not description.exists():
        return None
    try:
        fields = json.loads(description.read_text(encoding="utf-8"))
        tensors = load_file(folder / f"{key}.safetensors")
        images = ImageSet(
            name=str(fields["name"]),
            class_names=tuple(map(str, fields["class_names"])),
            fingerprint=str(fields["fingerprint"]),
            archive_name=str(fields["archive_name"]),
            archive_sha256=str(fields["archive_sha256"]),
            mirror_safe=bool(fields["mirror_safe"]),
            train_images=tensors["train_images"],
            train_labels=tensors["train_labels"],
            test_images=tensors["test_images"],
            test_labels=tensors["test_labels"],
        )
        found = content_fingerprint(
            images.train_images,
            images.train_labels,
            images.test_images,
            images.test_labels,
            images.class_names,
        )
        if found != images.fingerprint:
            raise ValueError(f"content has SHA-256 {found[:12]}, expected {images.fingerprint[:12]}")
        return images
    except (OSError, ValueError, KeyError, TypeError, SafetensorError) as error:
        reason = " ".join(str(error).split())
        _LOGGER.warning("cached images %s are damaged and are decoded again (%s)", key, reason)
        return None


def _store(folder: Path, key: str, images: ImageSet) -> None:
    for leftover in folder.glob(f"{key}.*.tmp"):  # of a process that was killed: we hold the lock
        leftover.unlink(missing_ok=True)
    fields = {
        field.name: getattr(images, field.name)
        for field in dataclasses.fields(images)
        if field.name not in _TENSORS
    }
    temporary = folder / f"{key}.{os.getpid()}.tmp"
    try:
        save_file({name: getattr(images, name).contiguous() for name in _TENSORS}, temporary)
        temporary.replace(folder / f"{key}.safetensors")
        temporary.write_text(json.dumps(fields, indent=1), encoding="utf-8")
        temporary.replace(folder / f"{key}.json")
    finally:
        temporary.unlink(missing_ok=True)
