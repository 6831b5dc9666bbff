"""Searches that may train for short or for long: the same networks recorded with both budgets, images counted.

What is compared are ways to spend images of training on fronts after the long training: train every network for
long; train every network for short and go on where it earns it (`search.rungs`); train every one for short alone, and
those on the front for long when the search is over, as `study.refine` does.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

import numpy as np
import optuna

from benchmarks.recorded.searches import Following, Front, Player, propose
from benchmarks.recorded.table_study import TableStudy
from hwcost.errors import OfframpError
from models.architecture import Architecture
from study.examples import Examples
from study.memo import TrainedNetwork
from study.record import DesignRecord
from study.rungs import Rung, leads

Way = Literal["long", "short, then long where earned", "short, the front long at the end"]
WAYS: tuple[Way, ...] = ("long", "short, then long where earned", "short, the front long at the end")

_MOST_PROPOSALS = 20  # for one training; where hardly anything is left to train it would never end


@dataclass(frozen=True)
class Budgets:
    """One study, recorded with two trainings from the same warm start.

    Attributes:
        short: With the short one.
        long: With the long one; hypervolumes are of its designs.
    """

    short: TableStudy
    long: TableStudy

    @classmethod
    def load(cls, short: Path, long: Path) -> Budgets:
        """Opens both tables.

        Raises:
            OfframpError: One cannot be read, or they are not of one study, or the short one is not shorter.
        """
        found = cls(TableStudy.load(short), TableStudy.load(long))
        starts = [study.about.get("warm_start") for study in (found.short, found.long)]
        networks = [{a.key() for a in study.architectures} for study in (found.short, found.long)]
        if starts[0] != starts[1] or networks[0] != networks[1]:
            raise OfframpError(
                f"expected two tables of the same networks and one warm start, got {len(networks[0])} and "
                f"{len(networks[1])} networks from {starts[0]} and {starts[1]}; record both with one cache"
            )
        if not found.images("short") < found.images("long"):
            raise OfframpError(
                f"expected fewer images a network in {short}, got {found.images('short')} beside "
                f"{found.images('long')}; give the table of the shorter training to --short"
            )
        return found

    def images(self, which: Literal["short", "long"]) -> int:
        """Images that a network is trained on."""
        study: TableStudy = getattr(self, which)
        networks = map(study.evaluator.memo.find, study.architectures)
        return max(network.training_samples for network in networks if network is not None)


@dataclass
class _Trained:
    """The networks of a table that a search has trained, as the memo of one of its rungs.

    Attributes:
        recorded: All networks of the table.
        rung: Of the search.
        keys: Those that were trained.
    """

    recorded: Callable[[Architecture], TrainedNetwork | None]
    rung: int
    keys: set[str] = field(default_factory=set)

    def find(self, architecture: Architecture) -> TrainedNetwork | None:
        """The network; None where the search has not trained it."""
        return self._network(architecture) if architecture.key() in self.keys else None

    def get_or_train(
        self, architecture: Architecture, train: Callable[[], TrainedNetwork]
    ) -> tuple[TrainedNetwork, bool]:
        """The network, and whether this is its training."""
        new = architecture.key() not in self.keys
        self.keys.add(architecture.key())
        return self._network(architecture), new

    def _network(self, architecture: Architecture) -> TrainedNetwork:
        network = self.recorded(architecture)
        assert network is not None  # searches propose recorded networks alone
        return replace(network, rung=self.rung)


@dataclass(frozen=True, eq=False)
class Spent:
    """One search.

    Attributes:
        images: Trained on so far, (n_trainings,).
        volumes: Hypervolume over the best possible, after the long training, (n_trainings,).
        networks: Trained at all.
        risen: Of them for long, at the end.
    """

    images: np.ndarray
    volumes: np.ndarray
    networks: int
    risen: int

    def after(self, images: int) -> float:
        """Hypervolume of what so many images pay for; 0 before anything is done."""
        within = np.flatnonzero(self.images <= images)
        return float(self.volumes[within[-1]]) if within.size else 0.0


def spend(budgets: Budgets, way: Way, images: int, seed: int) -> Spent:
    """Searches until so many images were trained on.

    Args:
        budgets: The two tables.
        way: How they are spent.
        images: To be trained on, those of the last training begun before that too.
        seed: Of the search.
    """
    first = budgets.long if way == "long" else budgets.short
    player, objectives = Player(), first.evaluator.objectives
    front = Front(lambda values: 0.0, np.zeros((0, len(objectives.columns))))  # its volume says nothing here
    examples = Examples(
        list(first.space.genes()), first.space.encode, objectives, first.costing(), player.learn_derived
    )
    sampler = player.make(first, images // budgets.images("long"), seed, Following(front, examples))
    memos = _Trained(first.evaluator.memo.find, 0), _Trained(budgets.long.evaluator.memo.find, 1)
    evaluator = replace(first.evaluator, memo=memos[0])  # type: ignore[arg-type]
    if way == "short, then long where earned":

        def rises(rung: int, record: DesignRecord) -> bool:
            return leads(first.derived[record.genome.architecture.key()], front.values)

        evaluator = replace(evaluator, longer=(Rung(memos[1], _never),), rises=rises)  # type: ignore[arg-type]
    run = optuna.create_study(directions=["minimize"] * len(objectives.columns), sampler=sampler)
    course: list[tuple[int, float]] = []
    trained = 0
    for _ in range(_MOST_PROPOSALS * (images // budgets.images("long"))):
        if trained >= images or len(memos[0].keys) == len(first.architectures):
            break  # a network that did not rise is dominated, and stays so
        record = propose(run, first, evaluator.evaluate)
        if record is None:
            continue
        trained += record.training_samples
        key = record.genome.architecture.key()
        if record.source == "proposed" and record.trained:
            front.add(first.derived[key])
            examples.add(first.following(key))
        long_trained, afterwards = memos[0].keys if way == "long" else memos[1].keys, 0
        if way == "short, the front long at the end":
            long_trained = on_front(front.values, {k: first.derived[k] for k in memos[0].keys})
            afterwards = len(long_trained) * budgets.images("long")
        course.append((trained + afterwards, _volume(budgets.long, long_trained)))
    spent = np.array(course)
    return Spent(spent[:, 0], spent[:, 1], len(memos[0].keys), len(long_trained))


def on_front(front: np.ndarray, networks: Mapping[str, np.ndarray]) -> set[str]:
    """Networks with a design on a front, (n, n_objectives).

    Args:
        front: Objectives.
        networks: Those of each network's designs.
    """
    return {
        key
        for key, values in networks.items()
        if len(values) and (values[:, None] == front[None]).all(axis=2).any()
    }


def _volume(study: TableStudy, networks: set[str]) -> float:
    """Of all designs of some networks, over the best possible."""
    values = [study.derived[key] for key in networks if len(study.derived[key])]
    best = study.scale.hypervolume(study.scale.joint)
    return study.scale.hypervolume(np.vstack(values)) / best if values else 0.0


def _never(architecture: Architecture) -> TrainedNetwork:
    raise RuntimeError(f"expected a recorded network, got {architecture}; searches must ask for it first")
