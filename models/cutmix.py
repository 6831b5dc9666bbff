"""CutMix: a rectangle of each image is taken from another one, and the label is shared by area.

Yun et al. 2019, "CutMix: regularization strategy to train strong classifiers with localizable features", section 3.1,
with a rectangle and a share for each image instead of one for the batch, so that one step sees all shares.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

__all__ = ["cut_and_mix"]


def cut_and_mix(
    images: Tensor, labels: Tensor, classes: int, share: float, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Mixes each image with the next one of the batch, with some probability.

    Args:
        images: (n, c, h, w) floats; not changed.
        labels: (n,) int64.
        classes: Of the data.
        share: Probability that an image is mixed, in [0, 1].
        generator: Source of every random number; may be on the CPU while the images are not.

    Returns:
        Images of the same shape and memory format, and (n, classes) float32 probabilities of the classes: how much of
        the area is of each.
    """
    n, _, height, width = images.shape
    device = images.device
    drawn = torch.rand(4, n, generator=generator, device=generator.device).to(device)
    # A uniform share of the area (Beta(1, 1)) with the proportions of the image, its centre anywhere in it.
    side = (1 - drawn[0]).sqrt()
    rows = _inside(drawn[1], side, height)
    columns = _inside(drawn[2], side, width)
    taken = rows.unsqueeze(2) & columns.unsqueeze(1) & (drawn[3] < share).view(n, 1, 1)
    mixed = torch.where(taken.unsqueeze(1), images.roll(1, 0), images)
    foreign = taken.float().mean((1, 2)).unsqueeze(1)
    own = F.one_hot(labels, classes).float()
    return mixed, (1 - foreign) * own + foreign * own.roll(1, 0)


def _inside(centres: Tensor, sides: Tensor, size: int) -> Tensor:
    """(n, size) bool: positions within a side around a centre, both as shares of the size, cut off at the border."""
    positions = torch.arange(size, device=centres.device) + 0.5
    return (positions - (centres * size).view(-1, 1)).abs() < (sides * size / 2).view(-1, 1)
