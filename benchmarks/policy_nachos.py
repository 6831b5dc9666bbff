"""The threshold rule of NACHOS (arXiv 2401.13330), as in its released code.

The rule (AI-Tech-Research-Lab/CNAS at 67d07e8, `ee_train.py`, option `tune_epsilon`): of the shared thresholds 0.1,
0.2, 0.3, 0.5, 0.6, 0.7 and 0.8, the first exit's being at least 0.7, take the one with the highest accuracy on the
validation split. While the mean number of MACs is above its bound, REPAIR: lower the threshold of the last early exit
by 0.1, again and again; where that breaks the bound on accuracy, or 0.1 is reached, go on with the exit before it.

Here the mean of any cumulative cost stands for the MACs, the split is the calibration split, and scores are the
highest softmax probability; NACHOS's own networks learn a gate per exit. Where a step breaks the bound on accuracy
the released code goes on without taking the step back; it is taken back here, in the rule's favour.
"""

from __future__ import annotations

import numpy as np

from models.predictions import ExitPredictions
from study.threshold_table import SampleTable

START = (0.1, 0.2, 0.3, 0.5, 0.6, 0.7, 0.8)
FIRST_AT_LEAST = 0.7
STEP = 0.1
LOWEST = 0.11


def repaired_thresholds(
    calibration: ExitPredictions, cost: np.ndarray, ceiling: float, least_accuracy: float
) -> np.ndarray:
    """Thresholds (n_exits,) by the rule.

    Args:
        calibration: predictions the rule looks at.
        cost: (n_exits,) cumulative cost of leaving at each exit.
        ceiling: bound on the mean cost; not always met.
        least_accuracy: bound on the accuracy; not always met.
    """
    table = SampleTable.of(calibration)
    n_early = table.n_exits - 1

    def outcome(early: np.ndarray) -> tuple[float, float]:
        """Accuracy and mean cost."""
        counts, right = table.outcome(np.append(early, -np.inf))
        return right / table.n_samples, float(counts @ cost) / table.n_samples

    starts = [np.array([max(value, FIRST_AT_LEAST), *[value] * (n_early - 1)]) for value in START]
    early = max(starts, key=lambda start: outcome(start)[0])
    accuracy, spent = outcome(early)
    i = n_early - 1
    while accuracy >= least_accuracy and spent > ceiling and i >= 0:
        lowered = early.copy()
        lowered[i] -= STEP
        after, cheaper = outcome(lowered)
        if after < least_accuracy:
            i -= 1
            continue
        early, spent = lowered, cheaper
        if early[i] <= LOWEST:
            i -= 1
    return np.append(early, -np.inf)
