from __future__ import annotations

import numpy as np
import pytest

from hwcost.errors import OfframpError
from study.policy import apply_policy
from study.shared_threshold import PAPER_GRID, bounded_shared_many
from tests.reference.policy_oracle import run_policy
from tests.study.policy_cases import cumulative_costs, realistic


@pytest.fixture
def case():
    latency, energy = cumulative_costs(0, 1, 4)
    return realistic(0, 400, 4), latency[0], energy[0]


def oracle_products(case, grid=PAPER_GRID):
    """Mean energy-latency product of each threshold, by the plain loop."""
    predictions, latency, energy = case
    confidence, correct = predictions.confidence.astype(float).tolist(), predictions.correct.tolist()
    costs = (latency.tolist(), energy.tolist())
    return {t: run_policy(confidence, correct, [t, t, t, -np.inf], *costs).edp for t in grid}


def test_largest_of_the_grid_under_a_cost_bound(case):
    predictions, latency, energy = case
    reference = latency[-1] * energy[-1]
    products = oracle_products(case)
    bound = products[0.85] / reference * 1.0001
    # Nothing under the second bound: the smallest threshold is the nearest.
    found = bounded_shared_many(*case, reference, [bound, 1e-9])[0]
    assert found.tolist() == [[0.85] * 3 + [-np.inf], [0.70] * 3 + [-np.inf]]
    point = apply_policy(predictions, found[0], latency, energy)
    assert point.mean_edp_pj_cycles / reference <= bound


def test_many_designs_and_bounds_equal_a_plain_loop(case):
    predictions = case[0]
    latency, energy = cumulative_costs(1, 6, 4)
    reference = float(latency[0, -1] * energy[0, -1])
    bounds = [0.2, 0.4, 0.5, 0.6, 0.8]
    found = bounded_shared_many(predictions, latency, energy, reference, bounds)
    assert found.shape == (6, 5, 4)
    for d in range(6):
        products = oracle_products((predictions, latency[d], energy[d]))
        for t, bound in enumerate(bounds):
            within = [value for value, edp in products.items() if edp <= bound * reference]
            assert found[d, t, 0] == (max(within) if within else min(PAPER_GRID))
    assert len(np.unique(found[..., 0])) > 2


def test_the_order_of_the_grid_does_not_matter(case):
    latency, energy = case[1:]
    reference = latency[-1] * energy[-1]
    up = bounded_shared_many(*case, reference, [0.6], grid=(0.5, 0.7, 0.9))
    down = bounded_shared_many(*case, reference, [0.6], grid=(0.9, 0.7, 0.5))
    np.testing.assert_array_equal(up, down)


def test_empty_grid_is_refused(case):
    with pytest.raises(OfframpError, match="at least one"):
        bounded_shared_many(*case, 1.0, [0.5], grid=())
