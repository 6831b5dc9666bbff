"""Data sets by name or path."""

from __future__ import annotations

from pathlib import Path

from hwcost.errors import OfframpError
from models.digits import load_digits
from models.image_set import ImageSet


def load_dataset(source: str, image_size: int, cache_dir: Path) -> ImageSet:
    """Return a data set (digits for now)."""
    if source == "digits":
        return load_digits(image_size)
    raise OfframpError(f"expected digits, cifar10 or a path, got {source}")
