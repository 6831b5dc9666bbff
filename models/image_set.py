"""A data set as uint8 tensors: what every data source turns into."""

from __future__ import annotations

import dataclasses
import hashlib
import json

import torch
from torch import Tensor


@dataclasses.dataclass(frozen=True, eq=False)
class ImageSet:
    """All images of a data set, decoded and resized.

    Attributes:
        name: Short name for tables, such as ``digits``.
        train_images: (n_train, c, h, w) uint8.
        train_labels: (n_train,) int64 indices into ``class_names``.
        test_images: (n_test, c, h, w) uint8; for the final measurement alone.
        test_labels: (n_test,) int64.
        class_names: Names of the classes, in the order of the labels.
        fingerprint: SHA-256 over the tensors and class names (``content_fingerprint``).
        archive_name: File or folder name, without its path, that the images came from.
        archive_sha256: SHA-256 of that file; empty when it is no single file.
        mirror_safe: Whether a mirrored image keeps its class.
    """

    name: str
    train_images: Tensor
    train_labels: Tensor
    test_images: Tensor
    test_labels: Tensor
    class_names: tuple[str, ...]
    fingerprint: str
    archive_name: str = ""
    archive_sha256: str = ""
    mirror_safe: bool = True

    def __post_init__(self) -> None:
        for part in ("train", "test"):
            images, labels = getattr(self, f"{part}_images"), getattr(self, f"{part}_labels")
            if images.dtype != torch.uint8 or images.ndim != 4:
                raise ValueError(
                    f"expected {part} images uint8 (n, c, h, w), got {images.dtype} {tuple(images.shape)}"
                )
            if labels.dtype != torch.int64 or labels.shape != images.shape[:1]:
                raise ValueError(
                    f"expected {images.shape[0]} {part} labels int64, got {labels.dtype} {labels.shape}"
                )
            if len(labels) == 0 or int(labels.min()) < 0 or int(labels.max()) >= len(self.class_names):
                raise ValueError(f"expected {part} labels in 0..{len(self.class_names) - 1}")
        if self.train_images.shape[1:] != self.test_images.shape[1:]:
            raise ValueError(
                f"expected train and test images of one shape, got {tuple(self.train_images.shape[1:])} "
                f"and {tuple(self.test_images.shape[1:])}"
            )

    @property
    def channels(self) -> int:
        """Colour channels: 1 or 3."""
        return int(self.train_images.shape[1])

    @property
    def image_size(self) -> int:
        """Height and width in pixels."""
        return int(self.train_images.shape[2])

    @property
    def classes(self) -> int:
        """Number of classes."""
        return len(self.class_names)


def content_fingerprint(
    train_images: Tensor,
    train_labels: Tensor,
    test_images: Tensor,
    test_labels: Tensor,
    class_names: tuple[str, ...],
) -> str:
    """Return the SHA-256 over images, labels and class names: the same content, the same fingerprint."""
    digest = hashlib.sha256()
    digest.update(json.dumps(list(class_names)).encode())
    for tensor in (train_images, train_labels, test_images, test_labels):
        digest.update(f"{tensor.dtype} {tuple(tensor.shape)}\n".encode())
        digest.update(tensor.contiguous().numpy().data)
    return digest.hexdigest()
