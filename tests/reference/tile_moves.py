"""What moves between two memories: stays of tiles, found by walking all cycles, and counted transfers.

Shares no code and no closed form with ``hwcost``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from fractions import Fraction

from hwcost.chip.memory import Memory
from tests.reference.tile_nest import Indices, Nest, depends


@dataclass
class Stay:
    """One uninterrupted stay of a tile in a memory.

    Attributes:
        tile: Indices of the slots that tell tiles apart.
        at: Indices of all slots when it came.
        start: First cycle.
        end: Cycle after the last one.
        last_pass: Cycles of the last pass over its elements.
        seen: Whether it has been here before.
        returns: Whether it will be here again.
    """

    tile: Indices
    at: Indices
    start: int
    end: int = 0
    last_pass: int = 0
    seen: bool = False
    returns: bool = False


@dataclass
class Flow:
    """Transfers of one kind through one side of one memory."""

    memory: Memory
    operand: str
    write: bool
    towards_pe: bool
    finished: bool
    events: int = 0
    average_bits: Fraction = Fraction(0)
    average_instances: Fraction = Fraction(0)
    windows: list[int] = field(default_factory=list)
    walked_bits: int = 0
    walked_granules: int = 0
    worst_instance_bits: int = 0

    @property
    def key(self) -> tuple[str, str, str, bool]:
        return (self.memory.name, self.operand, "write" if self.write else "read", self.towards_pe)

    @property
    def width(self) -> int:
        return self.memory.write_bits_per_cycle if self.write else self.memory.read_bits_per_cycle

    @property
    def granule(self) -> int:
        return min(self.memory.granule_bits, self.width)

    @property
    def charged_bits(self) -> Fraction:
        return self.events * self.average_instances * self.average_bits

    def _energy(self, granules: Fraction) -> float:
        access = self.memory.write_pj if self.write else self.memory.read_pj
        return float(granules * self.granule / self.width) * access

    @property
    def charged_energy_pj(self) -> float:
        return self._energy(
            self.events * self.average_instances * math.ceil(self.average_bits / self.granule)
        )

    @property
    def walked_energy_pj(self) -> float:
        return self._energy(Fraction(self.walked_granules))


def stays(nest: Nest, operand: str, prefix: int) -> list[Stay]:
    """Walks all cycles and notes when the tile made by the slots below ``prefix`` changes."""
    tells = [j for j, (loop, _) in enumerate(nest.slots) if j >= prefix and depends(operand, loop)]
    inside = [j for j, (loop, _) in enumerate(nest.slots) if j < prefix and depends(operand, loop)]
    top = inside[-1] + 1 if inside else 0
    found: list[Stay] = []
    pass_of: Indices | None = None
    pass_start = 0
    for cycle, at in enumerate(nest.steps()):
        tile = tuple(at[j] for j in tells)
        if at[top:] != pass_of:
            pass_of, pass_start = at[top:], cycle
        if not found or found[-1].tile != tile:
            found.append(Stay(tile, at, cycle))
        found[-1].end, found[-1].last_pass = cycle + 1, cycle + 1 - pass_start
    met: set[Indices] = set()
    for stay in found:
        stay.seen = stay.tile in met
        met.add(stay.tile)
    met.clear()
    for stay in reversed(found):
        stay.returns = stay.tile in met
        met.add(stay.tile)
    return found
