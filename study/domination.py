"""Which trials go before which: constrained domination, and how far a trial exceeds its constraints."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import optuna
from optuna.trial import FrozenTrial

from study.storage import RESULT_KEY

_CONSTRAINT_PREFIX = "constraints:"


def signs(directions: Sequence[Any]) -> np.ndarray:
    """What makes less better of each objective, (n_objectives,)."""
    return np.array([1.0 if d == optuna.study.StudyDirection.MINIMIZE else -1.0 for d in directions])


def constrained_rank(trials: Sequence[FrozenTrial], directions: Sequence[Any]) -> np.ndarray:
    """Rank of each trial under constrained domination, 0 best, (n_trials,).

    A feasible trial goes before an infeasible one, of two infeasible ones the smaller violation, of two feasible
    ones the dominating one (Deb et al. 2002, section VI). Parents number at most 64, so counting dominators is
    cheap enough and needs no sorting into fronts.
    """
    values = np.array([trial.values for trial in trials]) * signs(directions)
    violation = np.array([total_violation(trial) for trial in trials])
    no_worse = (values[:, None, :] <= values[None, :, :]).all(axis=2)
    better = (values[:, None, :] < values[None, :, :]).any(axis=2)
    both_feasible = (violation[:, None] == 0) & (violation[None, :] == 0)
    dominates = np.where(both_feasible, no_worse & better, violation[:, None] < violation[None, :])
    return dominates.sum(axis=0)


def was_measured(trial: FrozenTrial) -> bool:
    """Whether a finished trial's values were measured: those of a design that hardware ruled out were not."""
    result = trial.user_attrs.get(RESULT_KEY, {})
    return total_violation(trial) == 0 or bool(result.get("exit_ratios"))


def largest_excess(trial: FrozenTrial) -> float:
    """The largest constraint value of a trial, at most 0 where it meets them; -1 where it has none."""
    return max(
        (float(v) for k, v in trial.system_attrs.items() if k.startswith(_CONSTRAINT_PREFIX)), default=-1.0
    )


def total_violation(trial: FrozenTrial) -> float:
    """Sum of the positive constraint values of a trial; 0 for a feasible one."""
    attributes = trial.system_attrs
    return sum(max(0.0, float(v)) for k, v in attributes.items() if k.startswith(_CONSTRAINT_PREFIX))
