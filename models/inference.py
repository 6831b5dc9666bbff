"""Early exit that really stops: samples that are done leave the batch; nothing runs for them any more."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Protocol, TypeVar

import numpy as np
import numpy.typing as npt

from hwcost.errors import OfframpError
from models.exit_policy import ExitPolicy
from models.scores import RunningScore

IntArray = npt.NDArray[np.int64]
Map = TypeVar("Map")


class Segments(Protocol[Map]):
    """A network that can be stopped between its segments, whatever runs it.

    `Map` is what the runtime hands from segment to segment: a tensor, an array.
    """

    @property
    def n_segments(self) -> int:
        """Exits, the final one included."""
        ...

    def run_segment(self, segment: int, x: Map) -> tuple[Map, npt.NDArray[np.float32]]:
        """The map behind a segment and the (n, classes) logits of its exit."""
        ...

    def keep(self, x: Map, indices: IntArray) -> Map:
        """The samples with these indices, in this order."""
        ...


@dataclasses.dataclass(frozen=True, eq=False)
class EarlyExitResult:
    """What a batch got, and what was run for it.

    Attributes:
        logits: (n, classes) of the exit each sample took.
        exits: (n,) index of that exit.
        samples: (n_segments,) samples each segment received; 0 for a segment that was not run at all.
    """

    logits: npt.NDArray[np.float32]
    exits: IntArray
    samples: IntArray

    @property
    def predicted(self) -> IntArray:
        """(n,) the most probable class; of equal ones the first."""
        return self.logits.argmax(axis=1).astype(np.int64)

    @property
    def exit_ratios(self) -> npt.NDArray[np.float64]:
        """(n_segments,) share of samples that left at each exit."""
        return np.bincount(self.exits, minlength=len(self.samples)) / len(self.exits)


def run_early_exit(network: Segments[Map], x: Map, n_samples: int, policy: ExitPolicy) -> EarlyExitResult:
    """Runs segment after segment on the samples that have not left yet, and stops when all have.

    Args:
        network: Runs one segment at a time.
        x: `n_samples` images in the form the network takes.
        n_samples: At least one.
        policy: For as many exits as the network has.

    Raises:
        OfframpError: When the policy is for another number of exits, or there is no image.
    """
    check_policy(policy, network.n_segments)
    if n_samples < 1:
        raise OfframpError("expected at least one image, got none")
    score = RunningScore(policy.score, policy.temperatures if policy.temperatures is not None else 1.0)
    samples = np.zeros(network.n_segments, dtype=np.int64)
    exits = np.zeros(n_samples, dtype=np.int64)
    remaining = np.arange(n_samples)
    logits: npt.NDArray[np.float32] | None = None
    for segment in range(network.n_segments):
        samples[segment] = len(remaining)
        x, here = network.run_segment(segment, x)
        if logits is None:
            logits = np.empty((n_samples, here.shape[1]), dtype=np.float32)
        leaves = np.ones(len(remaining), dtype=np.bool_)
        if segment < network.n_segments - 1:
            leaves = score.score(here) >= policy.thresholds[segment]
        gone = remaining[leaves]
        logits[gone], exits[gone] = here[leaves], segment
        remaining = remaining[~leaves]
        if not len(remaining):
            break
        if leaves.any():
            stays = np.flatnonzero(~leaves)
            score.keep(stays)
            x = network.keep(x, stays)
    assert logits is not None
    return EarlyExitResult(logits, exits, samples)


def check_policy(policy: ExitPolicy, n_exits: int) -> None:
    """Refuses a policy for another number of exits.

    Raises:
        OfframpError: See above.
    """
    if policy.n_exits != n_exits:
        raise OfframpError(
            f"expected a policy for {n_exits} exits, the final one included, got one for {policy.n_exits}; "
            "use the thresholds that were found for this network"
        )


def exits_taken(logits: npt.ArrayLike, policy: ExitPolicy) -> IntArray:
    """The exit each sample takes when the logits of all exits are known.

    Args:
        logits: (n, n_exits, classes).
        policy: For n_exits exits.

    Returns:
        (n,) indices.
    """
    values = np.asarray(logits)
    check_policy(policy, values.shape[1])
    score = RunningScore(policy.score, policy.temperatures if policy.temperatures is not None else 1.0)
    scores = np.stack([score.score(values[:, k]) for k in range(values.shape[1])], axis=1)
    return (scores >= policy.thresholds).argmax(axis=1).astype(np.int64)


def executed_macs(samples: Sequence[int] | IntArray, segment_macs: Sequence[int] | IntArray) -> int:
    """Multiply-accumulates that were executed.

    Args:
        samples: (n_segments,) of `EarlyExitResult`.
        segment_macs: (n_segments,) of one sample in each segment, its head included.
    """
    return int(np.dot(np.asarray(samples, dtype=np.int64), np.asarray(segment_macs, dtype=np.int64)))
