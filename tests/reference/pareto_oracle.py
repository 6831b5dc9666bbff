"""Fronts and hypervolume in plain Python, for checking the compiled ones."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from math import prod

Point = Sequence[float]


def beats(one: Point, two: Point) -> bool:
    """Whether one is nowhere worse (larger) and somewhere better."""
    return all(a <= b for a, b in zip(one, two, strict=True)) and any(
        a < b for a, b in zip(one, two, strict=True)
    )


def front(points: Sequence[Point]) -> set[tuple[float, ...]]:
    """The values that no other point beats."""
    return {tuple(p) for p in points if not any(beats(q, p) for q in points)}


def hypervolume(points: Sequence[Point], reference: Point) -> float:
    """Volume of the union of the boxes between each point and the reference, by inclusion and exclusion."""
    boxes = [p for p in points if all(a < r for a, r in zip(p, reference, strict=True))]
    total = 0.0
    for size in range(1, len(boxes) + 1):
        for chosen in combinations(boxes, size):
            corner = [max(values) for values in zip(*chosen, strict=True)]
            volume = prod(r - c for c, r in zip(corner, reference, strict=True))
            total += volume if size % 2 else -volume
    return total
