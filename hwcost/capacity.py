"""Whether activations that are to stay on the chip fit there."""

from __future__ import annotations

import numpy as np

from hwcost.chip.accelerator import Accelerator
from hwcost.chip.core import ComputeCore
from hwcost.chip.memory import Memory
from hwcost.errors import OfframpError
from hwcost.mapping.loops import Operand
from hwcost.workload import COST_COLUMNS, BoolArray, IntArray, Workload

Array = np.ndarray
_SIZES = {
    Operand.I: ("b", "g", "c", "ix", "iy", "input_bits"),
    Operand.O: ("b", "g", "k", "ox", "oy", "output_bits"),
}


def activations_fit(core: ComputeCore, rows: IntArray) -> BoolArray:
    """Which layers have inputs and outputs that fit the memories of a core they live in, together where it is one.

    Tensors kept for later (a residual source, the trunk below a head) may wait on the core that made them and
    are not counted.

    Args:
        core: Where; memories in DRAM hold everything.
        rows: Rows of `Workload.cost_rows()` of layers with weights: (n, n_columns).

    Returns:
        (n,).
    """
    fits = np.ones(len(rows), dtype=bool)
    for memory, bits in _needs(core, rows):
        fits &= bits <= memory.size_bits
    return fits


def check_activations_fit(accelerator: Accelerator, workload: Workload) -> None:
    """Refuses a workload with a layer whose inputs and outputs fit no compute core.

    Vector cores take their operands in pieces.

    Raises:
        OfframpError: Names the largest such layer and what to do.
    """
    weighted = np.flatnonzero(workload.has_weights)
    rows = workload.cost_rows()[weighted]
    fits = np.zeros(len(rows), dtype=bool)
    for core in accelerator.compute_cores:
        fits |= activations_fit(core, rows)
    if fits.all():
        return
    # of the layer that is over by most: the memory it is over by most
    worst, needed, room = 0, 0.0, 1.0
    for core in accelerator.compute_cores:
        for memory, bits in _needs(core, rows):
            over = np.where(fits, 0.0, bits / memory.size_bits)
            if over.max() > needed / room:
                worst = int(over.argmax())
                needed, room = float(np.broadcast_to(bits, over.shape)[worst]), float(memory.size_bits)
    raise OfframpError(
        f"expected the activations of layer {workload.names[weighted[worst]]!r} to fit a core of "
        f"{accelerator.name!r} ({room / 8192:.0f} KiB), they need {needed / 8192:.0f} KiB; "
        f'use smaller images or an accelerator with activations = "dram"'
    )


def _needs(core: ComputeCore, rows: IntArray) -> list[tuple[Memory, Array]]:
    """What lives in the outermost memories of inputs and outputs, in bits: (n,) for each memory."""
    homes = {operand: core.memories[core.chain(operand)[-1]] for operand in _SIZES}
    needs = []
    for memory in set(homes.values()):
        bits = np.zeros(len(rows))
        for operand, home in homes.items():
            if home == memory:
                columns = [COST_COLUMNS.index(name) for name in _SIZES[operand]]
                bits += np.prod(rows[:, columns], axis=1, dtype=np.float64)
        needs.append((memory, bits))
    return needs
