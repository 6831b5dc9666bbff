"""Children that are skipped before a trial is spent on them, and how often that was right.

Each proposal begins with the child that the genetic algorithm alone would propose. Where the predictor says with the
stated confidence that it would be dominated, it is skipped and another takes its place; a share of these children is
trained all the same. One packed attribute of the trial says which of the two happened, so that the hit rate is
computed from the storage, whoever ran the trials and however often the study was resumed.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import moocore
import numpy as np
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from hwcost.errors import OfframpError
from study.rungs import first_rung_values

SKIP_KEY = "skipped_child"
"""User attribute of a trial whose proposal began with a child that was skipped; see `SkipNote`."""

_Z95 = 1.959964  # of the normal distribution, 95 % two-sided


@dataclass(frozen=True)
class SkipRule:
    """When a child is skipped.

    Attributes:
        confidence: Least probability of being dominated.
        trained_share: Least share of skipped children that are trained all the same.
        least: Measured designs before any child is skipped. A confidence that rests on fewer is not worth much, and
            the first check would take the place of one of the first designs that the predictor chooses.
    """

    confidence: float = 0.95
    trained_share: float = 0.1
    least: int = 20

    def __post_init__(self) -> None:
        if not 0.5 <= self.confidence <= 1.0:
            raise OfframpError(f"expected a confidence in 0.5..1 to skip a child, got {self.confidence}")
        if not 0.0 <= self.trained_share <= 1.0:
            raise OfframpError(f"expected a share of skipped children in 0..1, got {self.trained_share}")

    def trains_next(self, trials: Iterable[FrozenTrial]) -> bool:
        """Whether the next skipped child is trained all the same.

        The share is kept at every moment, not in expectation: it is when a few were skipped that the hit rate is
        known worst. The first one is trained.

        Args:
            trials: Of the study, running ones included; children whose trial failed were not trained.
        """
        notes = [
            t.user_attrs[SKIP_KEY] for t in trials if SKIP_KEY in t.user_attrs and t.state != TrialState.FAIL
        ]
        return sum(note["trained"] for note in notes) < self.trained_share * (len(notes) + 1)


@dataclass(frozen=True)
class SkipNote:
    """What a trial keeps of the child that was skipped for it.

    Attributes:
        probability: Of being dominated, as predicted.
        trained: The trial is that child; otherwise another design took its place.
    """

    probability: float
    trained: bool

    def to_json(self) -> dict[str, float | bool]:
        """Plain JSON values."""
        return {"probability": round(self.probability, 4), "trained": self.trained}


@dataclass(frozen=True)
class SkipReport:
    """How often skipping was right, as far as it was tried.

    Attributes:
        skipped: Children that were skipped, those trained all the same among them.
        trained: Skipped children that were trained all the same and have finished.
        right: Those of them that an earlier trial dominates or equals.
        networks_right: Those of them whose network brought nothing at all: each of its designs, derived ones
            included, is dominated or equalled by a design of an earlier trial's network. None: not looked at.
    """

    skipped: int
    trained: int
    right: int
    networks_right: int | None = None

    @classmethod
    def of(
        cls,
        trials: Iterable[FrozenTrial],
        directions: Sequence[StudyDirection],
        networks: Mapping[int, np.ndarray] | None = None,
    ) -> SkipReport:
        """Counts over all trials of a study.

        Only feasible trials that were proposed before a child can show that it was rightly skipped. They are
        compared after the training that all trials get, which is what is predicted.

        Args:
            trials: Of the study.
            directions: Of its objectives.
            networks: By number of a trial the objectives of all designs of its network that could be on a front, (n,
                n_objectives), after the longest training it got; None: other designs of a network do not count.
        """
        finished = [t for t in trials if t.state == TrialState.COMPLETE]
        notes = [t.user_attrs[SKIP_KEY] for t in finished if SKIP_KEY in t.user_attrs]
        tried = [t for t in finished if t.user_attrs.get(SKIP_KEY, {}).get("trained")]
        signs = np.array([1.0 if d == StudyDirection.MINIMIZE else -1.0 for d in directions])
        feasible = [t for t in finished if all(v <= 0 for v in t.constraints.values())]
        numbers = np.array([t.number for t in feasible])
        values = np.array([first_rung_values(t) for t in feasible]).reshape(-1, len(signs)) * signs
        right = sum(
            bool((values[numbers < t.number] <= np.array(first_rung_values(t)) * signs).all(axis=1).any())
            for t in tried
        )
        if networks is None:
            return cls(len(notes), len(tried), right)
        leading = _leading(networks, signs)
        silent = sum(t.number not in leading for t in tried)
        return cls(len(notes), len(tried), right, silent)

    @classmethod
    def total(cls, reports: Sequence[SkipReport]) -> SkipReport:
        """Of several studies together."""
        networks = [r.networks_right for r in reports if r.networks_right is not None]
        return cls(
            sum(r.skipped for r in reports),
            sum(r.trained for r in reports),
            sum(r.right for r in reports),
            sum(networks) if networks and len(networks) == len(reports) else None,
        )

    @property
    def hit_rate(self) -> float:
        """Share of the trained ones that were rightly skipped; NaN where none was trained."""
        return self.right / self.trained if self.trained else math.nan

    @property
    def interval(self) -> tuple[float, float]:
        """95 % interval of the hit rate; (0, 1) where none was trained."""
        return wilson_interval(self.right, self.trained)

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values; no rate where none was trained."""
        known = self.trained > 0
        networks = None if self.networks_right is None else wilson_interval(self.networks_right, self.trained)
        return {
            "skipped": self.skipped,
            "trained": self.trained,
            "rightly_skipped": self.right,
            "hit_rate": self.hit_rate if known else None,
            "hit_rate_interval": list(self.interval) if known else None,
            "networks_without_gain": self.networks_right,
            "networks_without_gain_interval": list(networks) if known and networks else None,
        }

    def text(self) -> str:
        """One line for people; empty where nothing was skipped."""
        if not self.skipped:
            return ""
        if not self.trained:
            return f"predictor: {self.skipped} children skipped, none of them trained to check"
        text = (
            f"predictor: {self.skipped} children skipped, {self.trained} of them trained to check: rightly skipped "
            f"{_share(self.right, self.trained)}"
        )
        if self.networks_right is None:
            return text
        return f"{text}; no design of its network led in {_share(self.networks_right, self.trained)}"


