"""Reading reference tables."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

from hwcost.errors import OfframpError
from hwcost.workload import Layer, Op

Row = dict[str, str]
_LAYER_COLUMNS = ("B", "K", "C", "G", "OX", "OY", "FX", "FY", "stride")


def read_rows(path: Path, columns: Sequence[str]) -> list[Row]:
    """Rows of a CSV file that must have the given columns."""
    try:
        with path.open(newline="", encoding="utf-8") as file:
            reader = csv.DictReader(file)
            missing = [name for name in columns if name not in (reader.fieldnames or ())]
            if missing:
                raise OfframpError(
                    f"{path.name}: missing column {missing[0]!r}; expected {', '.join(columns)}"
                )
            return list(reader)
    except (OSError, UnicodeDecodeError) as error:
        raise OfframpError(f"expected a readable table {path.name}: {error}") from None


def integer(row: Row, column: str, where: str) -> int:
    """An integer cell."""
    try:
        return int(float(row[column]))
    except (TypeError, ValueError):
        raise OfframpError(
            f"{where}: expected an integer in column {column!r}, got {row[column]!r}"
        ) from None


def number(row: Row, column: str, where: str) -> float:
    """A number cell."""
    try:
        return float(row[column])
    except (TypeError, ValueError):
        raise OfframpError(f"{where}: expected a number in column {column!r}, got {row[column]!r}") from None


def layer_of(
    row: Row, name: str, where: str, weight_bits: int, activation_bits: int, psum_bits: int
) -> Layer:
    """The layer of a row with columns B, K, C, G, OX, OY, FX, FY, stride (IX, IY where there)."""
    b, k, c, g, ox, oy, fx, fy, stride = (integer(row, column, where) for column in _LAYER_COLUMNS)
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
        ix=integer(row, "IX", where) if row.get("IX") else 0,
        iy=integer(row, "IY", where) if row.get("IY") else 0,
        weight_bits=weight_bits,
        input_bits=activation_bits,
        output_bits=activation_bits,
        psum_bits=psum_bits,
    )
