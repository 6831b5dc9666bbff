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
        read_bits_per_cycle: Width of the read port of one instance; a fraction where the memory has a clock of
            its own, as widths are in bits per cycle of the core.
        write_bits_per_cycle: Width of the write port of one instance.
        read_pj: Energy of a read of the full width.
        write_pj: Energy of a write of the full width.
        per_dimensions: Array dimensions along which every PE has its own instance; along the others one
            instance serves (broadcasts to, or sums over) all PEs.
        shared_port: Whether reads and writes go through one port.
        granule_bits: Smallest amount an access is charged for (at most the width).
        double_buffering: Of `DOUBLE_BUFFERINGS`: `auto`, transfers overlap with MACs where two tiles fit, i.e.
            where the tiles fill at most half; `always`, no tile may take more than half; `never`, tiles may take
            all and the next ones arrive only when the places of the last ones become free.
        clock_ratio: Cycles of the memory's own clock in one cycle of the core; widths and energies stay those of a
            core cycle, the granule is at most the width in a cycle of its own.
        shared: Whether it is the DRAM behind all cores; a core may also have DRAM of its own.
    """

    name: str
    level: str
    operands: tuple[Operand, ...]
    size_bits: float
    read_bits_per_cycle: float
    write_bits_per_cycle: float
    read_pj: float
    write_pj: float
    per_dimensions: tuple[str, ...] = ()
    shared_port: bool = False
    granule_bits: float = 64
    double_buffering: str = "auto"
    clock_ratio: float = 1.0
    shared: bool = False

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
        if self.double_buffering not in DOUBLE_BUFFERINGS:
            raise OfframpError(
                f"expected a double buffering of {', '.join(DOUBLE_BUFFERINGS)} for memory {self.name!r}, "
                f"got {self.double_buffering!r}"
            )
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
    def read_granule_bits(self) -> float:
        """Reads are charged in multiples of this."""
        return min(self.granule_bits, self.read_bits_per_cycle / self.clock_ratio)

    @property
    def write_granule_bits(self) -> float:
        """Writes are charged in multiples of this."""
        return min(self.granule_bits, self.write_bits_per_cycle / self.clock_ratio)

    @property
    def is_unbounded(self) -> bool:
        """Whether everything fits."""
        return math.isinf(self.size_bits)


MEMORY_LEVELS = ("register", "sram", "dram")
DOUBLE_BUFFERINGS = ("auto", "always", "never")
