"""What a mapping across cores yields."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hwcost.workload import IntArray

Array = np.ndarray


@dataclass(frozen=True, eq=False)
class Schedule:
    """What each layer costs where it was put; transfers to it included, 0 where a design does not run it.

    Attributes:
        core: Option of each layer: (n_designs, n_layers).
        latency_cycles: (n_designs, n_layers); where cores overlap, what the layer adds to the end of its segment.
        energy_pj: By level of `LEVEL_NAMES`, leakage included: (n_designs, n_layers, n_levels).
        operand_energy_pj: Energy in memories by operand W, I, O, without transfers: (n_designs, n_layers, 3); None
            where it was not asked for.
    """

    core: IntArray
    latency_cycles: Array
    energy_pj: Array
    operand_energy_pj: Array | None = None

    @classmethod
    def joined(cls, parts: list[Schedule]) -> Schedule:
        """The designs of several schedules, one behind the other."""
        operands = [part.operand_energy_pj for part in parts if part.operand_energy_pj is not None]
        return cls(
            np.concatenate([part.core for part in parts]),
            np.concatenate([part.latency_cycles for part in parts]),
            np.concatenate([part.energy_pj for part in parts]),
            np.concatenate(operands) if operands else None,
        )
