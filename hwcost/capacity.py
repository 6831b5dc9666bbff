"""Whether activations that are to stay on the chip fit there."""

from __future__ import annotations

import numpy as np

from hwcost.chip.accelerator import Accelerator
from hwcost.errors import OfframpError
from hwcost.mapping.loops import Operand
from hwcost.workload import Workload


def check_activations_fit(accelerator: Accelerator, workload: Workload) -> None:
    """Refuses a layer whose input and output do not fit the memory they live in together.

    Tensors kept for later (a residual source, the trunk below a head) may wait on the core that made them and
    are not counted. Vector cores take their operands in pieces.

    Raises:
        OfframpError: Names the layer and what to do.
    """
    inputs = workload.input_elements * workload.input_bits
    outputs = workload.output_elements * workload.output_bits
    for core in accelerator.compute_cores:
        needs = np.zeros(workload.n_layers)
        homes = {operand: core.memories[core.chain(operand)[-1]] for operand in (Operand.I, Operand.O)}
        for memory in set(homes.values()):
            needs[:] = 0
            if homes[Operand.I] == memory:
                needs += inputs
            if homes[Operand.O] == memory:
                needs += outputs
            too_big = np.flatnonzero((needs > memory.size_bits) & workload.has_weights)
            if too_big.size:
                i = int(too_big[np.argmax(needs[too_big])])
                raise OfframpError(
                    f"expected the activations of layer {workload.names[i]!r} to fit {memory.name!r} of core "
                    f"{core.name!r} ({memory.size_bits / 8192:.0f} KiB), they need {needs[i] / 8192:.0f} KiB; use "
                    f'smaller images or an accelerator with activations = "dram"'
                )
