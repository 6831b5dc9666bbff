"""Small images first: the side of the training images over the steps of a pre-training.

Early steps learn coarse features, which smaller images show as well at a fraction of the cost (Tan and Le 2021,
"EfficientNetV2: smaller models and faster training", section 4). BatchNorm statistics are measured anew at the full
size.
"""

import torch.nn.functional as F
from torch import Tensor

SIDE_STEP = 4
"""Sides are multiples of this many pixels: few shapes, and maps that halve evenly at least twice."""


def image_side(step: int, n_steps: int, full_side: int, start_size: float, full_size_from: float) -> int:
    """Side of the images in a step: small for half of the growing part, then a linear rise.

    Args:
        step: Counted from 0.
        n_steps: Of the whole training.
        full_side: Of the images as they are, in pixels.
        start_size: Share of the side at the start; 1 switches growing off.
        full_size_from: Share of the steps after which images have their full size.

    Returns:
        Pixels, a multiple of `SIDE_STEP` or the full side.
    """
    grown = full_size_from * n_steps
    if start_size == 1.0 or step >= grown:
        return full_side
    risen = max(0.0, 2 * step / grown - 1)
    side = full_side * (start_size + (1 - start_size) * risen)
    return min(full_side, max(SIDE_STEP, round(side / SIDE_STEP) * SIDE_STEP))


def resize_batch(images: Tensor, side: int) -> Tensor:
    """(n, c, h, w) normalized images to (n, c, side, side) by averaging over areas; unchanged at their own side."""
    if images.shape[-1] == side:
        return images
    return F.interpolate(images, size=(side, side), mode="area")
