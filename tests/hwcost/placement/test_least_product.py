"""The search for the least product ends whatever rounding does; that it is exact is tested in `test_solve.py`."""

from __future__ import annotations

import numpy as np
import pytest

from hwcost.placement.least_product import least_product

FAST, CHEAP = (1.0, 10.0), (10.0, 1.0)


class Rounding:
    """An assigner whose sums are not quite those it minimised: between two ends it finds one point for ever."""

    n = 1

    def __init__(self, between: tuple[float, float]) -> None:
        self.between, self.calls = between, 0

    def totals(self, cycle: np.ndarray, picojoule: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        self.calls += 1
        assert self.calls < 50, "it does not end"
        latency, energy = CHEAP if cycle[0] == 0 else FAST if picojoule[0] == 0 else self.between
        return np.array([latency]), np.array([energy])


@pytest.mark.parametrize("between", [(10.0, 0.999), (0.999, 10.0), FAST, CHEAP])
def test_a_point_that_is_found_again_is_the_end_of_it(between: tuple[float, float]) -> None:
    assigner = Rounding(between)
    cycle, picojoule = least_product(assigner)  # type: ignore[arg-type]
    latency, energy = assigner.totals(cycle, picojoule)
    assert latency * energy == pytest.approx(min(np.prod(FAST), np.prod(CHEAP), np.prod(between)))
