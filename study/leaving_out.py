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
    from study.evaluate import Evaluator
    from study.placements import Placements


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


def derive_keeping(
    evaluator: Evaluator,
    whole: Architecture,
    network: TrainedNetwork,
    sets: Sequence[Sequence[int]],
    among: Placements | None = None,
) -> list[DesignRecord]:
    """Every derived design of a trained network with some of its early exits, see `study.evaluate.Evaluator.derive`.

    Args:
        evaluator: Of the study.
        whole: The network that was trained.
        network: What it says.
        sets: Early exits to keep, one entry a network; all of them is the network itself.
        among: Placements on hardware to choose from; None: all of the space.
    """
    found: list[DesignRecord] = []
    for exits in sets:
        part = keeping(whole, exits)
        trained_as = None if part == whole.canonical() else whole
        records = evaluator.derive(part, network_with(whole, exits, network), among)
        found += [replace(record, trained_as=trained_as) for record in records]
    return found


def sets_to_derive(
    evaluator: Evaluator, whole: Architecture, networks: Sequence[TrainedNetwork]
) -> list[tuple[int, ...]]:
    """All early exits of a network, then the sets that are worth keeping of any of its trainings."""
    return [whole.exits, *worth_keeping(evaluator, whole, networks, evaluator.leave_out)]
