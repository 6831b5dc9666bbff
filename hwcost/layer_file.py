"""A workload from a CSV file of layers."""

from __future__ import annotations

import csv
from pathlib import Path

from hwcost.errors import OfframpError
from hwcost.workload import Layer, Op, Workload

REQUIRED = ("name", "op", "k", "c", "g", "ox", "oy", "fx", "fy", "stride")
OPTIONAL = (
    "b",
    "ix",
    "iy",
    "weight_bits",
    "input_bits",
    "output_bits",
    "psum_bits",
    "segment",
    "head",
    "sources",
)
_LARGEST = 2**31
_YES = ("1", "true", "yes")
_NO = ("", "0", "false", "no")


def read_layers(path: Path) -> Workload:
    """Reads layers in execution order.

    Columns `name, op, k, c, g, ox, oy, fx, fy, stride` are required; `b, ix, iy, weight_bits, input_bits,
    output_bits, psum_bits, segment, head, sources` may follow; others are refused. `op` is conv, linear, pool or
    add; `sources` names the layers whose outputs are read, separated by spaces (empty: the layer above).

    Raises:
        OfframpError: The file or a cell cannot be used; the message names the line.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")  # spreadsheets write a byte order mark
    except (OSError, UnicodeDecodeError) as error:
        raise OfframpError(f"expected a readable CSV file of layers, got {path.name}: {error}") from None
    reader = csv.DictReader(text.splitlines())
    names = list(reader.fieldnames or ())
    missing = [column for column in REQUIRED if column not in names]
    if missing:
        raise OfframpError(f"{path.name}: missing column {missing[0]!r}; expected {', '.join(REQUIRED)}")
    unknown = [column for column in names if column not in (*REQUIRED, *OPTIONAL)]
    if unknown or len(set(names)) != len(names):
        what = f"unknown column {unknown[0]!r}" if unknown else "a column is given twice"
        raise OfframpError(f"{path.name}: {what}; known: {', '.join((*REQUIRED, *OPTIONAL))}")
    layers: list[Layer] = []
    seen: dict[str, int] = {}
    for row in reader:
        where = f"{path.name} line {reader.line_num}"
        if None in row or None in row.values():
            raise OfframpError(f"{where}: expected {len(names)} cells")
        if not row["name"].strip() or row["name"] in seen:
            what = f"{row['name']!r} is there already" if row["name"].strip() else "it is empty"
            raise OfframpError(f"{where}: expected a name of its own for every layer, {what}")
        layers.append(_layer(row, where, seen, layers))
        seen[row["name"]] = len(layers) - 1
    return Workload.from_layers(layers)


def _layer(row: dict[str, str], where: str, seen: dict[str, int], layers: list[Layer]) -> Layer:
    kind = row["op"].strip().upper()
    if kind not in Op.__members__:
        raise OfframpError(f"{where}: expected op conv, linear, pool or add, got {row['op']!r}")
    op = Op[kind]
    numbers: dict[str, int] = {}
    for column, cell in row.items():
        if column in ("name", "op", "sources", "head") or not cell.strip():
            continue
        try:
            numbers[column] = int(cell)
        except ValueError:
            raise OfframpError(f"{where}: expected an integer in column {column!r}, got {cell!r}") from None
        if abs(numbers[column]) > _LARGEST:
            raise OfframpError(f"{where}: expected at most 2^31 in column {column!r}, got {cell}")
    empty = [column for column in REQUIRED[2:] if column not in numbers]
    if empty:
        raise OfframpError(f"{where}: column {empty[0]!r} is empty")
    if op in (Op.POOL, Op.ADD):
        numbers["weight_bits"] = 0
    named = (row.get("sources") or "").split()
    for source in named:
        if source not in seen:
            raise OfframpError(
                f"{where}: source {source!r} is no layer above; list layers in execution order"
            )
    sources = tuple(seen[source] for source in named) or (len(seen) - 1,)
    head = (row.get("head") or "").strip().lower()
    if head not in _YES + _NO:
        raise OfframpError(f"{where}: expected head to be one of {', '.join(_YES + _NO[1:])}, got {head!r}")
    is_head = head in _YES
    of_heads = [layers[source].name for source in sources if source >= 0 and layers[source].head]
    if of_heads and not is_head:
        raise OfframpError(
            f"{where}: expected a layer of the trunk to read layers of the trunk, got {of_heads[0]!r} of a head; "
            "name its sources"
        )
    return Layer(row["name"], op, head=is_head, sources=sources, **numbers)
