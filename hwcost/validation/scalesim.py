"""Compute cycles of systolic arrays against `scalesim_layers.csv`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from hwcost.chip.core import PeArray
from hwcost.errors import OfframpError
from hwcost.mapping.systolic import systolic_cycles
from hwcost.validation.table import LAYER_COLUMNS, Row, layer_of, read_rows
from hwcost.workload import Workload

COLUMNS = ("array", "dataflow", *LAYER_COLUMNS, "compute_cycles")


def validate_scalesim(path: Path) -> dict[str, Any]:
    """Number of rows and of exact ones."""
    rows = read_rows(path, COLUMNS)
    exact = sum(int(_cycles(row) == row.positive("compute_cycles")) for row in rows)
    return {"n": len(rows), "exact": exact}


def _cycles(row: Row) -> int:
    array = PeArray.parse(row.text("array"))
    if len(array.sizes) != 2:
        raise OfframpError(f"{row.where}: expected rows x columns for 'array', got {array.label!r}")
    workload = Workload.from_layers([layer_of(row, row.where, 8, 8, 16)])
    return int(systolic_cycles(workload.cost_rows(), np.array([array.sizes]), row.text("dataflow"))[0])
