"""Rungs: a short training for every design of a study, longer ones for those that earn them.

Every feasible design gets the training of rung 0. A design that no other one dominates at its rung, as far as is
known when it is done, is trained again with the budget of the next rung, within the same trial, from the warm start
and with a seed of its own: what a rung gives depends on architecture and rung alone, not on who got there or when.

**Comparing rungs.** The result of a trial is that of the highest rung it reached, so a storage holds results of
several budgets. A design that did not rise is dominated at its rung by another one; that one rose, or was itself
dominated by an earlier one, and so on. Domination is transitive and the first design always rises, so there is one
that rose and dominates it at equal budgets. The result of a design that did not rise is a pessimistic bound in
expectation: trained longer it would err less. Hence three rules.

- Fronts and hypervolumes are made of designs of the last rung only. A short training neither enters them nor is
  measured against a long one there; a hypervolume can only be too small by it.
- Selection for breeding takes results as they are. A design that rose is preferred twice, for its rank and for its
  budget, and both say that its neighbourhood is worth more trials.
- Predictions need numbers that compare. They are made of rung 0, the one rung that every trained design has. So
  what is predicted is what the decision at the end of rung 0 will see, and a child that is skipped with confidence is
  one that would not have risen.

Where a bound is on something that only training tells, a design that breaks it keeps nobody down, and one that breaks
a bound on a cost does not rise; a bound on the error may still be met after a longer training.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from optuna.trial import FrozenTrial, TrialState

from models.architecture import Architecture
from study.memo import PredictionMemo, TrainedNetwork
from study.storage import RESULT_KEY

if TYPE_CHECKING:
    import optuna

Values = tuple[float, ...]
Rises = Callable[[int, Values], bool]
"""Whether a design with these objectives at this rung gets the training of the next one."""


@dataclass(frozen=True)
class Rung:
    """One training budget.

    Attributes:
        memo: Networks trained with it so far.
        train: Trains one architecture with it.
    """

    memo: PredictionMemo
    train: Callable[[Architecture], TrainedNetwork]


def always_rises(rung: int, objectives: Values) -> bool:
    """Every design gets every training."""
    return True


class RisesUndominated:
    """A design rises that no finished feasible design of the study dominates at its rung.

    Args:
        study: Whose finished trials are what is known.
    """

    def __init__(self, study: optuna.Study) -> None:
        self._study = study

    def __call__(self, rung: int, objectives: Values) -> bool:
        """Whether a design with these objectives at this rung rises."""
        finished = self._study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
        known = known_at([t for t in finished if _feasible(t)], rung, len(objectives))
        no_worse = (known <= objectives).all(axis=1)
        better = (known < objectives).any(axis=1)
        return not (no_worse & better).any()


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


def _feasible(trial: FrozenTrial) -> bool:
    """Whether a trial met every constraint: one that broke a bound only its training told keeps nobody down."""
    return all(excess <= 0 for excess in trial.constraints.values())
