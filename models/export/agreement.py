"""Whether an exported network does what the trained one does, image by image."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import numpy.typing as npt

from models.exit_policy import ExitPolicy
from models.inference import Segments, exits_taken, run_early_exit

FloatArray = npt.NDArray[np.float32]

REQUIRED_SHARE = 0.999
"""Least share of images that have to take the same exit."""

CLOSE = 1e-4
"""Logits nearer than this count as equal. They are equal to about 1e-6 wherever no value is carried over the border
between two levels of a quantizer by the rounding of floating point, which differs between libraries."""


@dataclasses.dataclass(frozen=True)
class Agreement:
    """Two networks on the same images.

    Attributes:
        images: Compared.
        same_exit: Share that takes the same exit.
        same_class: Share that gets the same class at the exit it takes.
        largest_logit_difference: Over all images, exits and classes.
        mean_logit_difference: Mean of the magnitude.
        close_images: Share whose logits all differ by less than `CLOSE`.
        logit_spread: Largest minus smallest logit of the reference: what a difference is to be compared with.
    """

    images: int
    same_exit: float
    same_class: float
    largest_logit_difference: float
    mean_logit_difference: float
    close_images: float
    logit_spread: float

    @property
    def good(self) -> bool:
        """Whether enough images take the same exit."""
        return self.same_exit >= REQUIRED_SHARE

    def to_dict(self) -> dict[str, Any]:
        """JSON values."""
        return dataclasses.asdict(self)


def compare_logits(
    reference: npt.NDArray[np.floating[Any]], other: npt.NDArray[np.floating[Any]], policy: ExitPolicy
) -> Agreement:
    """Compares all logits, and what the policy makes of them.

    Args:
        reference: (n, n_exits, classes).
        other: The same shape.
        policy: For n_exits exits.
    """
    differences = np.abs(other.astype(np.float64) - reference)
    mine, theirs = exits_taken(reference, policy), exits_taken(other, policy)
    rows = np.arange(len(reference))
    same_class = reference[rows, mine].argmax(1) == other[rows, theirs].argmax(1)
    return Agreement(
        images=len(reference),
        same_exit=float((mine == theirs).mean()),
        same_class=float(same_class.mean()),
        largest_logit_difference=float(differences.max()),
        mean_logit_difference=float(differences.mean()),
        close_images=float((differences.max(axis=(1, 2)) < CLOSE).mean()),
        logit_spread=float(reference.max() - reference.min()),
    )


@dataclasses.dataclass(frozen=True)
class ChainAgreement:
    """Segments run one after the other, stopping where the policy says so.

    Attributes:
        images: Run, one at a time.
        same_exit: Share that takes the exit the reference takes.
        same_class: Share that gets the class the reference gives it there.
        samples: How many images each segment received.
    """

    images: int
    same_exit: float
    same_class: float
    samples: tuple[int, ...]

    @property
    def good(self) -> bool:
        """Whether enough images take the same exit."""
        return self.same_exit >= REQUIRED_SHARE

    def to_dict(self) -> dict[str, Any]:
        """JSON values."""
        return dataclasses.asdict(self)


def compare_chain(
    chain: Segments[FloatArray], images: FloatArray, reference: FloatArray, policy: ExitPolicy
) -> ChainAgreement:
    """Runs images one at a time and really stops.

    Args:
        chain: The exported segments and heads.
        images: (n, c, h, w) normalized.
        reference: (n, n_exits, classes) logits of the trained network.
        policy: For n_exits exits.
    """
    expected = exits_taken(reference, policy)
    classes = reference[np.arange(len(reference)), expected].argmax(1)
    samples = np.zeros(chain.n_segments, dtype=np.int64)
    same_exit = same_class = 0
    for index in range(len(images)):
        result = run_early_exit(chain, images[index : index + 1], 1, policy)
        samples += result.samples
        same_exit += int(result.exits[0] == expected[index])
        same_class += int(result.predicted[0] == classes[index])
    n = len(images)
    return ChainAgreement(n, same_exit / n, same_class / n, tuple(int(count) for count in samples))
