"""Which designs of a run are refined."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import moocore
import numpy as np

from hwcost.errors import OfframpError
from study.front import headline_front, objective_front
from study.record import DesignRecord

if TYPE_CHECKING:
    import optuna

    from study.refine.opening import Request
    from study.setup import StudyContext
    from study.tables import Design


def front_members(study: optuna.Study, context: StudyContext, request: Request) -> list[Design]:
    """The designs of the run that are refined, by falling accuracy.

    Args:
        study: Of the run.
        context: Of the run.
        request: Which ones.

    Raises:
        OfframpError: No design is feasible, or one that was named is not there, or names several.
    """
    from study.export.run_tables import evaluated_designs

    designs = evaluated_designs(study, context)
    records = [design.record for design in designs]
    chosen = headline_front(records)
    if not chosen:
        raise OfframpError(
            f"expected a run with a front, got {len(records)} designs of which none is feasible and trained; run "
            "more trials"
        )
    if request.members == "all":
        chosen = list({*chosen, *objective_front(records, context.evaluator.objectives)})
    elif request.most_networks:
        chosen = of_best_networks(records, chosen, request.most_networks)
    elif request.named_members:
        chosen = list(dict.fromkeys(_named(records, name) for name in request.named_members))
    return sorted((designs[i] for i in chosen), key=lambda design: -design.record.accuracy)


def of_best_networks(records: Sequence[DesignRecord], front: Sequence[int], most: int) -> list[int]:
    """The members of a front that run the few networks which keep most of it.

    A network is what costs trainings, its designs come with it. One after the other the network is taken that adds
    most hypervolume in error and mean energy-latency product, both in ranges of the front and up to a tenth beyond.

    Args:
        records: Designs.
        front: Indices of the members.
        most: Networks, at most.

    Returns:
        Indices, in the order of `front`.
    """
    points = np.array([(1.0 - records[i].accuracy, records[i].mean_edp_pj_cycles) for i in front])
    span = np.ptp(points, axis=0)
    scaled = (points - points.min(axis=0)) / np.where(span > 0, span, 1.0)
    networks = [records[i].network.key() for i in front]
    left, taken = list(dict.fromkeys(networks)), set[str]()
    while left and len(taken) < most:
        volumes = [_volume(scaled[[name in {*taken, network} for name in networks]]) for network in left]
        taken.add(left.pop(int(np.argmax(volumes))))
    return [i for i, network in zip(front, networks, strict=True) if network in taken]


def _volume(points: np.ndarray) -> float:
    """Hypervolume of (n, 2) points."""
    return float(moocore.hypervolume(points, ref=[1.1, 1.1]))


def _named(records: Sequence[DesignRecord], name: str) -> int:
    """The design whose identifier begins so, among those that may lead."""
    found = [i for i, r in enumerate(records) if r.may_lead and r.genome.key().startswith(name)]
    if len(found) != 1:
        raise OfframpError(
            f"expected the identifier of a feasible design of the run, got {name!r}, which {len(found)} have; "
            "designs.csv lists them"
        )
    return found[0]
