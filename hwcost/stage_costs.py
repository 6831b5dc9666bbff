"""Costs of designs up to each of their exits."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

import numpy as np

from hwcost.workload import BoolArray, IntArray

Array = np.ndarray


@dataclass(frozen=True, eq=False)
class StageCosts:
    """Costs up to and including each exit, heads that were passed included.

    Attributes:
        latency_cycles: (n_designs, n_exits).
        energy_pj: (n_designs, n_exits).
        energy_by_level_pj: (n_designs, n_exits, n_levels).
        level_names: Names of the levels.
        weight_memory_bits: Storage for all weights: (n_designs,), a single number where one workload was costed.
        activation_memory_bits: Largest sum of activations alive at once; the same shape.
        clock_hz: Of the cores; an assumption, turns cycles into seconds: (n_designs,).
        exits: Which columns are exits of a design: (n_designs, n_exits). All are, where one workload was costed;
            for a batch columns are slots, and one without an exit holds the costs of all that runs up to there.
    """

    latency_cycles: Array
    energy_pj: Array
    energy_by_level_pj: Array
    level_names: tuple[str, ...]
    weight_memory_bits: IntArray
    activation_memory_bits: IntArray
    clock_hz: Array
    exits: BoolArray

    @property
    def worst_latency_cycles(self) -> Array:
        """Latency of an input that leaves at the last exit: (n_designs,)."""
        return self.latency_cycles[:, -1]

    @property
    def latency_s(self) -> Array:
        """Seconds at the assumed clock: (n_designs, n_exits)."""
        return self.latency_cycles / self.clock_hz[:, None]

    @property
    def energy_j(self) -> Array:
        """Joules: (n_designs, n_exits)."""
        return self.energy_pj * 1e-12

    def design(self, index: int) -> StageCosts:
        """One design with its own exits alone."""
        kept = self.exits[index]
        one = {
            name: getattr(self, name)[index : index + 1, kept]
            for name in ("latency_cycles", "energy_pj", "energy_by_level_pj", "exits")
        }
        memory = {
            name: np.broadcast_to(getattr(self, name), self.clock_hz.shape)[index]
            for name in ("weight_memory_bits", "activation_memory_bits")
        }
        return replace(self, **one, **memory, clock_hz=self.clock_hz[index : index + 1])

    def take(self, rows: IntArray) -> StageCosts:
        """Some of the designs."""
        picked = {
            item.name: getattr(self, item.name)[rows]
            for item in fields(self)
            if item.name != "level_names" and np.ndim(getattr(self, item.name))
        }
        return replace(self, **picked)

    @classmethod
    def joined(cls, parts: list[StageCosts], order: IntArray) -> StageCosts:
        """Designs of several results, in the given order of their concatenation."""
        joined = {}
        for item in fields(cls):
            values = [getattr(part, item.name) for part in parts]
            if item.name == "level_names":
                continue
            joined[item.name] = values[0] if np.ndim(values[0]) == 0 else np.concatenate(values)[order]
        return cls(level_names=parts[0].level_names, **joined)
