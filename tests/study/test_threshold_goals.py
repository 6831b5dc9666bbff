from __future__ import annotations

import numpy as np
import pytest

from study.threshold_goals import CheapestAboveFloor, MostAccurateBelowCeiling, choose


@pytest.mark.parametrize("goal", [CheapestAboveFloor(), MostAccurateBelowCeiling()])
@pytest.mark.parametrize("n_designs", [1, 7, 1500])
def test_chooses_like_a_plain_loop(goal, n_designs):
    rng = np.random.default_rng(n_designs)
    counts = rng.multinomial(30, [0.4, 0.3, 0.3], size=12)
    right = rng.integers(5, 25, size=12)
    cost = np.cumsum(rng.random((n_designs, 3)), axis=1)
    if goal.feasible_when_accurate:
        limits = np.tile([4.0, 15.0, 22.0, 30.0], (n_designs, 1))
    else:
        limits = rng.random((n_designs, 3)) * cost[:, -1:] * 30
    chosen = choose(counts, right, cost, goal, limits)
    assert chosen.shape == limits.shape
    for d, t in list(np.ndindex(limits.shape))[:200]:
        spent = [sum(c * n for c, n in zip(cost[d], row, strict=True)) for row in counts]
        if goal.feasible_when_accurate:
            options = [(spent[i], i) for i in range(12) if right[i] >= limits[d, t]]
        else:
            options = [((-right[i], spent[i]), i) for i in range(12) if spent[i] <= limits[d, t]]
        assert chosen[d, t] == (min(options)[1] if options else -1)


def test_rounding_of_a_sum_does_not_break_a_ceiling():
    thirds = 0.1 * 3
    assert thirds > 0.3
    assert MostAccurateBelowCeiling().violation(1, thirds, 0.3) <= 0
    assert MostAccurateBelowCeiling().violation(1, 0.3001, 0.3) > 0


def test_one_more_right_answer_is_worth_any_cost_below_the_ceiling():
    goal = MostAccurateBelowCeiling()
    assert goal.rank(11, 100.0, 100.0) < goal.rank(10, 0.0, 100.0)
    assert goal.rank(10, 50.0, 100.0) < goal.rank(10, 51.0, 100.0)
