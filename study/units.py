"""Quantities as people write them: a number and a unit, read strictly and written readably.

Written here and not taken from a library of units: bounds need six dimensions and some forty names, a clock cycle is
a unit of time only once a clock is known, and whatever else such a library reads (`2.5 mS` is siemens) would be a
silent surprise.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal
from typing import Literal

from hwcost.errors import OfframpError

Dimension = Literal["fraction", "time", "energy", "energy_delay", "memory", "area"]

BASE_UNITS: dict[Dimension, str] = {
    "fraction": "",
    "time": "s",
    "energy": "J",
    "energy_delay": "J s",
    "memory": "bit",
    "area": "mm2",
}
"""What the value of a quantity is in; a fraction is one of 1."""

_EXAMPLES: dict[Dimension, str] = {
    "fraction": '"12.5 %" (below 100 %)',
    "time": '"2.5 ms" or "120 kcycles"',
    "energy": '"300 uJ"',
    "energy_delay": '"50 uJ ms" or "2 uJ kcycles"',
    "memory": '"256 KiB"',
    "area": '"3 mm2"',
}

_MICRO = ("u", "\N{MICRO SIGN}", "\N{GREEK SMALL LETTER MU}")
_SMALL = {"": 0, "m": -3, **dict.fromkeys(_MICRO, -6), "n": -9, "p": -12}
_LARGE = {"": 0, "k": 3, "M": 6, "G": 9}
_BINARY = {"": 0, "Ki": 10, "Mi": 20, "Gi": 30}

_NUMBER = re.compile(r"[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d{1,3})?")
_UNIT = re.compile(r"[^\s*\N{MIDDLE DOT}]+")


@dataclass(frozen=True)
class _Unit:
    dimension: Dimension
    factor: Decimal  # to the base unit, or to a clock cycle
    cycles: bool = False


def _units() -> dict[str, _Unit]:
    known: dict[str, _Unit] = {"%": _Unit("fraction", Decimal("0.01"))}
    for prefix, power in _SMALL.items():
        known[f"{prefix}s"] = _Unit("time", Decimal(10) ** power)
        known[f"{prefix}J"] = _Unit("energy", Decimal(10) ** power)
    for prefix, power in _LARGE.items():
        for name in ("cycle", "cycles"):
            known[prefix + name] = _Unit("time", Decimal(10) ** power, cycles=True)
    for factors, base in ((_LARGE, 10), (_BINARY, 2)):
        for prefix, power in factors.items():
            for name, bits in (("bit", 1), ("bits", 1), ("B", 8)):
                known[prefix + name] = _Unit("memory", bits * Decimal(base) ** power)
    for prefix, power in {"m": 0, "c": 2, **dict.fromkeys(_MICRO, -6)}.items():
        for square in ("2", "\N{SUPERSCRIPT TWO}", "^2"):
            known[f"{prefix}m{square}"] = _Unit("area", Decimal(10) ** power)
    return known


_UNITS = _units()


@dataclass(frozen=True)
class Quantity:
    """A positive amount of something.

    Attributes:
        value: In the base unit of its dimension, time in clock cycles where `cycles` says so.
        dimension: What it measures.
        cycles: Time is counted in cycles of a clock that the quantity does not know.
    """

    value: float
    dimension: Dimension
    cycles: bool = False

    def at_clock(self, clock_hz: float) -> float:
        """The value in base units, cycles taken as those of this clock."""
        return self.value / clock_hz if self.cycles else self.value

    def text(self) -> str:
        """The one text of all equal quantities; `parse_quantity` reads it back to the same number."""
        base = BASE_UNITS[self.dimension]
        unit = {"time": "cycles", "energy_delay": "J cycles"}[self.dimension] if self.cycles else base
        if self.dimension == "fraction":
            return f"{(Decimal(repr(self.value)) * 100).normalize():f} %"
        return f"{self.value!r} {unit}"


def parse_quantity(text: str, dimension: Dimension) -> Quantity:
    """Reads a number with a unit of one dimension, such as `2.5 ms`.

    An energy-delay product has a unit of energy and one of time, in any order, with a space, `*` or a dot between.

    Args:
        text: As written.
        dimension: What it must measure.

    Raises:
        OfframpError: It is not a number with a unit, the unit is unknown or measures something else, or the amount is
            not positive and finite.
    """
    wanted = f"a positive amount with a unit, such as {_EXAMPLES[dimension]}"
    number = _NUMBER.match(text.strip())
    if number is None:
        raise OfframpError(f"expected {wanted}, got {text!r}")
    words = _UNIT.findall(text.strip()[number.end() :])
    if not words:
        raise OfframpError(f"expected {wanted}, got {text!r} without a unit")
    unknown = next((word for word in words if word not in _UNITS), None)
    if unknown is not None:
        raise OfframpError(
            f"expected {wanted}, got the unknown unit {unknown!r} in {text!r}; known here: {_known(dimension)}"
        )
    units = [_UNITS[word] for word in words]
    measured = _dimension(units)
    if measured != dimension:
        raise OfframpError(f"expected {wanted}, got {text!r}, which is {_article(measured)}")
    value = Decimal(number.group())
    for unit in units:
        value *= unit.factor
    amount = float(value)
    if not 0.0 < amount < (1.0 if dimension == "fraction" else float("inf")):
        raise OfframpError(f"expected {wanted}, got {text!r}")
    return Quantity(amount, dimension, any(unit.cycles for unit in units))


def format_quantity(value: float, dimension: Dimension) -> str:
    """A value in base units as people read it: four digits, with the prefix that gives 1 to 999.

    Args:
        value: In the base unit of its dimension.
        dimension: What it measures.
    """
    if dimension == "fraction":
        return f"{100 * value:.4g} %"
    if dimension == "area":
        return f"{value:.4g} mm2"
    if dimension == "memory":
        size = value / 8
        for unit, factor in (("MiB", 2**20), ("KiB", 2**10)):
            if size >= factor:
                return f"{size / factor:.4g} {unit}"
        return f"{size:.4g} B"
    if dimension == "energy_delay":
        # Of the steps of a thousand, the odd ones go to the energy.
        return _scaled(value, ("J s", "mJ s", "mJ ms", "uJ ms", "uJ us", "nJ us", "nJ ns", "pJ ns", "pJ ps"))
    return _scaled(value, tuple(f"{prefix}{BASE_UNITS[dimension]}" for prefix in ("", "m", "u", "n", "p")))


def _scaled(value: float, units: tuple[str, ...]) -> str:
    for step, unit in enumerate(units):
        scaled = value * 1000.0**step
        if abs(scaled) >= 0.99995 or step == len(units) - 1:
            return f"{scaled:.4g} {unit}"
    raise AssertionError("the last unit takes every value")


def _dimension(units: list[_Unit]) -> Dimension | None:
    """What a product of units measures; None for one that nothing here is measured in."""
    dimensions = sorted(unit.dimension for unit in units)
    if len(dimensions) == 1:
        return dimensions[0]
    return "energy_delay" if dimensions == ["energy", "time"] else None


def _known(dimension: Dimension) -> str:
    if dimension == "energy_delay":
        return f"one of {_known('energy')} with one of {_known('time')}"
    plain = [name for name, unit in _UNITS.items() if unit.dimension == dimension and name.isascii()]
    return ", ".join(name for name in plain if not name.endswith(("cycle", "bits")) and "^" not in name)


def _article(dimension: Dimension | None) -> str:
    names = {
        "fraction": "a fraction", "time": "a time", "energy": "an energy", "memory": "an amount of memory",
        "area": "an area", "energy_delay": "an energy-delay product", None: "none of the quantities here",
    }  # fmt: skip
    return names[dimension]
