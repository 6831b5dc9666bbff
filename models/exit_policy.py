"""When a sample leaves: a score, a threshold per exit, and the temperatures the score is computed with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from hwcost.errors import OfframpError
from models.scores import ScoreName, check_score

FloatArray = npt.NDArray[np.float64]

LARGEST_THRESHOLD = 1e300
"""Beyond it a threshold is an end of the number line: nobody leaves, or everybody does."""


@dataclass(frozen=True, eq=False)
class ExitPolicy:
    """A sample leaves at the first exit whose score reaches its threshold; the last exit takes the rest.

    The arrays are copied and made read-only.

    Attributes:
        thresholds: (n_exits,) smallest score that leaves; `inf`: nobody leaves here. The last is `-inf`.
        score: Out of `models.scores.SCORES`.
        temperatures: (n_exits,) logits are divided by these before the softmax; 1 where None is given.
    """

    thresholds: FloatArray
    score: ScoreName = "max_softmax"
    temperatures: FloatArray | None = None

    def __post_init__(self) -> None:
        thresholds = np.array(self.thresholds, dtype=np.float64)
        if thresholds.ndim != 1 or thresholds.size == 0:
            raise OfframpError(
                f"expected thresholds of shape (n_exits,), got {thresholds.shape}; give one per exit"
            )
        if np.isnan(thresholds).any():
            raise OfframpError("expected thresholds without NaN, got NaN; use inf for an exit nobody takes")
        if thresholds[-1] != -np.inf:
            raise OfframpError(
                f"expected -inf as threshold of the last exit, got {thresholds[-1]}; it takes the rest"
            )
        check_score(self.score)
        given = 1.0 if self.temperatures is None else self.temperatures
        temperatures = np.array(given, dtype=np.float64)
        if temperatures.ndim == 0:
            temperatures = np.full(thresholds.shape, float(temperatures))
        if temperatures.shape != thresholds.shape:
            raise OfframpError(
                f"expected {thresholds.size} temperatures, one per exit, got shape {temperatures.shape}"
            )
        if not (np.isfinite(temperatures) & (temperatures > 0)).all():
            raise OfframpError(f"expected finite temperatures above 0, got {temperatures.tolist()}")
        for name, array in (("thresholds", thresholds), ("temperatures", temperatures)):
            array.setflags(write=False)
            object.__setattr__(self, name, array)

    @property
    def n_exits(self) -> int:
        """Exits, the last included."""
        return int(self.thresholds.size)

    @classmethod
    def never_early(cls, n_exits: int) -> ExitPolicy:
        """The policy under which every sample runs to the last exit."""
        return cls(np.append(np.full(n_exits - 1, np.inf), -np.inf))

    @classmethod
    def shared(cls, threshold: float, n_exits: int, score: ScoreName = "max_softmax") -> ExitPolicy:
        """One threshold for every exit but the last."""
        return cls(np.append(np.full(n_exits - 1, threshold), -np.inf), score)

    def to_dict(self) -> dict[str, Any]:
        """JSON values: thresholds of the early exits only, None for an exit nobody takes."""
        assert self.temperatures is not None
        early = self.thresholds[:-1].tolist()
        if -np.inf in early:
            # JSON has no infinities; the smallest float64 lets the same samples leave.
            early = [max(value, float(np.finfo(np.float64).min)) for value in early]
        return {
            "score": self.score,
            "thresholds": [None if value == np.inf else value for value in early],
            "temperatures": self.temperatures.tolist(),
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> ExitPolicy:
        """What `to_dict` gave.

        Raises:
            OfframpError: Something is missing, unknown or of another kind.
        """
        expected = {"score", "thresholds", "temperatures"}
        if set(values) != expected:
            raise OfframpError(
                f"expected an exit policy with {', '.join(sorted(expected))}, got {', '.join(sorted(values))}"
            )
        try:
            early = [np.inf if value is None else float(value) for value in values["thresholds"]]
            temperatures = np.array([float(value) for value in values["temperatures"]])
        except (TypeError, ValueError) as error:
            raise OfframpError(f"expected numbers in the exit policy, got {error}") from error
        return cls(np.append(early, -np.inf), check_score(values["score"]), temperatures)
