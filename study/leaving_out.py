"""Networks that follow from a trained one by leaving early exits out.

What the exits that stay say does not change by it, so their accuracy is known to the last image and nothing is
trained; what is saved is what the other heads cost every input that passes them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from models.architecture import Architecture
from study.exit_choice import worth_keeping
from study.exit_sets import columns_of, keeping
from study.memo import TrainedNetwork
from study.record import DesignRecord

if TYPE_CHECKING:
    from study.evaluate import Evaluator, Placements


def network_with(whole: Architecture, exits: Sequence[int], network: TrainedNetwork) -> TrainedNetwork:
    """What a trained network says at some of its exits."""
    columns = columns_of(whole, exits)
    return replace(
        network,
        calibration=network.calibration.select(columns),
        validation=network.validation.select(columns),
    )


def network_of(record: DesignRecord, network: TrainedNetwork) -> TrainedNetwork:
    """What the network that was trained for a design says at the design's exits."""
    return network_with(record.network, record.genome.architecture.exits, network)


def derive_with_fewer(
    evaluator: Evaluator,
    whole: Architecture,
    network: TrainedNetwork,
    parts: Sequence[Sequence[int]],
    among: Placements | None = None,
) -> list[DesignRecord]:
    """Every derived design of networks with fewer exits, see `study.evaluate.Evaluator.derive`.

    Args:
        evaluator: Of the study.
        whole: The network that was trained.
        network: What it says.
        parts: Early exits to keep, one entry a network.
        among: Placements on hardware to choose from; None: all of the space.
    """
    found: list[DesignRecord] = []
    for exits in parts:
        part = keeping(whole, exits)
        records = evaluator.derive(part, network_with(whole, exits, network), among)
        found += [replace(record, trained_as=whole) for record in records]
    return found


def derive_all(evaluator: Evaluator, whole: Architecture, network: TrainedNetwork) -> list[DesignRecord]:
    """Derived designs of a trained network and of those with fewer of its exits that are worth it."""
    parts = worth_keeping(evaluator, whole, [network], evaluator.leave_out)
    return [*evaluator.derive(whole, network), *derive_with_fewer(evaluator, whole, network, parts)]
