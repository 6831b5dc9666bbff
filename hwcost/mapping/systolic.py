"""Compute models: what the PEs do with a layer, and how long they need for it.

`ideal`: every iteration of the temporal loops takes a cycle, and the mapper chooses unrolling and order.

`systolic_ws|os|is`: the layer runs as a matrix product, depth D = FX FY C, filters N = K, positions M = OX OY B, on
an array of rows x columns whose loops the dataflow fixes; the streamed operand's loop runs innermost. The PEs take as
long as the pipeline below, and what the memories may take per tile is stretched alike. Inputs of the matrix repeat
where windows overlap; a tile of them is charged at most the whole map.

Source of the pipeline's cycles:
SCALE-Sim (Samajdar et al., "A Systematic Methodology for Characterizing Scalability of DNN Accelerators
using SCALE-Sim", ISPASS 2020), calculation mode: folds of the array, each with its fill, stream and drain.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from hwcost.chip.core import ArrayDimension, ComputeCore
from hwcost.errors import OfframpError
from hwcost.mapping.loops import Loop, loop_sizes
from hwcost.workload import COST_COLUMNS, IntArray

# Loops of the matrix form along rows and columns of the array, and the one that streams.
_DATAFLOW_LOOPS = {
    "ws": (Loop.C, Loop.K, Loop.OX),
    "is": (Loop.C, Loop.OX, Loop.K),
    "os": (Loop.OX, Loop.K, Loop.C),
}
DATAFLOWS = tuple(_DATAFLOW_LOOPS)


def fixed_loops(compute_model: str) -> tuple[Loop, ...]:
    """Loops along rows and columns of the array; none where the mapper chooses them."""
    return _DATAFLOW_LOOPS.get(compute_model.removeprefix("systolic_"), ())[:2]


@dataclass(frozen=True, eq=False)
class ComputeForm:
    """Layers as a core's compute model sees them.

    Attributes:
        rows: Like rows of `Workload.cost_rows()`: (n, n_columns).
        dimensions: Of the array, with the loops they may unroll.
        stream: Loops that run innermost, if prescribed.
        least_cycles: The PEs need at least so long: (n,).
        input_elements: Most elements a tile of one group's inputs is charged with: (n,).
    """

    rows: IntArray
    dimensions: tuple[ArrayDimension, ...]
    stream: tuple[Loop, ...]
    least_cycles: np.ndarray
    input_elements: np.ndarray

    @classmethod
    def of(cls, core: ComputeCore, rows: IntArray, arrays: IntArray) -> ComputeForm:
        """Layers (n, n_columns) on arrays (n, n_dims) of a core."""
        n = len(rows)
        if core.compute_model == "ideal":
            return cls(rows, core.dimensions, (), np.zeros(n), np.full(n, np.inf))
        dataflow = core.compute_model.removeprefix("systolic_")
        *fixed, streamed = _DATAFLOW_LOOPS[dataflow]
        return cls(
            rows=_matrix_rows(rows),
            dimensions=tuple(
                replace(dimension, loops=(loop,))
                for dimension, loop in zip(core.dimensions, fixed, strict=True)
            ),
            stream=(streamed,),
            least_cycles=systolic_cycles(rows, arrays, dataflow).astype(np.float64),
            input_elements=np.prod([_column(rows, name) for name in ("b", "c", "ix", "iy")], axis=0).astype(
                np.float64
            ),
        )

    def part(self, index: slice) -> ComputeForm:
        """Some of the layers."""
        return replace(
            self,
            rows=self.rows[index],
            least_cycles=self.least_cycles[index],
            input_elements=self.input_elements[index],
        )


def _column(rows: IntArray, name: str) -> IntArray:
    column: IntArray = rows[:, COST_COLUMNS.index(name)]
    return column


def _matrix_rows(rows: IntArray) -> IntArray:
    """The matrix product as a 1x1 convolution with D inputs on a map of M x 1."""
    depth = _column(rows, "c") * _column(rows, "fx") * _column(rows, "fy")
    positions = _column(rows, "b") * _column(rows, "ox") * _column(rows, "oy")
    result = rows.copy()
    for name in ("b", "oy", "fx", "fy", "stride", "iy"):
        result[:, COST_COLUMNS.index(name)] = 1
    for name, values in (("c", depth), ("ox", positions), ("ix", positions)):
        result[:, COST_COLUMNS.index(name)] = values
    return result


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
    size = {Loop.C: depth, Loop.K: filters, Loop.OX: positions}
    along_rows, along_columns, streamed = (size[loop] for loop in _DATAFLOW_LOOPS[dataflow])
    height, width = arrays[:, 0], arrays[:, 1]
    folds = -(-along_rows // height) * -(-along_columns // width)
    loads = 1 if dataflow == "os" else 2
    cycles: IntArray = (folds * (loads * height + width + streamed - 2) - 1) * sizes[:, Loop.G]
    return cycles
