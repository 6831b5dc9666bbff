"""The front as a table of the page: the static designs first, then the members."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dashboards.members import Member, ReportData
from dashboards.text import energy_unit, percent, plain, signed_percent, with_unit


@dataclass(frozen=True)
class Column:
    """A column of the table.

    Attributes:
        key: Of `pareto.csv`; what copied CSV calls it.
        title: Heading.
        short: What the filter calls it; empty where it is text.
        divisor: From the value in `pareto.csv` to the one the filter compares with.
    """

    key: str
    title: str
    short: str = ""
    divisor: float = 1.0


@dataclass(frozen=True)
class FrontTable:
    """The table's parts.

    Attributes:
        head: Cells of the heading (HTML).
        rows: Rows (HTML).
        filters: Names that the filter knows.
    """

    head: str
    rows: str
    filters: tuple[str, ...]


def front_table(data: ReportData, members: Sequence[Member]) -> FrontTable:
    """The table of the static designs and the members that can be chosen."""
    reference = data.reference
    joules = energy_unit(float(reference["mean_energy_pj"]))
    latency = data.latency_unit(float(reference["mean_latency_cycles"]))
    columns = _columns(joules, latency)
    rows = [_row("static reference", None, reference, columns, joules, latency)]
    if data.best_static is not None:
        rows.append(_row("best static design", None, data.best_static, columns, joules, latency))
    rows += [_row(m.label, m.design, m.row, columns, joules, latency) for m in members]
    return FrontTable(
        head="".join(_head_cell(column) for column in columns),
        rows="".join(rows),
        filters=tuple(column.short for column in columns if column.short),
    )


def _columns(joules: tuple[float, str], latency: tuple[float, str]) -> tuple[Column, ...]:
    return (
        Column("member", "front member"),
        Column("accuracy", "accuracy (%)", "accuracy", 0.01),
        Column("accuracy_drop", "drop (points)", "drop", 0.01),
        Column("edp_relative", "EDP / reference", "product"),
        Column("mean_latency_cycles", f"mean latency ({latency[1]})", "latency", latency[0]),
        Column("mean_energy_pj", f"mean energy ({joules[1]})", "energy", joules[0]),
        Column("worst_latency_cycles", f"worst latency ({latency[1]})", "worst", latency[0]),
        Column("weight_memory_bits", "weights (kB)", "weights", 8000.0),
        Column("exits", "exits after blocks"),
        Column("heads", "heads"),
        Column("weight_bits", "weight bits"),
        Column("activation_bits", "activation bits"),
        Column("pe_arrays", "PE arrays"),
        Column("level", "voltage and frequency level"),
        Column("design", "design"),
    )


def _head_cell(column: Column) -> str:
    short = f' data-short="{column.short}" data-divisor="{column.divisor!r}"' if column.short else ""
    return (
        f'<th scope="col" aria-sort="none" data-key="{column.key}"{short}>'
        f'<button type="button">{plain(column.title)}</button></th>'
    )


def _row(
    name: str,
    design: str | None,
    row: Mapping[str, Any],
    columns: Sequence[Column],
    joules: tuple[float, str],
    latency: tuple[float, str],
) -> str:
    shown = {
        "accuracy": percent(row["accuracy"], 2).removesuffix(" %"),
        "accuracy_drop": signed_percent(row["accuracy_drop"], 2).removesuffix(" %"),
        "edp_relative": f"{row['edp_relative']:.3f}",
        "mean_latency_cycles": with_unit(row["mean_latency_cycles"], latency).split(" ")[0],
        "mean_energy_pj": with_unit(row["mean_energy_pj"], joules).split(" ")[0],
        "worst_latency_cycles": with_unit(row["worst_latency_cycles"], latency).split(" ")[0],
        "weight_memory_bits": f"{row['weight_memory_bits'] / 8000:,.1f}",
    }
    first = f'<button type="button" class="pick">{plain(name)}</button>' if design else plain(name)
    cells = [f'<th scope="row">{first}</th>']
    for column in columns[1:]:
        if column.key in shown:
            cells.append(f'<td class="n" data-value="{float(row[column.key])!r}">{shown[column.key]}</td>')
        else:
            cells.append(f"<td>{plain(row.get(column.key, ''), 200)}</td>")
    picked = f' data-design="{plain(design)}"' if design else ' class="static"'
    return f"<tr{picked}>{''.join(cells)}</tr>"
