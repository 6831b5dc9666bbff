"""Means over seeds, and how many evaluations each search needs for what random search has."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks.recorded.searches import Play, evaluations_to_reach
from study.skipping import SkipReport


@dataclass(frozen=True, eq=False)
class Curves:
    """One player over all seeds.

    Attributes:
        n: Seeds.
        derived: Mean hypervolume over the best possible, derived designs included, (n_evaluations,).
        derived_std: Standard deviation over seeds.
        proposals: The same of proposals alone.
        trained: Mean number of networks trained.
        skips: One line on skipped children; empty without any.
    """

    n: int
    derived: np.ndarray
    derived_std: np.ndarray
    proposals: np.ndarray
    trained: np.ndarray
    skips: str

    @classmethod
    def of(cls, plays: Sequence[Play]) -> Curves:
        """Means of searches that had the same number of evaluations.

        A search that ran out of proposals stays where it was.
        """
        longest = max(len(p.derived) for p in plays)
        derived, proposals, trained = (
            np.array([_padded(getattr(p, name), longest) for p in plays])
            for name in ("derived", "proposals", "trained")
        )
        total = SkipReport.total([p.skips for p in plays])
        return cls(
            len(plays), derived.mean(axis=0), derived.std(axis=0), proposals.mean(axis=0), trained.mean(axis=0),
            total.text(),
        )  # fmt: skip

    def to_json(self, at: Sequence[int]) -> dict[str, Any]:
        """Values after some numbers of evaluations."""
        return {
            "n": self.n,
            **{
                name: {str(n): float(getattr(self, name)[n - 1]) for n in at}
                for name in ("derived", "derived_std", "proposals", "trained")
            },
            "skips": self.skips,
        }


def against_random(curves: Mapping[str, Curves], evaluations: int) -> dict[str, dict[str, int | None]]:
    """Evaluations that each player needs for the mean hypervolume of random search after so many.

    Returns:
        On equal terms with everything that derives from trained networks, on equal terms with proposals alone, and
        with derived designs against random search without, which is what a scheme without them does.
    """
    random = curves["random"]
    goals = {
        "derived": (random.derived[evaluations - 1], "derived"),
        "proposals": (random.proposals[evaluations - 1], "proposals"),
        "derived against proposals": (random.proposals[evaluations - 1], "derived"),
    }
    return {
        side: {name: evaluations_to_reach(getattr(curve, kind), goal) for name, curve in curves.items()}
        for side, (goal, kind) in goals.items()
    }


def _padded(curve: np.ndarray, length: int) -> np.ndarray:
    return np.concatenate([curve, np.full(length - len(curve), curve[-1] if len(curve) else 0.0)])
