"""Systolic dataflows: runs of SCALE-Sim 3.0.0 in calculation mode, and numbers derived by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from hwcost.errors import OfframpError
from hwcost.mapping.systolic import systolic_cycles
from hwcost.validation.scalesim import validate_scalesim
from hwcost.workload import Layer, Op, Workload


def cycles(layer: Layer, rows: int, columns: int, dataflow: str) -> int:
    table = Workload.from_layers([layer]).cost_rows()
    return int(systolic_cycles(table, np.array([[rows, columns]]), dataflow)[0])


# 32x32 array: SCALE-Sim prints 2847 for the stem (1024 positions, depth 27, 32 filters) and 3007 for a
# 1x1 convolution 32 -> 16 on 32x32, both output-stationary.
@pytest.mark.parametrize(
    ("layer", "expected"),
    [
        (Layer("stem", Op.CONV, k=32, c=3, ox=32, oy=32, fx=3, fy=3), 2847),
        (Layer("pw", Op.CONV, k=16, c=32, ox=32, oy=32), 3007),
    ],
)
def test_printed_by_scalesim(layer: Layer, expected: int) -> None:
    assert cycles(layer, 32, 32, "os") == expected


def test_weight_stationary_by_hand() -> None:
    # depth 2 x 9 = 18 over 8 rows: 3 folds; 5 filters over 4 columns: 2; each loads 8 rows, then 8 + 4 + 16 - 2
    layer = Layer("l", Op.CONV, k=5, c=2, ox=4, oy=4, fx=3, fy=3)
    assert cycles(layer, 8, 4, "ws") == 3 * 2 * (8 + 8 + 4 + 16 - 2) - 1
    # input-stationary: 16 positions over 4 columns: 4 folds; 5 filters stream
    assert cycles(layer, 8, 4, "is") == 3 * 4 * (8 + 8 + 4 + 5 - 2) - 1


def test_groups_run_one_after_another() -> None:
    one = Layer("a", Op.CONV, ox=8, oy=8, fx=3, fy=3)
    many = Layer("b", Op.CONV, g=5, ox=8, oy=8, fx=3, fy=3)
    assert cycles(many, 8, 8, "ws") == 5 * cycles(one, 8, 8, "ws")


def test_all_reference_rows_are_exact(reference_dir: Path) -> None:
    found = validate_scalesim(reference_dir / "scalesim_layers.csv")
    assert found["exact"] == found["n"] > 0


def test_an_unknown_dataflow_is_refused() -> None:
    with pytest.raises(OfframpError, match="ws, is, os"):
        cycles(Layer("a", Op.CONV), 8, 8, "rs")
