"""Compute cycles of rigid systolic dataflows.

Source: SCALE-Sim (Samajdar et al., "A Systematic Methodology for Characterizing Scalability of DNN Accelerators
using SCALE-Sim", ISPASS 2020), calculation mode: folds of the array, each with its fill, stream and drain.
"""

from __future__ import annotations

import numpy as np

from hwcost.errors import OfframpError
from hwcost.mapping.loops import Loop, loop_sizes
from hwcost.workload import IntArray

DATAFLOWS = ("ws", "is", "os")


def systolic_cycles(rows: IntArray, arrays: IntArray, dataflow: str) -> IntArray:
    """Cycles of layers on R x C arrays, groups one after another.

    With M = OX OY, D = FX FY C, N = K, the stationary operand covers Sr x Sc of the array and T values stream past:
    ws (D, N, M), is (D, M, N), os (M, N, D). With F = ceil(Sr/R) ceil(Sc/C) folds, ws and is take
    F (2R + C + T - 2) - 1 cycles, os takes F (R + C + T - 2) - 1.

    Args:
        rows: Rows of `Workload.cost_rows()`: (n, n_columns).
        arrays: Rows and columns of the array: (n, 2).
        dataflow: `ws`, `is` or `os`.
    """
    if dataflow not in DATAFLOWS:
        raise OfframpError(f"expected a dataflow of {', '.join(DATAFLOWS)}, got {dataflow!r}")
    sizes = loop_sizes(rows)
    positions = sizes[:, Loop.OX] * sizes[:, Loop.OY] * sizes[:, Loop.B]
    depth = sizes[:, Loop.FX] * sizes[:, Loop.FY] * sizes[:, Loop.C]
    filters = sizes[:, Loop.K]
    along_rows, along_columns, streamed = {
        "ws": (depth, filters, positions),
        "is": (depth, positions, filters),
        "os": (positions, filters, depth),
    }[dataflow]
    height, width = arrays[:, 0], arrays[:, 1]
    folds = -(-along_rows // height) * -(-along_columns // width)
    loads = 1 if dataflow == "os" else 2
    cycles: IntArray = (folds * (loads * height + width + streamed - 2) - 1) * sizes[:, Loop.G]
    return cycles.astype(np.int64)
