"""Small images first: the side of the training images over the steps of a pre-training.

Early steps learn coarse features, which smaller images show as well at a fraction of the cost (Tan and Le 2021,
"EfficientNetV2: smaller models and faster training", section 4). BatchNorm statistics are measured anew at the full
size.
"""

from collections import Counter

import torch
import torch.nn.functional as F
from torch import Tensor

from hwcost.errors import OfframpError
from models.network import EarlyExitNetwork
from models.recipe import PretrainRecipe

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


def steps_by_side(n_steps: int, full_side: int, recipe: PretrainRecipe) -> Counter[int]:
    """How many of the steps of a whole training see images of which side, in pixels."""
    growth = recipe.start_size, recipe.full_size_from
    if recipe.start_size == 1.0:
        return Counter({full_side: n_steps})
    return Counter(image_side(step, n_steps, full_side, *growth) for step in range(n_steps))


def check_small_images(network: EarlyExitNetwork, n_steps: int, recipe: PretrainRecipe) -> None:
    """Refuses a schedule with images that a backbone cannot take, before the first step.

    Maps that are halved often vanish on small images, and branches that are added may round their sides differently.
    One image of each side is run; the network, and random numbers, are left as they were.

    Args:
        network: On its device.
        n_steps: Of the whole training.
        recipe: Has the schedule.

    Raises:
        OfframpError: The network does not run at one of the sides.
    """
    full = network.image_size
    device = next(network.parameters()).device
    was_training = network.training
    network.eval()
    try:
        with torch.no_grad(), torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
            for side in sorted(set(steps_by_side(n_steps, full, recipe)) - {full}):
                _run_one(network, side, device, recipe.start_size)
    finally:
        network.train(was_training)


def _run_one(network: EarlyExitNetwork, side: int, device: torch.device, start_size: float) -> None:
    image = torch.zeros(1, network.spec.in_channels, side, side, device=device)
    try:
        network(image.contiguous(memory_format=torch.channels_last))
    except torch.cuda.OutOfMemoryError:
        raise
    except Exception as error:  # whatever maps that vanish or do not fit make PyTorch raise
        reason = " ".join(str(error).split())[:200]
        raise OfframpError(
            f"expected {network.spec.name} to take images of {side} pixels, to which pretrain.start_size "
            f"{start_size:g} shrinks those of {network.image_size}, got {type(error).__name__}: {reason}; raise "
            "pretrain.start_size, 1 trains on whole images alone"
        ) from error


def resize_batch(images: Tensor, side: int) -> Tensor:
    """(n, c, h, w) normalized images to (n, c, side, side) by averaging over areas; unchanged at their own side."""
    if images.shape[-1] == side:
        return images
    return F.interpolate(images, size=(side, side), mode="area")
