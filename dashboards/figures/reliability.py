"""Reliability diagram of each exit of the chosen network: confidence against the share of right answers."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from dashboards.figures.view import Figure, Trace, View, new_figure, scatter
from dashboards.members import Member, ReportData, records
from dashboards.palette import OTHERS, block_colour
from dashboards.text import percent


def view(data: ReportData, linked: Sequence[Member]) -> View:
    """One line an exit; on the diagonal, confidences mean what they say."""
    tables = data.reliability
    shown = [m for m in linked if str(m.row.get("architecture", "")) in tables]
    recorded = bool(len(data.results.reliability.columns))
    return View(
        name="reliability",
        title="Calibration of the exits",
        alt="Lines: share of right answers against confidence at each exit of the chosen network, with the diagonal.",
        linked=True,
        figures={
            m.design: _figure(data, m, _of_network(m, tables[str(m.row["architecture"])])) for m in shown
        },
        alts={m.design: f"{m.label}: expected calibration errors {_errors_in_words(m)}" for m in shown},
        note="Bins of equally many validation samples, at each exit's temperature. Below the dashed line an exit is "
        "too sure of itself.",
        absent="The predictions of this network were not kept."
        if recorded
        else "This run has no reliability.csv: run the study's command again with this version to write it.",
    )


def _of_network(member: Member, table: pd.DataFrame) -> pd.DataFrame:
    """The rows of the member's own training: the same exits may be kept of several."""
    if "network" not in table.columns or "network" not in member.row:
        return table
    return table[table["network"] == member.row["network"]]


def _figure(data: ReportData, member: Member, table: pd.DataFrame) -> Figure:
    errors = calibration_errors(member)
    traces: list[Trace] = [
        scatter(
            x=[0, 100],
            y=[0, 100],
            mode="lines",
            showlegend=False,
            hoverinfo="skip",
            line={"dash": "dash", "width": 1, "color": OTHERS},
        )
    ]
    for index, (exit_index, rows) in enumerate(table.groupby("exit")):
        block = int(rows["block"].iloc[0])
        error = errors[index] if index < len(errors) else None
        traces.append(
            scatter(
                x=(100 * rows["confidence"]).tolist(),
                y=(100 * rows["accuracy"]).tolist(),
                mode="lines+markers",
                name=f"block {block}" + ("" if error is None else f", ECE {percent(error)}"),
                line={"width": 1.5, "color": block_colour(block, data.n_blocks)},
                marker={"size": 5, "symbol": _SYMBOLS[int(str(exit_index)) % len(_SYMBOLS)]},
                text=[str(int(n)) for n in rows["samples"]],
                hovertemplate="%{x:.1f} % sure, %{y:.1f} % right (%{text} samples)<extra></extra>",
            )
        )
    return new_figure(
        traces,
        "confidence (%)",
        "right answers (%)",
        xaxis={"range": [0, 102]},
        yaxis={"range": [0, 102]},
    )


_SYMBOLS = ("circle", "square", "diamond", "triangle-up", "cross", "x", "star")
"""Neighbouring exits have neighbouring colours; the marks tell them apart."""


def calibration_errors(member: Member) -> list[float]:
    """Expected calibration error of each exit as a fraction; nothing where it was not measured."""
    if "calibration_error" not in member.exits.columns:
        return []
    values = pd.to_numeric(member.exits["calibration_error"], errors="coerce")
    return [] if values.isna().any() else values.tolist()


def _errors_in_words(member: Member) -> str:
    errors = calibration_errors(member)
    if not errors:
        return "not measured"
    return ", ".join(
        f"{percent(error)} after block {row['block']}"
        for error, row in zip(errors, records(member.exits), strict=True)
    )
