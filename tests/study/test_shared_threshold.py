from __future__ import annotations

import numpy as np
import pytest

from hwcost.errors import OfframpError
from study.policy import ExitPolicy, apply_policy
from study.shared_threshold import PAPER_GRID, best_shared_threshold, bounded_shared_threshold
from tests.reference.policy_oracle import run_policy
from tests.study.policy_cases import cumulative_costs, realistic


@pytest.fixture
def case():
    latency, energy = cumulative_costs(0, 1, 4)
    return realistic(0, 400, 4), latency[0], energy[0]


def oracle_points(case, grid=PAPER_GRID):
    predictions, latency, energy = case
    confidence, correct = predictions.confidence.astype(float).tolist(), predictions.correct.tolist()
    return [
        (t, run_policy(confidence, correct, [t, t, t, -np.inf], latency.tolist(), energy.tolist()))
        for t in grid
    ]


@pytest.mark.parametrize("drop", [0.01, 0.03, 0.1])
def test_best_of_the_grid_under_the_floor(case, drop):
    floor = case[0].accuracies[-1] - drop
    feasible = [(p.edp, t) for t, p in oracle_points(case) if p.accuracy >= floor]
    assert feasible, "the case should have something to choose from"
    chosen = best_shared_threshold(*case, drop)
    assert chosen.tolist() == [min(feasible)[1]] * 3 + [-np.inf]


def test_infeasible_grid_means_no_early_exit(case):
    chosen = best_shared_threshold(*case, -1.0)
    np.testing.assert_array_equal(chosen, ExitPolicy.never_early(4).thresholds)


def test_largest_of_the_grid_under_a_cost_bound(case):
    predictions, latency, energy = case
    reference = latency[-1] * energy[-1]
    costs = dict((t, p.edp / reference) for t, p in oracle_points(case))
    bound = costs[0.85] * 1.0001
    assert bounded_shared_threshold(*case, reference, bound)[0] == 0.85
    # Nothing under the bound: the smallest threshold is the nearest.
    assert bounded_shared_threshold(*case, reference, 1e-9)[0] == 0.70
    point = apply_policy(predictions, bounded_shared_threshold(*case, reference, bound), latency, energy)
    assert point.mean_edp_pj_cycles / reference <= bound


def test_empty_grid_is_refused(case):
    with pytest.raises(OfframpError, match="at least one"):
        best_shared_threshold(*case, 0.01, grid=())
