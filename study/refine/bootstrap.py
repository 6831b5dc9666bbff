"""Intervals of accuracies and of their differences that know of two causes of chance: test images and seeds.

Whether a network is right on an image depends on the image (some are hard for every network), on the seed of its
training (it moves the accuracy on all images), and on both together: answers are an array of seeds x images with
crossed random effects. They are resampled as such: images and seeds are drawn with replacement, independently of
each other (the pigeonhole bootstrap; Owen, Ann. Appl. Stat. 1(2), 386-411, 2007). No bootstrap is exact for such
arrays (McCullagh, Bernoulli 6, 285-301, 2000); this one errs on the safe side: it counts what seed and image do
together more than once.

Two refinements. One draw of images serves all designs, which pairs them by image: what makes an image hard cancels
in a difference. And of S seeds S - 1 are drawn, because with S draws the part of the variance that comes from seeds
would be too small by the factor (S - 1) / S, by a third at three seeds (Rao and Wu, J. Am. Stat. Assoc. 83, 231-241,
1988). Where seeds are most of the chance, three of them remain few: percentiles are then narrower than a t interval
would be. With a single seed the interval is of images alone.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from hwcost.errors import OfframpError

RESAMPLES = 4000
_CHUNK = 200  # resamples at once: with 10,000 images 16 MB of counts

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Answers:
    """What the trainings of one design answered on one split.

    Attributes:
        right: (n_seeds, n_images) bool, whether the exit taken was right.
        network: Equal for designs whose answers come from the same trainings: they share the draw of seeds, so that
            what a seed did cancels between them too.
    """

    right: npt.NDArray[np.bool_]
    network: Hashable


def resampled_accuracies(
    answers: Sequence[Answers], rng: np.random.Generator, resamples: int = RESAMPLES
) -> FloatArray:
    """Accuracy of every design in every resample, (resamples, n_designs), as fractions of 1.

    Args:
        answers: Of one design each, all on the same images.
        rng: Source of every draw.
        resamples: How many.

    Raises:
        OfframpError: The designs were not measured on the same number of images, or there are none.
    """
    if not answers or len({one.right.shape[1] for one in answers}) != 1 or not answers[0].right.shape[1]:
        shapes = [one.right.shape for one in answers]
        raise OfframpError(f"expected answers (n_seeds, n_images) on one split, got the shapes {shapes}")
    stacked = np.concatenate([one.right for one in answers]).astype(np.float32)
    n_images = stacked.shape[1]
    first = np.cumsum([0, *(len(one.right) for one in answers)])
    of_seed = np.empty((resamples, len(stacked)))  # accuracy of each training on the images of each resample
    for start in range(0, resamples, _CHUNK):
        size = min(_CHUNK, resamples - start)
        drawn = rng.integers(n_images, size=(size, n_images))
        counts = np.stack([np.bincount(row, minlength=n_images) for row in drawn]).astype(np.float32)
        right = counts @ stacked.T  # whole numbers, which float32 has exactly
        of_seed[start : start + size] = right.astype(np.float64) / n_images
    seeds: dict[tuple[Hashable, int], npt.NDArray[np.int64]] = {}
    columns = []
    for index, one in enumerate(answers):
        n_seeds = len(one.right)
        key = (one.network, n_seeds)
        if key not in seeds:
            seeds[key] = rng.integers(n_seeds, size=(resamples, max(1, n_seeds - 1)))
        columns.append(np.take_along_axis(of_seed, first[index] + seeds[key], axis=1).mean(axis=1))
    return np.stack(columns, axis=1)


def percentile_interval(values: FloatArray, level: float = 0.95) -> tuple[float, float]:
    """Percentiles that leave out equal shares on both sides.

    Args:
        values: (resamples,).
        level: Share between them.
    """
    low, high = np.quantile(values, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)