def wilson_interval(hits: int, n: int) -> tuple[float, float]:
    """95 % interval of a share (Wilson, J. Am. Stat. Assoc. 22, 1927); (0, 1) where nothing was tried.

    Args:
        hits: Of the tries.
        n: Tries.
    """
    if not n:
        return 0.0, 1.0
    share = hits / n
    middle = (share + _Z95**2 / (2 * n)) / (1 + _Z95**2 / n)
    half = _Z95 / (1 + _Z95**2 / n) * math.sqrt(share * (1 - share) / n + _Z95**2 / (4 * n * n))
    return max(0.0, middle - half), min(1.0, middle + half)


def _share(hits: int, n: int) -> str:
    low, high = wilson_interval(hits, n)
    return f"{hits} ({100 * hits / n:.0f} %, 95 % interval {100 * low:.0f} to {100 * high:.0f} %)"


def _leading(networks: Mapping[int, np.ndarray], signs: np.ndarray) -> set[int]:
    """Numbers of trials whose network has a design that none of an earlier trial's dominates or equals."""
    front = np.zeros((0, len(signs)))
    found = set()
    for number, values in sorted(networks.items()):
        own = values.reshape(-1, len(signs)) * signs
        if any(not (front <= row).all(axis=1).any() for row in own):
            found.add(number)
            merged = np.vstack([front, own])
            front = merged[moocore.is_nondominated(merged)]
    return found
