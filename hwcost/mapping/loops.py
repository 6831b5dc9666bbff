"""The eight loops of a layer and which operand depends on which."""

from __future__ import annotations

from enum import IntEnum

import numpy as np

from hwcost.workload import COST_COLUMNS, IntArray


class Loop(IntEnum):
    """Loops of `for b, g, k, c, ox, oy, fx, fy: O[b,g,k,ox,oy] += W[g,k,c,fx,fy] * I[b,g,c,ox*s+fx,oy*s+fy]`."""

    B = 0
    G = 1
    K = 2
    C = 3
    OX = 4
    OY = 5
    FX = 6
    FY = 7


class Operand(IntEnum):
    """Weights, inputs, outputs (partial sums until finished)."""

    W = 0
    I = 1  # noqa: E741 - the letter the literature uses
    O = 2  # noqa: E741


N_LOOPS = len(Loop)
# RELEVANT[operand, loop]: another iteration of the loop means other elements of the operand. For inputs the
# filter loops count as relevant: a step slides the window.
RELEVANT = np.array(
    [
        # B      G     K      C      OX     OY     FX     FY
        [False, True, True, True, False, False, True, True],
        [True, True, False, True, True, True, True, True],
        [True, True, True, False, True, True, False, False],
    ]
)
_SIZE_COLUMNS = [COST_COLUMNS.index(name) for name in ("b", "g", "k", "c", "ox", "oy", "fx", "fy")]


def loop_sizes(rows: IntArray) -> IntArray:
    """Sizes of the loops: rows of `Workload.cost_rows()` (n, n_columns) -> (n, 8)."""
    return rows[:, _SIZE_COLUMNS]
