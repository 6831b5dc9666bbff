"""Voltage and frequency levels that a design may run at."""

from __future__ import annotations

from dataclasses import dataclass

from hwcost.chip.accelerator import Accelerator
from hwcost.errors import OfframpError

NOMINAL = "nominal"
ALL = "all"


@dataclass(frozen=True)
class LevelSpace:
    """Which of an accelerator's levels a study may choose from.

    Attributes:
        offered: Indices of the accelerator's levels, by rising clock.
        nominal: Index of the level that cycles are compared at.
    """

    offered: tuple[int, ...]
    nominal: int

    def __post_init__(self) -> None:
        if not self.offered or len(set(self.offered)) != len(self.offered):
            raise OfframpError(f"expected distinct levels to choose from, got {list(self.offered)}")

    @classmethod
    def of(cls, asked: str | tuple[str, ...], accelerator: Accelerator) -> LevelSpace:
        """The levels a configuration asks for.

        Args:
            asked: `nominal`, `all`, or names of levels.
            accelerator: Whose.

        Raises:
            OfframpError: The accelerator has no level of such a name.
        """
        if asked == NOMINAL:
            return cls((accelerator.nominal_level,), accelerator.nominal_level)
        count = range(len(accelerator.levels))
        chosen = count if asked == ALL else [_index(name, accelerator) for name in asked]
        by_clock = sorted(chosen, key=lambda index: accelerator.levels[index].clock_hz)
        return cls(tuple(by_clock), accelerator.nominal_level)

    @property
    def default(self) -> int:
        """The nominal level where it is offered, else the slowest."""
        return self.nominal if self.nominal in self.offered else self.offered[0]

    @property
    def clocks_differ(self) -> bool:
        """Whether a design may have another clock than the static reference, so that cycles do not compare."""
        return self.offered != (self.nominal,)


def level_texts(levels: LevelSpace, accelerator: Accelerator) -> list[str]:
    """What each choice of the gene `level` means, for people."""
    described = (accelerator.levels[index] for index in levels.offered)
    return [f"{level.name} ({level.volts:g} V, {level.clock_hz / 1e6:g} MHz)" for level in described]


def _index(name: str, accelerator: Accelerator) -> int:
    try:
        return accelerator.level_index(name)
    except OfframpError as error:
        raise OfframpError(f"space.levels: {error}; nominal and all are understood too") from None
