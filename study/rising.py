"""Which networks of a study get a longer training, out of what its trials and its files tell."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from optuna.trial import TrialState

from study.derived import DerivedDesigns, write_derived
from study.record import DesignRecord
from study.rungs import is_feasible, known_at, leads, may_rise

if TYPE_CHECKING:
    import optuna

    from study.setup import StudyContext


class RisesUndominated:
    """A network rises where one of its designs is dominated by no known feasible design at its rung.

    Known are the finished trials of the study, and what follows from networks in this run's folder.

    Args:
        study: Its finished trials count.
        context: Of the study.
        derived: What follows from networks after the first training; None: the study derives nothing. What follows
            from a network at a rung below the last is written into the run's folder when it is asked about.
    """

    def __init__(self, study: optuna.Study, context: StudyContext, derived: DerivedDesigns | None) -> None:
        self._study, self._context = study, context
        self._objectives = context.evaluator.objectives
        self._derived: dict[int, DerivedDesigns] = {}
        if derived is not None:
            higher = range(1, len(context.evaluator.rungs) - 1)
            self._derived = {0: derived, **{rung: DerivedDesigns(context, rung) for rung in higher}}

    def __call__(self, rung: int, record: DesignRecord) -> bool:
        """Whether the network of a design with this result at this rung rises."""
        derived = self._derived.get(rung)
        own: Sequence[DesignRecord] = (
            () if derived is None else write_derived(self._context, record.genome.architecture, rung)
        )
        values = [self._objectives.values(one) for one in (record, *own) if may_rise(one)]
        if not values:
            return False
        finished = self._study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
        known = known_at([t for t in finished if is_feasible(t)], rung, len(self._objectives.columns))
        # The network's own designs may be among what is read: the best of them are dominated by none of them.
        front = known[:0] if derived is None else derived.front()
        return leads(np.array(values), np.vstack([known, front]))
