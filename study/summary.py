"""What a run prints when it is done: the front beside the static reference, and where to look further."""

from __future__ import annotations

from typing import Any

import pandas as pd
from rich.console import Console
from rich.table import Table

_MOST_ROWS = 15


def front_table(pareto: pd.DataFrame, reference: dict[str, Any]) -> Table:
    """The front in (accuracy, mean energy-latency product) under the static designs.

    Args:
        pareto: `pareto.csv`.
        reference: `static_reference.json`.
    """
    table = Table(
        title="Front in accuracy (validation) and mean energy-latency product", title_justify="left"
    )
    for name, justify in (
        ("design", "left"), ("accuracy", "right"), ("drop", "right"), ("latency", "right"), ("energy", "right"),
        ("product", "right"), ("exits after", "left"), ("heads", "left"), ("W bits", "left"), ("A bits", "left"),
        ("PE arrays", "left"),
    ):  # fmt: skip
        table.add_column(name, justify=justify, overflow="fold")  # type: ignore[arg-type]
    table.add_row(*_cells("static", reference), style="bold")
    table.add_row(*_cells("best static", reference["best_static"]), end_section=True)
    front = pareto[pareto["headline"]] if len(pareto) else pareto
    shown = front.iloc[_spread(len(front), _MOST_ROWS)]
    for row in shown.to_dict("records"):
        table.add_row(*_cells(str(row["design"]), {str(name): value for name, value in row.items()}))
    if len(front) > len(shown):
        table.caption = f"{len(shown)} of {len(front)} members; all are in pareto.csv"
    return table


def print_next_steps(console: Console, out: str, storage: str) -> None:
    """The commands that look further, ready to be copied."""
    lines = [
        "",
        "Look further:",
        f"  report      python -m dashboards.report {out}   (written: {out}/report.html)",
        f"  dashboard   optuna-dashboard {storage}",
        f"  CSV         {out}/pareto.csv  designs.csv  trials.csv  exits.csv  layers.csv",
    ]
    for line in lines:
        console.print(line, highlight=False, soft_wrap=True, markup=False)


def _cells(name: str, row: dict[str, Any]) -> list[str]:
    return [
        name,
        f"{row['accuracy']:.2%}",
        f"{100 * row['accuracy_drop']:+.2f}",
        f"{row['mean_latency_cycles'] / 1e3:.1f} k",
        f"{row['mean_energy_pj'] / 1e6:.2f} uJ",
        f"{row['edp_relative']:.1%}",
        str(row["exits"]) or "-",
        str(row["heads"]),
        _runs(str(row["weight_bits"])),
        _runs(str(row["activation_bits"])),
        str(row["pe_arrays"]),
    ]


def _runs(bits: str) -> str:
    """`8 8 8 8` as `8`; anything else without the spaces."""
    values = bits.split()
    return values[0] if len(set(values)) == 1 else "".join(values)


def _spread(n: int, most: int) -> list[int]:
    """At most so many of n rows, evenly spread, the first and the last among them."""
    if n <= most:
        return list(range(n))
    return sorted({round(i * (n - 1) / (most - 1)) for i in range(most)})
