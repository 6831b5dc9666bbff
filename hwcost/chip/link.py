"""Connections between cores."""

from __future__ import annotations

from dataclasses import dataclass

from hwcost.errors import OfframpError


@dataclass(frozen=True)
class Link:
    """Connection between two cores: width in bits per cycle, energy per bit."""

    bits_per_cycle: int
    pj_per_bit: float

    def __post_init__(self) -> None:
        if self.bits_per_cycle < 1 or self.pj_per_bit < 0:
            raise OfframpError("expected a link of at least 1 bit per cycle and no negative energy")


@dataclass(frozen=True)
class LinkBetween:
    """A link that two cores have instead of the accelerator's general one, in both directions.

    Attributes:
        cores: Their names.
        link: Between them.
    """

    cores: tuple[str, str]
    link: Link

    def __post_init__(self) -> None:
        if self.cores[0] == self.cores[1]:
            raise OfframpError(f"expected a link between two cores, got {self.cores[0]!r} twice")

    def joins(self, a: str, b: str) -> bool:
        """Whether it is the link between these two, in either order."""
        return set(self.cores) == {a, b}
