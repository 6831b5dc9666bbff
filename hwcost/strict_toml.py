"""TOML read strictly: unknown, missing and repeated keys are refused by name."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hwcost.errors import OfframpError

# Above, numbers are not exact as floats any more; no chip has as much of anything.
_LARGEST = 2**53
# What a number is in, by how its key ends.
_UNITS = {
    "bits_per_cycle": "bits per core cycle",
    "pj_per_bit": "pJ per bit",
    "_bits": "bits",
    "_pj": "pJ",
    "_hz": "Hz",
    "_w": "watts",
    "_w_per_pe": "watts per PE",
    "_mm2": "square millimetres",
    "_mm2_per_pe": "square millimetres per PE",
    "volts": "volts",
}


def _in_units(expected: str, key: str) -> str:
    unit = next((unit for ending, unit in _UNITS.items() if key.endswith(ending)), "")
    return f"{expected} in {unit}" if unit else expected


def read_toml(path: Path) -> dict[str, Any]:
    """Reads a file; a broken or repeated entry is named with its line.

    Raises:
        OfframpError: The file is missing, unreadable or not TOML.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise OfframpError(f"expected a readable TOML file, got {path.name}: {error}") from None
    try:
        return tomllib.loads(text + "\n")  # without a last newline, errors in the last line have no number
    except tomllib.TOMLDecodeError as error:
        found = re.search(r"line (\d+)", str(error))
        lines = text.splitlines()
        line = lines[int(found.group(1)) - 1].strip() if found and int(found.group(1)) <= len(lines) else ""
        repeated = "overwrite" in str(error) or "twice" in str(error)
        what = f"key {line.split('=')[0].strip()!r} is given twice" if repeated else "not valid TOML"
        raise OfframpError(f"{path.name}: {what} ({error}): {line!r}; correct that line") from None


@dataclass
class Fields:
    """One table whose keys are taken one by one; what is left at the end is unknown.

    Attributes:
        values: The table.
        where: How messages name it, e.g. `chip.toml: core[0].memory[1]`.
    """

    values: Mapping[str, Any]
    where: str
    _taken: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        if not isinstance(self.values, Mapping):
            raise OfframpError(f"{self.where}: expected a table of keys, got {self.values!r}")

    def has(self, key: str) -> bool:
        """Whether an optional key is present."""
        return key in self.values

    @contextmanager
    def named(self) -> Iterator[None]:
        """Adds where we are to messages of objects that do not know which file they come from."""
        try:
            yield
        except OfframpError as error:
            if str(error).startswith(self.where):
                raise
            raise OfframpError(f"{self.where}: {error}") from None

    def take(self, key: str, kind: type | tuple[type, ...], expected: str) -> Any:
        """Returns a required value of the given type."""
        if key not in self.values:
            raise OfframpError(f"{self.where}: missing key {key!r}; add it ({expected})")
        self._taken.add(key)
        value = self.values[key]
        kinds = kind if isinstance(kind, tuple) else (kind,)
        # bool is an int for Python, never for a person who describes hardware
        if not isinstance(value, kinds) or (isinstance(value, bool) and bool not in kinds):
            raise OfframpError(f"{self.where}: expected {expected} for {key!r}, got {value!r}")
        return value

    def text(self, key: str, default: str | None = None) -> str:
        """A text that is not empty; required unless a default is given."""
        if default is not None and not self.has(key):
            return default
        value = str(self.take(key, str, "a text"))
        if not value.strip():
            raise OfframpError(f"{self.where}: expected a text that is not empty for {key!r}, got {value!r}")
        return value

    def flag(self, key: str, default: bool | None = None) -> bool:
        """True or false; required unless a default is given."""
        if default is not None and not self.has(key):
            return default
        return bool(self.take(key, bool, "true or false"))

    def integer(self, key: str, default: int | None = None, minimum: int = 1) -> int:
        """An integer of at least `minimum`."""
        if default is not None and not self.has(key):
            return default
        expected = _in_units(f"an integer of at least {minimum}", key)
        value = int(self.take(key, int, expected))
        if not minimum <= value <= _LARGEST:
            raise OfframpError(f"{self.where}: expected {expected} (at most 2^53) for {key!r}, got {value}")
        return value

    def number(self, key: str, default: float | None = None) -> float:
        """A finite number of at least 0."""
        if default is not None and not self.has(key):
            return default
        expected = _in_units("a finite number of at least 0", key)
        value = self.take(key, (int, float), expected)
        if not 0 <= value <= _LARGEST:
            raise OfframpError(f"{self.where}: expected {expected} (at most 2^53) for {key!r}, got {value}")
        return float(value)

    def texts(self, key: str, default: tuple[str, ...] | None = None) -> tuple[str, ...]:
        """A list of texts."""
        if default is not None and not self.has(key):
            return default
        values = self.take(key, list, "a list of texts")
        if not all(isinstance(value, str) for value in values):
            raise OfframpError(f"{self.where}: expected a list of texts for {key!r}, got {values!r}")
        return tuple(values)

    def integers(self, key: str, minimum: int = 1) -> tuple[int, ...]:
        """A list of integers of at least `minimum`."""
        values = self.take(key, list, "a list of integers")
        if not all(
            isinstance(v, int) and not isinstance(v, bool) and minimum <= v <= _LARGEST for v in values
        ):
            raise OfframpError(
                f"{self.where}: expected integers of at least {minimum} in {key!r}, got {values!r}"
            )
        return tuple(values)

    def tables(self, key: str, required: bool = True) -> list[Fields]:
        """A list of sub-tables."""
        if not required and not self.has(key):
            return []
        values = self.take(key, list, "a list of tables")
        if not values:
            raise OfframpError(f"{self.where}: expected at least one table [[{key}]], got none")
        return [Fields(value, f"{self.where}: {key}[{i}]") for i, value in enumerate(values)]

    def table(self, key: str) -> Fields:
        """A sub-table."""
        return Fields(self.take(key, dict, "a table"), f"{self.where}: {key}")

    def done(self) -> None:
        """Refuses keys nobody asked for."""
        unknown = sorted(set(self.values) - self._taken)
        if unknown:
            known = ", ".join(sorted(self._taken))
            raise OfframpError(f"{self.where}: unknown key {unknown[0]!r}; known here: {known}")
