"""How good fronts are beside one another: hypervolume, IGD+, empirical attainment.

Objectives are scaled so that the joint front, the best of all runs together, spans 0 to 1 in each (all fronts do,
where the joint one has a single value); the reference point of the hypervolume is 1.1 for everybody. Hypervolume:
Zitzler and Thiele 1998; IGD+: Ishibuchi et al., "Modified distance calculation in generational distance and inverted
generational distance", EMO 2015; attainment: Grunert da Fonseca et al., "Inferential performance assessment of
stochastic optimisers and the attainment function", EMO 2001.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import moocore
import numpy as np

REFERENCE_POINT = 1.1


@dataclass(frozen=True, eq=False)
class Scale:
    """What all runs are measured with.

    Attributes:
        joint: The best of all runs together, (n, n_objectives), in the objectives' own units.
        ideal: Least of it in each objective.
        extent: Its range in each objective. Where it has one value only: the range of all fronts; where they have
            the same value, the value itself; where that is 0, 1.
    """

    joint: np.ndarray
    ideal: np.ndarray
    extent: np.ndarray

    @classmethod
    def of(cls, fronts: Sequence[np.ndarray]) -> Scale:
        """From the fronts of all runs, each (n, n_objectives); at least one point among them."""
        points = np.vstack(fronts)
        joint = non_dominated(points)
        ideal, extent = joint.min(axis=0), np.ptp(joint, axis=0)
        # Against a range of one second or joule all designs would look alike.
        for wider in (np.ptp(points, axis=0), np.abs(ideal), np.ones_like(ideal)):
            extent = np.where(extent > 0, extent, wider)
        return cls(joint, ideal, extent)

    def scaled(self, points: np.ndarray) -> np.ndarray:
        """Points in units of the joint front's range."""
        return (points - self.ideal) / self.extent

    @property
    def reference(self) -> np.ndarray:
        """The common reference point in the objectives' own units."""
        return self.ideal + REFERENCE_POINT * self.extent

    def hypervolume(self, points: np.ndarray) -> float:
        """Share of the box between ideal and reference point that points dominate, 0 to 1."""
        scaled = self.scaled(points)
        inside = scaled[(scaled < REFERENCE_POINT).all(axis=1)]
        if not len(inside):
            return 0.0
        n_objectives = scaled.shape[1]
        volume = moocore.hypervolume(inside, ref=[REFERENCE_POINT] * n_objectives)
        return float(volume) / REFERENCE_POINT**n_objectives

    def igd_plus(self, points: np.ndarray) -> float:
        """Mean distance from the joint front to what points fail to reach of it; infinite without points."""
        if not len(points):
            return float("inf")
        return float(moocore.igd_plus(self.scaled(points), ref=self.scaled(self.joint)))

    def attained(self, fronts: Sequence[np.ndarray]) -> np.ndarray:
        """For each member of the joint front the share of runs that have something as good, (n,)."""
        reached = [(front[:, None] <= self.joint[None]).all(axis=2).any(axis=0) for front in fronts]
        return np.mean(reached, axis=0)


def non_dominated(points: np.ndarray) -> np.ndarray:
    """The points that no other one dominates, each once, (n, n_objectives)."""
    return points[moocore.is_nondominated(points)] if len(points) else points


def attainment_surface(fronts: Sequence[np.ndarray], percent: float) -> np.ndarray:
    """Points that so many percent of the runs attain, (n, n_objectives); none with another number than 2 or 3.

    Args:
        fronts: One a run, (n, n_objectives).
        percent: Of the runs, above 0 and at most 100.
    """
    n_objectives = fronts[0].shape[1]
    filled = [front for front in fronts if len(front)]
    # A run without any design attains nothing, which a surface of the others must make up for.
    of_filled = 100.0 if not filled else percent * len(fronts) / len(filled)
    if n_objectives not in (2, 3) or not filled or of_filled > 100:
        return np.zeros((0, n_objectives))
    number = np.repeat(np.arange(len(filled)), [len(front) for front in filled])
    surface = moocore.eaf(np.vstack(filled), number, percentiles=[of_filled])
    return np.asarray(surface)[:, :n_objectives]
