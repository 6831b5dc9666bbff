"""Augmentation and normalization of whole batches, on the device the batch is on.

Images stay uint8 until they are in a batch; there is no loop over images. Random numbers come from
the generator passed in: with a CPU generator the same numbers are drawn whatever the device is.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from models.augment_spec import AugmentSpec

__all__ = ["AugmentSpec", "augment_batch", "normalize_batch"]


def normalize_batch(
    images: Tensor, mean: Sequence[float], std: Sequence[float], channels_last: bool = False
) -> Tensor:
    """Turn uint8 images into float32 ones of about zero mean and unit deviation.

    Args:
        images: (n, c, h, w) uint8.
        mean: (c,) mean of each channel on the scale 0..1.
        std: (c,) standard deviation of each channel on the scale 0..1.
        channels_last: Return the memory format that convolutions on CPU and tensor cores prefer.

    Returns:
        (n, c, h, w) float32: ``(images / 255 - mean) / std``.
    """
    memory_format = torch.channels_last if channels_last else torch.contiguous_format
    scale = torch.tensor([1.0 / (255.0 * s) for s in std], dtype=torch.float32, device=images.device)
    shift = torch.tensor(
        [-m / s for m, s in zip(mean, std, strict=True)], dtype=torch.float32, device=images.device
    )
    batch = images.to(dtype=torch.float32, memory_format=memory_format)
    return batch.mul_(scale.view(1, -1, 1, 1)).add_(shift.view(1, -1, 1, 1))


def augment_batch(
    images: Tensor,
    spec: AugmentSpec,
    mean: Sequence[float],
    std: Sequence[float],
    generator: torch.Generator,
    channels_last: bool = False,
) -> Tensor:
    """Shift, mirror, normalize and cut out, in this order, each image by its own random numbers.

    Args:
        images: (n, c, h, w) uint8; not changed.
        spec: What to do; ``flip`` None counts as off.
        mean: (c,) mean of each channel on the scale 0..1.
        std: (c,) standard deviation of each channel on the scale 0..1.
        generator: Source of every random number; may be on the CPU while the images are not.
        channels_last: Memory format of the result.

    Returns:
        (n, c, h, w) float32.
    """
    n, _, height, width = images.shape
    device = images.device
    rows = torch.arange(height, device=device).expand(n, height)  # (n, h): source row of each target row
    columns = torch.arange(width, device=device).expand(n, width)
    moved = False
    if spec.flip:
        mirrored = _draw(2, n, generator, device).view(n, 1).bool()
        columns = torch.where(mirrored, width - 1 - columns, columns)
        moved = True
    if spec.crop_padding:
        span = 2 * spec.crop_padding + 1
        rows = rows + (_draw(span, n, generator, device) - spec.crop_padding).view(n, 1)
        columns = columns + (_draw(span, n, generator, device) - spec.crop_padding).view(n, 1)
        moved = True
    if moved:
        images = _gather(images, rows, columns, zero_outside=spec.padding_mode == "zero")
    batch = normalize_batch(images, mean, std, channels_last)
    if spec.cutout:
        centre_rows = _draw(height, n, generator, device)
        centre_columns = _draw(width, n, generator, device)
        hidden = _covered(centre_rows, height, spec.cutout).unsqueeze(2) & _covered(
            centre_columns, width, spec.cutout
        ).unsqueeze(1)
        # Zero after normalization is the mean colour.
        batch.masked_fill_(hidden.unsqueeze(1), 0.0)
    return batch


def _draw(bound: int, n: int, generator: torch.Generator, device: torch.device) -> Tensor:
    """Return (n,) integers in ``0..bound - 1``, drawn where the generator lives."""
    return torch.randint(bound, (n,), generator=generator, device=generator.device).to(device)


def _gather(images: Tensor, rows: Tensor, columns: Tensor, zero_outside: bool) -> Tensor:
    """Take pixel ``(rows[i, y], columns[i, x])`` of image i; indices outside reflect or give 0.

    Args:
        images: (n, c, h, w).
        rows: (n, h) source rows, from ``-h + 1`` to ``2 h - 2``.
        columns: (n, w) source columns, likewise.
        zero_outside: Outside pixels are 0 instead of the reflection.

    Returns:
        (n, c, h, w).
    """
    n, channels, height, width = images.shape
    source = _reflect(rows, height).unsqueeze(2) * width + _reflect(columns, width).unsqueeze(1)
    index = source.view(n, 1, height * width).expand(n, channels, height * width)
    taken = images.reshape(n, channels, height * width).gather(2, index).view(n, channels, height, width)
    if zero_outside:
        inside_rows = (rows >= 0) & (rows < height)
        inside_columns = (columns >= 0) & (columns < width)
        inside = inside_rows.unsqueeze(2) & inside_columns.unsqueeze(1)
        taken = taken * inside.unsqueeze(1)
    return taken


def _reflect(index: Tensor, size: int) -> Tensor:
    """Reflect indices into ``0..size - 1`` without repeating the border pixel: -1 -> 1, size -> size - 2."""
    index = index.abs()
    return torch.where(index >= size, 2 * (size - 1) - index, index)


def _covered(centres: Tensor, size: int, side: int) -> Tensor:
    """Return (n, size) bool: positions inside the ``side`` pixels around each centre."""
    offset = torch.arange(size, device=centres.device) - centres.view(-1, 1)
    return (offset >= -(side // 2)) & (offset < side - side // 2)
