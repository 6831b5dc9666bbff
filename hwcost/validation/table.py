"""Reading reference tables: every cell that is used is checked, and named with its line where it cannot be."""

from __future__ import annotations

import csv
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from hwcost.errors import OfframpError
from hwcost.workload import Layer, Op

LAYER_COLUMNS = ("B", "K", "C", "G", "OX", "OY", "FX", "FY", "stride")
# Above, floats do not tell whole numbers apart.
_LARGEST = 2**53


@dataclass(frozen=True)
class Row:
    """One row of a table.

    Attributes:
        cells: By column.
        where: File and line.
    """

    cells: Mapping[str, str]
    where: str

    def has(self, column: str) -> bool:
        """Whether the column is there and not empty."""
        return bool((self.cells.get(column) or "").strip())

    def text(self, column: str) -> str:
        """A cell as it is."""
        return self.cells[column].strip()

    def integer(self, column: str) -> int:
        """A whole number, `8` or `8.0`.

        Raises:
            OfframpError: It is none.
        """
        value = self._number(column)
        if value is None or not value.is_integer() or abs(value) > _LARGEST:
            raise self._refused(column, "an integer")
        return int(value)

    def positive(self, column: str) -> float:
        """A finite number above 0: what errors are relative to.

        Raises:
            OfframpError: It is none.
        """
        value = self._number(column)
        if value is None or not 0 < value < math.inf:
            raise self._refused(column, "a finite number above 0")
        return value

    def _number(self, column: str) -> float | None:
        try:
            return float(self.cells[column])
        except ValueError:
            return None

    def _refused(self, column: str, expected: str) -> OfframpError:
        return OfframpError(
            f"{self.where}: expected {expected} in column {column!r}, got {self.cells[column]!r}"
        )


def read_rows(path: Path, columns: Sequence[str]) -> list[Row]:
    """Rows of a CSV file that must have the given columns; blank lines are left out.

    Raises:
        OfframpError: The file cannot be read, a column is missing, or a line has more or fewer cells than columns.
    """
    try:
        # spreadsheets write a byte order mark
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file)
            names = list(reader.fieldnames or ())
            missing = [name for name in columns if name not in names]
            if missing:
                raise OfframpError(
                    f"{path.name}: missing column {missing[0]!r}; expected {', '.join(columns)}"
                )
            rows = []
            for cells in reader:
                where = f"{path.name} line {reader.line_num}"
                if None in cells or None in cells.values():
                    raise OfframpError(f"{where}: expected {len(names)} cells, one per column of line 1")
                rows.append(Row(cells, where))
            return rows
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise OfframpError(f"expected a readable table {path.name}: {error}") from None


def layer_of(row: Row, name: str, weight_bits: int, activation_bits: int, psum_bits: int) -> Layer:
    """The layer of a row with columns `LAYER_COLUMNS` (IX, IY where there)."""
    b, k, c, g, ox, oy, fx, fy, stride = (row.integer(column) for column in LAYER_COLUMNS)
    return Layer(
        name,
        Op.CONV,
        b=b,
        k=k,
        c=c,
        g=g,
        ox=ox,
        oy=oy,
        fx=fx,
        fy=fy,
        stride=stride,
        ix=row.integer("IX") if row.has("IX") else 0,
        iy=row.integer("IY") if row.has("IY") else 0,
        weight_bits=weight_bits,
        input_bits=activation_bits,
        output_bits=activation_bits,
        psum_bits=psum_bits,
    )
