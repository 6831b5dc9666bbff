"""Each exported file by itself: it takes its part's place in the network, everything else stays PyTorch.

A chain of files that stops early says little about files that few images reach, and nothing about the classes of the
final head, which takes the rest whatever it says. Here every file sees every image, and a wrong one has a name.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from models.export.runtimes import Runner
from models.network import EarlyExitNetwork

FloatArray = npt.NDArray[np.float32]
BATCH = 128


@dataclasses.dataclass(frozen=True)
class PartAgreement:
    """One file in the place of its part.

    Attributes:
        file: Name.
        images: Compared.
        same_class: Share that gets the same class at the exit behind the part.
        largest_logit_difference: Of that exit.
    """

    file: str
    images: int
    same_class: float
    largest_logit_difference: float

    def to_dict(self) -> dict[str, Any]:
        """JSON values."""
        return dataclasses.asdict(self)


def compare_parts(
    names: Sequence[str], parts: Sequence[Runner], folded: EarlyExitNetwork, images: FloatArray
) -> tuple[PartAgreement, ...]:
    """Runs every segment and every head on what PyTorch hands to it.

    Args:
        names: Of the files, `segment_0`, `head_0`, `segment_1`, ... in this order.
        parts: The files in their runtime, in the same order.
        folded: The network they were made of.
        images: (n, c, h, w) normalized.

    Returns:
        One for each file.
    """
    same = np.zeros(len(names), dtype=np.int64)
    largest = np.zeros(len(names))
    with torch.inference_mode():
        for chunk in torch.from_numpy(images).split(BATCH):
            x = chunk
            for segment, mount in enumerate(folded.mounts):
                head = folded.heads[mount.name]
                given = x.contiguous().numpy()
                for module in folded.segment_modules(segment):
                    x = module(x)
                expected = head(x).numpy()
                (features,) = parts[2 * segment](given)
                (logits,) = parts[2 * segment + 1](x.contiguous().numpy())
                for index, found in (
                    (2 * segment, head(torch.from_numpy(features)).numpy()),
                    (2 * segment + 1, logits),
                ):
                    same[index] += (found.argmax(1) == expected.argmax(1)).sum()
                    largest[index] = max(largest[index], float(np.abs(found - expected).max()))
    n = len(images)
    return tuple(
        PartAgreement(name, n, int(count) / n, float(difference))
        for name, count, difference in zip(names, same, largest, strict=True)
    )
