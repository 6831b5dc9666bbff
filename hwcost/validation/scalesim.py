"""Compute cycles of systolic arrays against `scalesim_layers.csv`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from hwcost.chip.core import PeArray
from hwcost.mapping.systolic import systolic_cycles
from hwcost.validation.table import integer, layer_of, read_rows
from hwcost.workload import Workload

COLUMNS = ("array", "dataflow", "B", "K", "C", "G", "OX", "OY", "FX", "FY", "stride", "compute_cycles")


def validate_scalesim(path: Path) -> dict[str, Any]:
    """Number of rows and of exact ones."""
    exact = 0
    rows = read_rows(path, COLUMNS)
    for row in rows:
        workload = Workload.from_layers([layer_of(row, "layer", path.name, 8, 8, 16)])
        sizes = np.array([PeArray.parse(row["array"]).sizes])
        ours = systolic_cycles(workload.cost_rows(), sizes, row["dataflow"])
        exact += int(ours[0] == integer(row, "compute_cycles", path.name))
    return {"n": len(rows), "exact": exact}
