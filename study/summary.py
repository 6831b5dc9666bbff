"""What a run prints when it is done: the front beside the static reference, and where to look further."""

from __future__ import annotations

import shlex
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from rich.console import Console
from rich.table import Table
from rich.text import Text

from study.metrics import Metric, Objectives
from study.units import format_quantity

_MOST_ROWS = 15
_WIDE = 150
_OWN_COLUMN = ("worst_latency", "weight_memory", "area")


def front_table(pareto: pd.DataFrame, reference: dict[str, Any], objectives: Objectives, width: int) -> Table:
    """The front in (accuracy, mean energy-latency product) under the static designs.

    Args:
        pareto: `pareto.csv`.
        reference: `static_reference.json`.
        objectives: Those beside error, latency, energy and their product get a column each.
        width: Columns of the terminal; a narrow one gets the results and the exits, a wide one bits and arrays too.
    """
    front = pareto[pareto["headline"]] if len(pareto) else pareto
    shown = front.iloc[_spread(len(front), _MOST_ROWS)]
    table = Table(
        title="Front in accuracy (validation) and mean energy-latency product (EDP)", title_justify="left"
    )
    for name in ("design", "accuracy", "drop", "latency", "energy", "EDP"):
        table.add_column(name, justify="left" if name == "design" else "right", no_wrap=True)
    more = [metric for metric in objectives.metrics if metric.name in _OWN_COLUMN]
    for metric in more:
        table.add_column(metric.text, justify="right", no_wrap=True)
    if objectives.seconds:
        table.add_column("level", no_wrap=True)
    table.add_column("exits", overflow="fold")
    wide = width >= _WIDE
    for name in ("W bits", "A bits", "PE arrays") if wide else ():
        table.add_column(name, overflow="fold")

    def cells(name: str, row: dict[str, Any]) -> list[Text]:
        # As text: a level of the accelerator's file may be called `[low]`, which rich would take for markup.
        return [Text(cell) for cell in _cells(name, row, more, objectives.seconds, wide)]

    table.add_row(*cells("static", reference), style="bold")
    table.add_row(*cells("static*", reference["best_static"]), end_section=True)
    for row in shown.to_dict("records"):
        table.add_row(*cells(str(row["design"])[:8], {str(k): v for k, v in row.items()}))
    notes = [
        "static: the fixed reference; static*: the best static design; exits as block:head, K the final one"
    ]
    if len(front) > len(shown):
        notes.append(f"{len(shown)} of {len(front)} members, all are in pareto.csv")
    table.caption = "\n".join(notes)
    table.caption_justify = "left"
    return table


def print_next_steps(console: Console, out: str, storage: str) -> None:
    """The commands that look further, ready to be copied."""
    python = program(Path(sys.executable).name)
    lines = [
        "",
        "Look further:",
        f"  report      {python} -m dashboards.report {shlex.quote(out)}   (written: {out}/report.html)",
        f"  figures     {python} -m dashboards.figures {shlex.quote(out)} --format pdf",
        f"  dashboard   {python} -m dashboards.serve --storage {shlex.quote(storage)} --run {shlex.quote(out)}",
        f"  CSV         {out}/pareto.csv  designs.csv  trials.csv  exits.csv  layers.csv",
    ]
    for line in lines:
        console.print(line, highlight=False, soft_wrap=True, markup=False)


def program(name: str) -> str:
    """How a program of the running environment is called from here: by its name where that finds this one."""
    own = Path(sys.executable).with_name(name)
    found = shutil.which(name)
    if not own.exists() or (found is not None and Path(found).absolute() == own):
        return name
    inside = own.is_relative_to(Path.cwd())
    return shlex.quote(str(own.relative_to(Path.cwd()) if inside else own))


def _cells(name: str, row: dict[str, Any], more: Sequence[Metric], seconds: bool, wide: bool) -> list[str]:
    heads = str(row["heads"]).split()
    exits = [f"{block}:{head}" for block, head in zip(str(row["exits"]).split(), heads[:-1], strict=True)]
    cells = [
        name,
        f"{row['accuracy']:.2%}",
        f"{100 * row['accuracy_drop']:+.2f}",
        latency_text(row, "mean_latency", seconds),
        f"{row['mean_energy_pj'] / 1e6:.2f} uJ",
        f"{row['edp_relative']:.1%}",
        *(_extra(row, metric, seconds) for metric in more),
        *([str(row["level"])] if seconds else []),
        " ".join([*exits, f"K:{heads[-1]}"]),
    ]
    details = [_runs(str(row["weight_bits"])), _runs(str(row["activation_bits"])), str(row["pe_arrays"])]
    return cells + details if wide else cells


def latency_text(row: dict[str, Any], name: str, seconds: bool) -> str:
    """A latency as it is shown: in seconds where clocks differ, in cycles otherwise."""
    if seconds:
        return format_quantity(row[f"{name}_seconds"], "time")
    return f"{row[f'{name}_cycles'] / 1e3:.1f} kcy"


def _extra(row: dict[str, Any], metric: Metric, seconds: bool) -> str:
    if metric.dimension == "time":
        return latency_text(row, metric.name, seconds)
    return format_quantity(row[metric.column(seconds=True)], metric.dimension)


def _runs(bits: str) -> str:
    """`8 8 8 8` as `8`; anything else without the spaces."""
    values = bits.split()
    return values[0] if len(set(values)) == 1 else "".join(values)


def _spread(n: int, most: int) -> list[int]:
    """At most so many of n rows, evenly spread, the first and the last among them."""
    if n <= most:
        return list(range(n))
    return sorted({round(i * (n - 1) / (most - 1)) for i in range(most)})
