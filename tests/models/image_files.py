"""Real image files, folders and archives for tests of the data sources."""

from __future__ import annotations

import io
import tarfile
import zipfile
from pathlib import Path

import numpy as np
from PIL import Image


def encoded(seed: int, size: int = 10, mode: str = "RGB", file_format: str = "PNG") -> bytes:
    """Return an encoded random image; the same seed gives the same image."""
    shape = (size, size) if mode == "L" else (size, size, len(mode))
    pixels = np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, format=file_format)
    return stream.getvalue()


def tree(per_class: int = 3, classes: tuple[str, ...] = ("cat", "dog"), **image: object) -> dict[str, bytes]:
    """Return path -> bytes of a well-formed data set."""
    files: dict[str, bytes] = {}
    for part in ("train", "test"):
        for name in classes:
            for number in range(per_class):
                files[f"{part}/{name}/{number:04d}.png"] = encoded(len(files), **image)  # type: ignore[arg-type]
    return files


def write_folder(root: Path, files: dict[str, bytes]) -> Path:
    for name, data in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(data)
    return root


def write_tar(path: Path, files: dict[str, bytes], mode: str = "w:xz", folders: tuple[str, ...] = ()) -> Path:
    with tarfile.open(path, mode) as archive:  # type: ignore[call-overload]
        for name in folders:
            info = tarfile.TarInfo(name)
            info.type = tarfile.DIRTYPE
            archive.addfile(info)
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return path


def write_zip(path: Path, files: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return path
