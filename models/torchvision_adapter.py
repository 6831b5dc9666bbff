"""All of torchvision: nothing else in the project imports it.

torchvision's Linux wheel is linked against CUDA. Beside a CPU-only torch its compiled extension cannot
load, and ``import torchvision`` then fails where it registers shapes for operators that the
extension should have declared. Declaring these operators first, without implementing them, is
enough for data sets, transforms and models.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import importlib
import importlib.util
import io
import sys
import urllib.error
import urllib.request
from pathlib import Path
from types import ModuleType

import numpy as np
import torch
from numpy.typing import NDArray
from torch import library

from hwcost.errors import OfframpError

_MISSING_OPERATORS = ("nms", "qnms")
_SCHEMA = "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"
_PROBE_SECONDS = 15.0


@dataclasses.dataclass(frozen=True, eq=False)
class Cifar10Arrays:
    """CIFAR-10 as torchvision holds it.

    Attributes:
        train_images: (50000, 32, 32, 3) uint8.
        train_labels: (50000,) int64.
        test_images: (10000, 32, 32, 3) uint8.
        test_labels: (10000,) int64.
        class_names: The ten classes in the order of the labels.
        archive: The downloaded file; it may have been deleted since.
    """

    train_images: NDArray[np.uint8]
    train_labels: NDArray[np.int64]
    test_images: NDArray[np.uint8]
    test_labels: NDArray[np.int64]
    class_names: tuple[str, ...]
    archive: Path


@functools.cache  # one import a process
def torchvision_module() -> ModuleType:
    """Return torchvision, imported so that it also works beside a CPU-only torch.

    Raises:
        OfframpError: When it is not installed or does not go with this torch.
    """
    if "torchvision" in sys.modules:
        return sys.modules["torchvision"]
    specification = importlib.util.find_spec("torchvision")
    if specification is None or not specification.submodule_search_locations:
        raise OfframpError("expected torchvision to be installed, found none; run: pip install torchvision")
    if not _extension_loads(Path(specification.submodule_search_locations[0])):
        for name in _MISSING_OPERATORS:
            library.define(f"torchvision::{name}", _SCHEMA)
    try:
        return importlib.import_module("torchvision")
    except (ImportError, RuntimeError) as error:
        reason = " ".join(str(error).split())
        raise OfframpError(
            f"expected a torchvision that goes with torch {torch.__version__}, got an import error "
            f"({reason}); install the matching version"
        ) from error


def _extension_loads(package: Path) -> bool:
    """Whether torchvision's compiled operators can be loaded into this torch."""
    for extension in [*package.glob("_C*.so"), *package.glob("_C*.pyd")]:
        with contextlib.suppress(OSError):
            torch.ops.load_library(str(extension))
            return True
    return False


def load_cifar10(folder: Path) -> Cifar10Arrays:
    """Return CIFAR-10 from ``folder``, downloading it first when it is not there (170 MB).

    torchvision checks the MD5 of every file before it reads it.

    Raises:
        OfframpError: When it can neither be found nor downloaded.
    """
    dataset = torchvision_module().datasets.CIFAR10
    parts = []
    try:
        for train in (True, False):
            with contextlib.suppress(RuntimeError):  # what it says when a file is missing or damaged
                parts.append(dataset(root=str(folder), train=train, download=False))
                continue
            _probe(dataset.url)
            with contextlib.redirect_stdout(io.StringIO()):
                parts.append(dataset(root=str(folder), train=train, download=True))
    except (OSError, RuntimeError, EOFError) as error:  # URLError is an OSError
        reason = " ".join(str(error).split())
        raise OfframpError(
            f"expected to download CIFAR-10 into the cache, but that failed ({reason}); connect to the "
            f"internet, or pass a folder or archive with train/<class>/ and test/<class>/ images as the data"
        ) from error
    train_part, test_part = parts
    return Cifar10Arrays(
        train_images=np.asarray(train_part.data, dtype=np.uint8),
        train_labels=np.asarray(train_part.targets, dtype=np.int64),
        test_images=np.asarray(test_part.data, dtype=np.uint8),
        test_labels=np.asarray(test_part.targets, dtype=np.int64),
        class_names=tuple(train_part.classes),
        archive=folder / dataset.filename,
    )


def _probe(url: str) -> None:
    """Fail within seconds where there is no way to ``url``: the download itself waits without limit."""
    request = urllib.request.Request(url, method="HEAD")
    # An answer of any status is an answer.
    with contextlib.suppress(urllib.error.HTTPError), urllib.request.urlopen(request, timeout=_PROBE_SECONDS):
        pass
