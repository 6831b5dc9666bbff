"""The assignment with the least product of latency and energy, exactly.

Every assignment is a point (latency, energy). Log latency + log energy is concave, so over the convex hull of all
points the product is smallest at a corner of the hull (Geoffrion, "Solving bicriterion mathematical programs",
Operations Research 15, 1967; for paths Henig, "The shortest path problem with two objective functions", EJOR 25,
1986), and corners are what shortest paths under weighted sums find. So no label but the corners of the hull is
needed, and of these only the ones near the best: between two known corners all others lie in the triangle of their
supporting lines, over which the product is smallest at a corner of the triangle. A triangle that cannot hold a
better point is closed; the others are split by the shortest path in the direction of the chord (Eisner and Severance,
"Mathematical techniques for efficient record segmentation in large shared databases", JACM 23, 1976).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hwcost.placement.assign import Assigner
from hwcost.workload import IntArray

Array = np.ndarray
# Products and sums that differ by less than this fraction count as equal.
TOLERANCE = 1e-12
# Designs still open are copied together once they are fewer than this fraction of the arrays at hand.
NARROW_BELOW = 0.7


@dataclass(eq=False)
class _Corners:
    """Known corners of each design's hull, by rising latency; unused places have infinite latency.

    Attributes:
        latency: (n_places, n).
        energy: (n_places, n).
        cycle: Weight of a cycle of the supporting line through the corner: (n_places, n).
        picojoule: Weight of a picojoule: (n_places, n).
        closed: Whether nothing better lies between this corner and the next: (n_places, n).
    """

    latency: Array
    energy: Array
    cycle: Array
    picojoule: Array
    closed: Array

    def take(self, designs: IntArray) -> _Corners:
        """The corners of some designs."""
        return _Corners(*(values[:, designs] for values in vars(self).values()))

    def insert(self, corner: _Corners) -> None:
        """Adds a corner per design (an infinite latency adds nothing) and sorts."""
        rows = {name: np.concatenate([old, vars(corner)[name]]) for name, old in vars(self).items()}
        order = np.argsort(rows["latency"], axis=0, kind="stable")
        for name, values in rows.items():
            setattr(self, name, np.take_along_axis(values, order, axis=0))

    def bounds(self) -> Array:
        """Least product possible between each corner and the next: (n_places - 1, n); infinite where closed."""
        x, y, a, b = self.latency, self.energy, self.cycle, self.picojoule
        with np.errstate(divide="ignore", invalid="ignore"):
            w = a * x + b * y
            determinant = a[:-1] * b[1:] - a[1:] * b[:-1]
            at_x = (w[:-1] * b[1:] - w[1:] * b[:-1]) / determinant
            at_y = (a[:-1] * w[1:] - a[1:] * w[:-1]) / determinant
            # rounding must not move the meeting point out of the rectangle between the two corners
            at_x = np.minimum(np.maximum(at_x, x[:-1]), x[1:])
            at_y = np.minimum(np.maximum(at_y, y[1:]), y[:-1])
            product = at_x * at_y
        open_ = ~self.closed[:-1] & np.isfinite(x[1:]) & np.isfinite(product)
        return np.where(open_, product, np.inf)


def least_product(assigner: Assigner) -> tuple[Array, Array]:
    """Weights of a cycle and of a picojoule whose cheapest assignment has the least product: (n,) each."""
    n = assigner.n
    one, none = np.ones(n), np.zeros(n)
    open_ = np.zeros((1, n), dtype=bool)
    latency, energy = assigner.totals(one, none)
    corners = _Corners(latency[None], energy[None], one[None], none[None], open_)
    best = _Best(latency * energy, one.copy(), none.copy())
    latency, energy = assigner.totals(none, one)
    designs = at = np.arange(n)  # the designs of `corners`, and where `assigner` has them
    best.offer(designs, latency * energy, none, one)
    # a second end with no less energy adds nothing: both ends are one point then
    latency = np.where(energy < corners.energy[0], latency, np.inf)
    corners.insert(_Corners(latency[None], energy[None], none[None], one[None], open_))
    while True:
        bounds = corners.bounds()
        place = bounds.argmin(axis=0)
        lowest = bounds[place, np.arange(len(place))]
        still = np.flatnonzero(lowest < best.product[designs] * (1 - TOLERANCE))
        if not still.size:
            return best.cycle, best.picojoule
        if still.size < len(designs):
            corners, designs, at, place = corners.take(still), designs[still], at[still], place[still]
        if designs.size < NARROW_BELOW * assigner.n:
            assigner, at = assigner.narrow(at), np.arange(designs.size)
        _split(assigner, at, corners, place, designs, best)


@dataclass(eq=False)
class _Best:
    """The best product so far and the weights it was found with: (n,) each."""

    product: Array
    cycle: Array
    picojoule: Array

    def offer(self, designs: IntArray, product: Array, cycle: Array, picojoule: Array) -> None:
        """Takes over what is better; arrays are (n_designs given,)."""
        better = product < self.product[designs]
        at = designs[better]
        self.product[at] = product[better]
        self.cycle[at], self.picojoule[at] = cycle[better], picojoule[better]


def _split(
    assigner: Assigner, at: IntArray, corners: _Corners, place: IntArray, designs: IntArray, best: _Best
) -> None:
    """Looks for a corner between the corners `place` and `place + 1` of each design."""
    columns = np.arange(len(place))
    x0, x1 = corners.latency[place, columns], corners.latency[place + 1, columns]
    y0, y1 = corners.energy[place, columns], corners.energy[place + 1, columns]
    # relative to the chord's ends, so that weights and sums are near 1
    cycle, picojoule = (y0 - y1) / y0, (x1 - x0) / y0
    cycles, picojoules = np.ones(assigner.n), np.ones(assigner.n)
    cycles[at], picojoules[at] = cycle, picojoule
    latency, energy = (values[at] for values in assigner.totals(cycles, picojoules))
    chord = cycle * x0 + picojoule * y0
    new = cycle * latency + picojoule * energy < chord * (1 - TOLERANCE)
    # Else it is rounding that puts a point below the chord, and the same one would be found again.
    new &= (x0 <= latency) & (latency < x1) & (y1 <= energy) & (energy < y0)
    corners.closed[place[~new], columns[~new]] = True
    best.offer(designs, latency * energy, cycle, picojoule)
    if new.any():
        found = np.where(new, latency, np.inf)
        open_ = np.zeros((1, len(place)), dtype=bool)
        corners.insert(_Corners(found[None], energy[None], cycle[None], picojoule[None], open_))
