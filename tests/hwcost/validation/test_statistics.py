"""Figures of agreement, by hand."""

from __future__ import annotations

import numpy as np
import pytest

from hwcost.validation.statistics import error_summary, kendall, ranks, spearman


def test_errors_are_fractions_of_the_reference() -> None:
    found = error_summary(np.array([110.0, 80.0]), np.array([100.0, 100.0]))
    assert found["mape"] == pytest.approx(0.15)
    assert found["max"] == pytest.approx(0.2)
    assert found["worse_max"] == pytest.approx(0.1)
    assert found["p95"] == pytest.approx(0.195)


def test_equal_values_share_a_rank() -> None:
    assert ranks(np.array([5.0, 1.0, 5.0, 9.0])).tolist() == [2.5, 1.0, 2.5, 4.0]


def test_rank_correlations() -> None:
    one = np.array([1.0, 2.0, 3.0, 4.0])
    assert spearman(one, one**3) == pytest.approx(1)
    assert kendall(one, -one) == pytest.approx(-1)
    # one of six pairs is swapped
    assert kendall(one, np.array([1.0, 3.0, 2.0, 4.0])) == pytest.approx(4 / 6)
    assert spearman(one, np.array([1.0, 3.0, 2.0, 4.0])) == pytest.approx(1 - 6 * 2 / (4 * 15))


def test_a_column_that_does_not_vary_has_no_rank() -> None:
    assert spearman(np.ones(3), np.arange(3.0)) is None
    assert kendall(np.ones(3), np.arange(3.0)) is None
