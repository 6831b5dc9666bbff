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
        off_grid: Layers that read values which no quantizer made: their sums are not of integers.
    """

    layer: str
    magnitude: int
    off_grid: tuple[str, ...] = ()

    @property
    def is_exact(self) -> bool:
        """Whether no image can have a sum that float32 rounds."""
        return self.magnitude < EXACT_BELOW and not self.off_grid

    def to_dict(self) -> dict[str, Any]:
        """JSON values."""
        return {**dataclasses.asdict(self), "exact_below": EXACT_BELOW, "is_exact": self.is_exact}

    def line(self) -> str:
        """For the model card."""
        share = f"{self.magnitude / EXACT_BELOW:.2f} x 2^24, in `{self.layer}`"
        if self.is_exact:
            return f"- the largest sum that any image could give is {share}: all sums are exact, in any order"
        reasons = []
        if self.magnitude >= EXACT_BELOW:
            reasons.append(
                f"the largest sum that weights and levels allow is {share}; above 2^24 they are rounded"
            )
        if self.off_grid:
            names = ", ".join(f"`{name}`" for name in self.off_grid)
            reasons.append(f"{names} read values that no quantizer made, so their sums are rounded")
        return (
            f"- {'; '.join(reasons)}. What is rounded may depend on the runtime; whether it does for any image here, "
            "the comparisons tell"
        )


def largest_sum(folded: nn.Module) -> LargestSum:
    """The layer whose inputs could add up to most: all of them at their largest, each with the sign of its weight.

    Args:
        folded: From `models.fold.fold_network`.
    """
    magnitudes, off_grid = {"": 0}, []
    for name, layer in folded.named_modules():
        if not isinstance(layer, PlainLayer):
            continue
        if layer.grid is None:
            off_grid.append(name)
            continue
        level = 2 ** (layer.grid.bits - 1) if layer.grid.signed else 2**layer.grid.bits - 1
        magnitudes[name] = int(layer.source.integers.long().abs().flatten(1).sum(1).max()) * level
    largest = max(magnitudes, key=lambda name: magnitudes[name])
    return LargestSum(largest, magnitudes[largest], tuple(off_grid))
