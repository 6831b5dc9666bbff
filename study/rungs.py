"""Rungs: a short training for every network of a study, longer ones for those that earn them.

Every feasible design's network gets the training of rung 0. A network one of whose designs no other design dominates
at its rung, as far as is known when it is done, is trained again with the budget of the next rung, within the same
trial, from the warm start and with a seed of its own: what a rung gives depends on architecture and rung alone, not
on who got there or when. A network's designs are the one that was proposed and, where a study derives, all that
follow from it: other PE arrays, levels, policy targets, fewer exits.

**Comparing rungs.** The result of a trial is that of the highest rung it reached, so a storage holds results of
several budgets. Every design of a network that did not rise is dominated at its rung by another one, whose network
rose or which was itself dominated by an earlier one, and so on. Domination is transitive and the first network always
rises, so there is a design of one that rose which dominates it at equal budgets. The result of a design that did not
rise is a pessimistic bound in expectation: trained longer it would err less. Hence three rules.

- Fronts and hypervolumes are made of designs of the last rung only. A short training neither enters them nor is
  measured against a long one there; a hypervolume can only be too small by it.
- Selection for breeding takes results as they are. A design that rose is preferred twice, for its rank and for its
  budget, and both say that its neighbourhood is worth more trials.
- Predictions need numbers that compare. They are made of rung 0, the one rung that every trained network has, of
  proposals and of what follows from networks alike. So what is predicted is what the decision at the end of rung 0
  will see, and a child that is skipped with confidence is one that would hardly have risen.

Where a bound is on something that only training tells, a design that breaks it keeps nobody down, and one that breaks
a bound on a cost earns nothing; a bound on the error may still be met after a longer training.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from optuna.trial import FrozenTrial

from models.architecture import Architecture
from study.memo import PredictionMemo, TrainedNetwork
from study.storage import RESULT_KEY

if TYPE_CHECKING:
    from study.record import DesignRecord

Rises = Callable[[int, "DesignRecord"], bool]
"""Whether the network of a design with this result at this rung gets the training of the next one."""


@dataclass(frozen=True)
class Rung:
    """One training budget.

    Attributes:
        memo: Networks trained with it so far.
        train: Trains one architecture with it.
    """

    memo: PredictionMemo
    train: Callable[[Architecture], TrainedNetwork]


def always_rises(rung: int, record: DesignRecord) -> bool:
    """Every network gets every training."""
    return True


def leads(values: np.ndarray, known: np.ndarray) -> bool:
    """Whether any of some objectives, (n, n_objectives), is dominated by none of others, (k, n_objectives)."""
    no_worse = np.all(known[None] <= values[:, None], axis=2)
    better = np.any(known[None] < values[:, None], axis=2)
    beaten = np.any(no_worse & better, axis=1)
    return not beaten.all()


def may_rise(record: DesignRecord) -> bool:
    """Whether a design keeps all bounds but one on the error, which a longer training may still meet."""
    return all(excess <= 0 for name, excess in record.violations.items() if name != "error")


def known_at(trials: Iterable[FrozenTrial], rung: int, n_objectives: int = 3) -> np.ndarray:
    """Objectives at one rung, (n, n_objectives), of the trained trials that got so far."""
    rows = [steps[rung] for steps in map(_steps, trials) if len(steps) > rung]
    return np.array(rows, dtype=np.float64).reshape(-1, n_objectives)


def first_rung_values(trial: FrozenTrial) -> list[float]:
    """Values of a finished trial after the training that all trials get."""
    steps = _steps(trial)
    return list(steps[0] if steps else trial.values)


def _steps(trial: FrozenTrial) -> list[list[float]]:
    """Objectives of a trained trial at every rung it reached; none for one that was not trained."""
    result = trial.user_attrs.get(RESULT_KEY)
    if result is None or not result["exit_ratios"]:
        return []
    return [*result.get("lower_rungs", []), list(trial.values)]


def is_feasible(trial: FrozenTrial) -> bool:
    """Whether a trial met every constraint: one that broke a bound only its training told keeps nobody down."""
    return all(excess <= 0 for excess in trial.constraints.values())
