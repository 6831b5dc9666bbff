"""Scores that decide whether a sample leaves at an exit: one definition for the study and for inference.

Every score is "larger leaves": a sample leaves at the first exit whose score reaches that exit's threshold.

- `max_softmax`: highest probability of the softmax.
- `entropy`: minus the entropy of the softmax in nats; 0 is certain, minus ln(classes) a guess (BranchyNet,
  Teerapittayanon et al. 2016, leaves where the entropy is small).
- `margin`: highest minus second highest probability.
- `patience`: how many exits directly before this one predicted the same class as it does (the counter of Zhou et
  al. 2020, "BERT loses patience", section 3.2; their patience P is the threshold). It is 0 at the first exit.

The probabilities are those of logits divided by the exit's temperature, see `models.temperature`. All arithmetic is
float64 and the results are rounded to float32 once, so that a threshold taken from stored predictions lets the
same samples leave wherever the comparison is made. A comparison is made in float64, into which float32 fits.
"""

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt

from hwcost.errors import OfframpError

ScoreName = Literal["max_softmax", "entropy", "margin", "patience"]

SCORES: tuple[ScoreName, ...] = get_args(ScoreName)
"""Names of the scores."""

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class ExitReadings:
    """What logits say about their samples; all arrays have one shape, that of the logits without the classes.

    Attributes:
        confidence: float32, highest probability.
        entropy: float32, of the probabilities in nats.
        margin: float32, highest minus second highest probability.
        predicted: int64, the most probable class; of equal ones the first.
    """

    confidence: npt.NDArray[np.float32]
    entropy: npt.NDArray[np.float32]
    margin: npt.NDArray[np.float32]
    predicted: IntArray


def check_score(name: str) -> ScoreName:
    """The name, if it is one.

    Raises:
        OfframpError: It is not.
    """
    for known in SCORES:
        if name == known:
            return known
    raise OfframpError(f"expected a score out of {', '.join(SCORES)}, got {name!r}; choose one of them")


def log_softmax(logits: npt.ArrayLike, temperatures: npt.ArrayLike = 1.0) -> FloatArray:
    """Logarithms of the probabilities.

    Args:
        logits: (..., classes).
        temperatures: Broadcasts against (...): one number, or (n_exits,) for (n_samples, n_exits, classes).

    Returns:
        (..., classes).
    """
    scaled = np.asarray(logits, dtype=np.float64) / np.asarray(temperatures, dtype=np.float64)[..., None]
    scaled -= scaled.max(axis=-1, keepdims=True)  # exp cannot overflow; the softmax does not change
    scaled -= np.log(np.exp(scaled).sum(axis=-1, keepdims=True))
    return scaled


def read_logits(logits: npt.ArrayLike, temperatures: npt.ArrayLike = 1.0) -> ExitReadings:
    """What policies need to know of logits.

    Args:
        logits: (..., classes) finite, at least two classes.
        temperatures: As of `log_softmax`.
    """
    raw = np.asarray(logits)
    logs = log_softmax(raw, temperatures)
    probabilities = np.exp(logs)
    top = np.partition(probabilities, -2, axis=-1)[..., -2:]
    # 0 x log 0 is 0: where exp underflows the log is still finite.
    entropy = np.maximum(-(probabilities * logs).sum(axis=-1), 0.0)
    return ExitReadings(
        confidence=top[..., 1].astype(np.float32),
        entropy=entropy.astype(np.float32),
        margin=(top[..., 1] - top[..., 0]).astype(np.float32),
        predicted=raw.argmax(axis=-1).astype(np.int64),
    )


def agreements(predicted: npt.ArrayLike) -> IntArray:
    """The score `patience`: exits directly before each exit that predicted the same class.

    Args:
        predicted: (n_samples, n_exits) classes, the exits in their order.

    Returns:
        (n_samples, n_exits).
    """
    classes = np.asarray(predicted)
    counts = np.zeros(classes.shape, dtype=np.int64)
    for k in range(1, classes.shape[1]):
        counts[:, k] = next_agreement(classes[:, k], classes[:, k - 1], counts[:, k - 1])
    return counts


def next_agreement(predicted: npt.ArrayLike, before: npt.ArrayLike, count_before: npt.ArrayLike) -> IntArray:
    """One step of `agreements`: from the exit before to this one.

    Args:
        predicted: (n,) classes of this exit.
        before: (n,) classes of the exit before.
        count_before: (n,) score of the exit before.
    """
    same = np.asarray(predicted) == np.asarray(before)
    counts: IntArray = np.where(same, np.asarray(count_before, dtype=np.int64) + 1, 0)
    return counts


class RunningScore:
    """Scores of a batch on its way from exit to exit, of which some samples leave at each.

    Use: for every exit `score(logits)` of the samples that reached it, then `keep(stays)`.

    Args:
        name: Out of `SCORES`.
        temperatures: (n_exits,) of the exits in the order in which they are passed.
    """

    def __init__(self, name: ScoreName, temperatures: npt.ArrayLike) -> None:
        self._name = check_score(name)
        self._temperatures = np.asarray(temperatures, dtype=np.float64)
        self._exit = 0
        self._predicted: IntArray | None = None
        self._count: IntArray = np.zeros(0, dtype=np.int64)

    def score(self, logits: npt.ArrayLike) -> FloatArray:
        """Scores (n,) at the next exit, to be compared with its threshold.

        Args:
            logits: (n, classes) of the samples that are still there, in unchanged order.
        """
        if self._exit >= len(self._temperatures):
            raise OfframpError(
                f"expected at most {len(self._temperatures)} exits, one a temperature, got one more; "
                "give a temperature per exit"
            )
        readings = read_logits(logits, self._temperatures[self._exit])
        if self._predicted is None:
            self._count = np.zeros(readings.predicted.shape, dtype=np.int64)
        else:
            self._count = next_agreement(readings.predicted, self._predicted, self._count)
        self._predicted = readings.predicted
        self._exit += 1
        if self._name == "patience":
            return self._count.astype(np.float64)
        return readings_score(self._name, readings.confidence, readings.entropy, readings.margin)

    def keep(self, stays: npt.ArrayLike) -> None:
        """Forgets the samples that left.

        Args:
            stays: (n,) bool, or indices of those that stay.
        """
        if self._predicted is not None:
            self._predicted = self._predicted[np.asarray(stays)]
            self._count = self._count[np.asarray(stays)]


def readings_score(
    name: ScoreName,
    confidence: npt.ArrayLike,
    entropy: npt.ArrayLike | None,
    margin: npt.ArrayLike | None,
) -> FloatArray:
    """One of the scores of a single exit, as float64.

    Args:
        name: `max_softmax`, `entropy` or `margin`.
        confidence: Highest probability, any shape.
        entropy: In nats; needed for `entropy` only.
        margin: Needed for `margin` only.

    Raises:
        OfframpError: What the score needs was not measured.
    """
    chosen = {"max_softmax": confidence, "entropy": entropy, "margin": margin}.get(name)
    if chosen is None:
        raise OfframpError(
            f"expected what the score {name!r} is computed from, got predictions without it; evaluate the "
            "network again or use max_softmax"
        )
    values = np.asarray(chosen, dtype=np.float64)
    return -values if name == "entropy" else values
