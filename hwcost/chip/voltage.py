"""Voltage and frequency levels, and what a core costs at another one."""

from __future__ import annotations

from dataclasses import dataclass, replace

from hwcost.chip.core import ComputeCore, VectorCore
from hwcost.chip.memory import Memory
from hwcost.errors import OfframpError

DRAM_CLOCKS = ("core", "own")


@dataclass(frozen=True)
class VoltageLevel:
    """A supply voltage with the clock of the cores at it.

    Attributes:
        name: For people and commands.
        volts: Supply of the cores; only ratios between levels count, so a chip with one level may say 1.
        clock_hz: Of the cores.
    """

    name: str
    volts: float
    clock_hz: float

    def __post_init__(self) -> None:
        if not 0.1 <= self.volts <= 10:
            raise OfframpError(
                f"expected volts of 0.1 to 10 for level {self.name!r}, got {self.volts:g}; is it in millivolts?"
            )
        if not 1e3 <= self.clock_hz <= 1e12:
            raise OfframpError(
                f"expected clock_hz of 1e3 to 1e12 for level {self.name!r}, got {self.clock_hz:g}; is it in MHz?"
            )


@dataclass(frozen=True)
class LevelChange:
    """Factors from one level to another.

    Dynamic energy goes with the square of the voltage (E = C V^2: Rabaey, "Digital Integrated Circuits", ch. 5).
    Leakage power is taken to go with the voltage (P = V I at a constant leakage current): an assumption that is
    too high for low voltages, where the current falls as well. DRAM has a supply of its own: its energy per bit
    stays.

    Attributes:
        energy: Of dynamic energies on the chip.
        leakage: Of leakage powers.
        dram_cycles: DRAM cycles in one core cycle, over what they were.
    """

    energy: float
    leakage: float
    dram_cycles: float

    @classmethod
    def between(cls, old: VoltageLevel, new: VoltageLevel, dram_clock: str) -> LevelChange:
        """The factors from `old` to `new`; a DRAM with a clock `own` keeps its bits per second."""
        ratio = new.volts / old.volts
        return cls(ratio**2, ratio, old.clock_hz / new.clock_hz if dram_clock == "own" else 1.0)

    def memory(self, memory: Memory) -> Memory:
        """The memory at the new level."""
        if memory.level != "dram":
            return replace(
                memory, read_pj=memory.read_pj * self.energy, write_pj=memory.write_pj * self.energy
            )
        # Energies are per access of the full width: both follow the width, so that a bit costs what it did.
        return replace(
            memory,
            read_bits_per_cycle=memory.read_bits_per_cycle * self.dram_cycles,
            write_bits_per_cycle=memory.write_bits_per_cycle * self.dram_cycles,
            read_pj=memory.read_pj * self.dram_cycles,
            write_pj=memory.write_pj * self.dram_cycles,
            clock_ratio=memory.clock_ratio * self.dram_cycles,
        )

    def compute_core(self, core: ComputeCore) -> ComputeCore:
        """The core at the new level."""
        return replace(
            core,
            mac_energy_pj=core.mac_energy_pj * self.energy,
            memories=tuple(self.memory(memory) for memory in core.memories),
            leakage_w=core.leakage_w * self.leakage,
            leakage_w_per_pe=core.leakage_w_per_pe * self.leakage,
        )

    def vector_core(self, core: VectorCore) -> VectorCore:
        """The core at the new level."""
        return replace(
            core,
            operation_energy_pj=core.operation_energy_pj * self.energy,
            memory=self.memory(core.memory),
            leakage_w=core.leakage_w * self.leakage,
        )
