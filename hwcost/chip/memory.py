"""One memory of a core."""

from __future__ import annotations

import math
from dataclasses import dataclass

from hwcost.errors import OfframpError
from hwcost.mapping.loops import Operand


@dataclass(frozen=True)
class Memory:
    """A memory level, possibly with many instances.

    Attributes:
        name: For people, e.g. `weight_sram`.
        level: Kind it is reported under: `register`, `sram` or `dram`.
        operands: What it holds.
        size_bits: Capacity of one instance; infinite for DRAM.
        read_bits_per_cycle: Width of the read port of one instance.
        write_bits_per_cycle: Width of the write port of one instance.
        read_pj: Energy of a read of the full width.
        write_pj: Energy of a write of the full width.
        per_dimensions: Array dimensions along which every PE has its own instance; along the others one
            instance serves (broadcasts to, or sums over) all PEs.
        shared_port: Whether reads and writes go through one port.
        granule_bits: Smallest amount an access is charged for (at most the width).
    """

    name: str
    level: str
    operands: tuple[Operand, ...]
    size_bits: float
    read_bits_per_cycle: int
    write_bits_per_cycle: int
    read_pj: float
    write_pj: float
    per_dimensions: tuple[str, ...] = ()
    shared_port: bool = False
    granule_bits: int = 64

    def __post_init__(self) -> None:
        if self.level not in MEMORY_LEVELS:
            raise OfframpError(
                f"expected a level of {', '.join(MEMORY_LEVELS)} for memory {self.name!r}, got {self.level!r}"
            )
        if not self.operands or len(set(self.operands)) != len(self.operands):
            raise OfframpError(f"expected distinct operands (W, I, O) in memory {self.name!r}")
        sizes = (self.size_bits, self.read_bits_per_cycle, self.write_bits_per_cycle, self.granule_bits)
        if min(sizes) < 1:
            raise OfframpError(f"expected size, widths and granule of at least 1 bit in memory {self.name!r}")
        if self.shared_port and self.read_bits_per_cycle != self.write_bits_per_cycle:
            raise OfframpError(f"expected one width for the shared port of {self.name!r}; give equal widths")

    @property
    def read_pj_per_bit(self) -> float:
        """Energy of reading a bit."""
        return self.read_pj / self.read_bits_per_cycle

    @property
    def write_pj_per_bit(self) -> float:
        """Energy of writing a bit."""
        return self.write_pj / self.write_bits_per_cycle

    @property
    def read_granule_bits(self) -> int:
        """Reads are charged in multiples of this."""
        return min(self.granule_bits, self.read_bits_per_cycle)

    @property
    def write_granule_bits(self) -> int:
        """Writes are charged in multiples of this."""
        return min(self.granule_bits, self.write_bits_per_cycle)

    @property
    def is_unbounded(self) -> bool:
        """Whether everything fits."""
        return math.isinf(self.size_bits)


MEMORY_LEVELS = ("register", "sram", "dram")
