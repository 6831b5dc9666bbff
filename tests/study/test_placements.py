"""Against every pair of rows, one after the other."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from study.placements import MOST_EXACT, TOLERANCE, leading


def unbeaten(costs: np.ndarray) -> list[int]:
    """Rows that no other row beats; of equal ones all."""
    return [
        i
        for i, row in enumerate(costs)
        if not any((other <= row).all() and (other < row).any() for other in costs)
    ]


@settings(deadline=None)
@given(arrays(np.int64, st.tuples(st.integers(1, MOST_EXACT), st.integers(1, 4)), elements=st.integers(1, 6)))
def test_few_are_all_that_nothing_beats(costs: np.ndarray) -> None:
    found = leading(costs.astype(float)).tolist()
    assert found == sorted(found)
    wanted = unbeaten(costs)
    assert set(found) <= set(wanted)
    assert {tuple(costs[i]) for i in found} == {tuple(costs[i]) for i in wanted}  # equal ones once


@settings(deadline=None, max_examples=50)
@given(st.integers(0, 2**32 - 1), st.sampled_from((1e-4, 1e-3, 1e-2)))
def test_of_many_one_within_the_tolerance_stays(seed: int, spread: float) -> None:
    rng = np.random.default_rng(seed)
    groups = rng.uniform(1, 2, (6, 5))
    costs = groups[rng.integers(6, size=150)] * (1 + rng.uniform(0, spread, (150, 5)))
    found = leading(costs)
    assert set(found.tolist()) <= set(unbeaten(costs))
    for row in costs:
        assert any((costs[kept] <= row * (1 + TOLERANCE)).all() for kept in found)
    if len(found) > MOST_EXACT:
        for row in found:
            others = costs[found[found != row]]
            cheaper_overall = np.log(others).sum(axis=1) <= np.log(costs[row]).sum()
            assert not (others[cheaper_overall] <= costs[row] * (1 + TOLERANCE)).all(axis=1).any()


def test_many_that_differ_by_less_than_anyone_knows_become_few() -> None:
    rng = np.random.default_rng(0)
    costs = 1000 + rng.uniform(0, 0.5, (400, 8))
    assert len(unbeaten(costs)) > 100
    assert len(leading(costs)) == 1


@pytest.mark.parametrize("n", [1, 5])
def test_equal_rows_leave_one(n: int) -> None:
    assert len(leading(np.ones((n, 3)))) == 1
