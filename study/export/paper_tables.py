"""The tables of a paper: networks with exits, thresholds and exit ratios; the front with its costs.

The first has the columns of the second table of arXiv 2512.04705. Numbers are rounded for print; the CSVs are exact.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from models.exit_policy import LARGEST_THRESHOLD
from study.export.latex import Column, LatexTable, escape
from study.metrics import metric_named
from study.results import RunResults
from study.units import format_quantity

MOST_ROWS = 20


def networks_table(run: RunResults, rows: int = MOST_ROWS) -> LatexTable:
    """Networks of the headline front: exits, thresholds, accuracy, exit ratios, relative mean product."""
    shown = _shown(run, rows)
    columns = (
        Column("Network", "l"),
        Column("Exits", "l"),
        Column("Threshold", "l"),
        Column(r"Accuracy [\%]"),
        Column(r"Exit ratios [\%]", "l"),
        Column(r"Mean EDP [\%]"),
    )
    members = [
        (
            _name(row),
            _exits(row),
            _thresholds(_exits_of(run, row)),
            f"{100 * row['accuracy']:.2f}",
            " / ".join(f"{100 * ratio:.1f}" for ratio in _exits_of(run, row)["ratio"]),
            f"{100 * row['edp_relative']:.1f}",
        )
        for row in shown
    ]
    static = [
        (
            title,
            _exits(row),
            "--",
            f"{100 * row['accuracy']:.2f}",
            "100.0",
            f"{100 * row['edp_relative']:.1f}",
        )
        for title, row in _statics(run)
    ]
    caption = (
        f"Networks of study {escape(run.name)}: accuracy on the {_split(run)} split, share of samples that leave at "
        "each exit, and mean energy-latency product (EDP) relative to the static network. An exit is written as the "
        "block it follows and its kind of head, K is the final one."
    )
    return LatexTable("tab:networks", caption, columns, (static, members), "table*")


def front_table(run: RunResults, rows: int = MOST_ROWS) -> LatexTable:
    """The same networks with their costs, bits and PE arrays."""
    in_seconds = _clocks_differ(run)
    columns = (
        Column("Network", "l"),
        Column(r"Accuracy [\%]"),
        Column("Drop [points]"),
        Column("Latency"),
        Column("Energy"),
        Column(r"Mean EDP [\%]"),
        Column("Weights"),
        Column("Bits W/A", "l"),
        Column("PE arrays", "l"),
    )

    def cells(title: str, row: Mapping[str, Any]) -> tuple[str, ...]:
        return (
            title,
            f"{100 * row['accuracy']:.2f}",
            f"{100 * row['accuracy_drop']:.2f}",
            _latency(row, in_seconds),
            _energy(row),
            f"{100 * row['edp_relative']:.1f}",
            escape(format_quantity(float(row["weight_memory_bits"]), "memory")),
            f"{_bits(row['weight_bits'])}/{_bits(row['activation_bits'])}",
            escape(str(row["pe_arrays"])),
        )

    static = [cells(title, row) for title, row in _statics(run)]
    members = [cells(_name(row), row) for row in _shown(run, rows)]
    caption = (
        f"Front of study {escape(run.name)} in accuracy ({_split(run)} split) and mean energy-latency product (EDP), "
        "which is relative to the static network. Latency and energy are simulated means over samples."
    )
    return LatexTable("tab:front", caption, columns, (static, members), "table*")


def _shown(run: RunResults, rows: int) -> list[dict[str, Any]]:
    """Members of the headline front by falling accuracy; of many an even choice with both ends."""
    front = run.pareto[run.pareto["headline"].astype(bool)] if len(run.pareto) else run.pareto
    found = [{str(k): v for k, v in row.items()} for row in front.to_dict("records")]
    if len(found) <= rows:
        return found
    if rows == 1:
        return found[:1]
    return [found[round(i * (len(found) - 1) / (rows - 1))] for i in range(rows)]


def _statics(run: RunResults) -> list[tuple[str, Mapping[str, Any]]]:
    if not run.static_reference:
        return []
    return [("static", run.static_reference), ("best static", run.static_reference["best_static"])]


def _exits_of(run: RunResults, row: Mapping[str, Any]) -> pd.DataFrame:
    return run.exits[run.exits["design"] == row["design"]].sort_values("exit")


def _name(row: Mapping[str, Any]) -> str:
    return rf"\texttt{{{str(row['design'])[:6]}}}"


def _exits(row: Mapping[str, Any]) -> str:
    heads = str(row["heads"]).split()
    early = [f"{block}:{head}" for block, head in zip(str(row["exits"]).split(), heads[:-1], strict=True)]
    return escape(" ".join([*early, f"K:{heads[-1]}"]))


def _thresholds(exits: pd.DataFrame) -> str:
    """One where all are equal, as with a shared policy; nothing for a static network."""
    values = [float(t) for t in exits["threshold"].iloc[:-1]]
    if not values:
        return "--"
    return " / ".join(_threshold(value) for value in (values[:1] if len(set(values)) == 1 else values))


def _threshold(value: float) -> str:
    """Infinite where nobody leaves; of everybody the least number there is stands for minus infinity.

    Three digits after the point, more where these would make a whole number of it: 0.99996 must not look like 1.
    """
    if abs(value) > LARGEST_THRESHOLD:
        return r"$\infty$" if value > 0 else r"$-\infty$"
    texts = [f"{value:.{digits}f}" for digits in range(3, 10)]
    return next((text for text in texts if float(text) != round(value)), texts[0])


def _latency(row: Mapping[str, Any], in_seconds: bool) -> str:
    if in_seconds:
        return escape(format_quantity(float(row["mean_latency_seconds"]), "time"))
    return f"{float(row['mean_latency_cycles']) / 1e3:.1f} kcycles"


def _energy(row: Mapping[str, Any]) -> str:
    return escape(
        format_quantity(float(row["mean_energy_pj"]) * 1e-12, metric_named("mean_energy").dimension)
    )


def _bits(text: object) -> str:
    """One width where all blocks have it, else the range."""
    widths = sorted({int(word) for word in str(text).split()})
    return str(widths[0]) if len(widths) == 1 else f"{widths[0]}--{widths[-1]}"


def _clocks_differ(run: RunResults) -> bool:
    return "clock_hz" in run.pareto and run.pareto["clock_hz"].nunique() > 1


def _split(run: RunResults) -> str:
    return escape(str(run.pareto["split"].iloc[0])) if len(run.pareto) else "validation"
