"""Whether the sums of a folded network are exact for every image there could be."""

from __future__ import annotations

import dataclasses
from typing import Any

from torch import nn

from models.plain_layers import PlainLayer

EXACT_BELOW = 2**24
"""Integers below it are float32 numbers, so sums of integers that stay below it do not depend on their order."""


@dataclasses.dataclass(frozen=True)
class LargestSum:
    """The largest sum that weights and levels allow.

    Attributes:
        layer: Where.
        magnitude: Of the sum, and of every part of it.
    """

    layer: str
    magnitude: int

    @property
    def is_exact(self) -> bool:
        """Whether no image can have a sum that float32 rounds."""
        return self.magnitude < EXACT_BELOW

    def to_dict(self) -> dict[str, Any]:
        """JSON values."""
        return {**dataclasses.asdict(self), "exact_below": EXACT_BELOW, "is_exact": self.is_exact}

    def line(self) -> str:
        """For the model card."""
        share = f"{self.magnitude / EXACT_BELOW:.2f} x 2^24, in `{self.layer}`"
        if self.is_exact:
            return f"- the largest sum that any image could give is {share}: all sums are exact, in any order"
        return (
            f"- the largest sum that weights and levels allow is {share}. Sums above 2^24 are rounded, and may then "
            "depend on the runtime; whether any image here has one the comparisons tell"
        )


def largest_sum(folded: nn.Module) -> LargestSum:
    """The layer whose inputs could add up to most: all of them at their largest, each with the sign of its weight.

    Args:
        folded: From `models.fold.fold_network`.
    """
    found = LargestSum("", 0)
    for name, layer in folded.named_modules():
        if isinstance(layer, PlainLayer) and layer.grid is not None:
            grid = layer.grid
            level = 2 ** (grid.bits - 1) if grid.signed else 2**grid.bits - 1
            of_channel = layer.source.integers.long().abs().flatten(1).sum(1)
            found = max(
                found, LargestSum(name, int(of_channel.max()) * level), key=lambda sum_: sum_.magnitude
            )
    return found
