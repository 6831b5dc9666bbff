"""Accuracy against cost: every design, the front, the static reference and the best static design."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from dashboards.figures.view import View, chosen_mark, new_figure
from dashboards.members import Member, ReportData, genome_text
from dashboards.palette import BEST_STATIC, FRONT, OTHERS, STATIC
from dashboards.text import cycles_unit, energy_unit, plain

MOST_OTHERS = 1500
"""Points drawn for designs off the front; more would be slow and would not look different."""


@dataclass(frozen=True)
class _Axis:
    column: str
    title: str
    divisor: float


def view(data: ReportData, linked: Sequence[Member]) -> View:
    """The front in accuracy and, by choice, mean energy-latency product, latency or energy."""
    reference = data.reference
    cycles = cycles_unit(float(reference["mean_latency_cycles"]))
    joules = energy_unit(float(reference["mean_energy_pj"]))
    axes = {
        "edp": _Axis("edp_relative", "mean energy-latency product / static reference", 1.0),
        "latency": _Axis("mean_latency_cycles", f"mean latency ({cycles[1]})", cycles[0]),
        "energy": _Axis("mean_energy_pj", f"mean energy ({joules[1]})", joules[0]),
    }
    return View(
        name="front",
        title="Accuracy against cost",
        alt=(
            f"Scatter of {len(data.feasible)} feasible designs, {len(data.members)} of them on the front, "
            "with the static reference. Up and left is better."
        ),
        figures={key: _figure(data, axis) for key, axis in axes.items()},
        labels={"edp": "energy-latency product", "latency": "latency", "energy": "energy"},
        marks={
            key: {m.design: (m.row[axis.column] / axis.divisor, 100 * m.row["accuracy"]) for m in linked}
            for key, axis in axes.items()
        },
        note="Means over the validation split under each design's exit policy. Click a point to choose it.",
        wide=True,
    )


def _figure(data: ReportData, axis: _Axis) -> go.Figure:
    designs = data.feasible
    on_front = {m.design for m in data.members}
    traces = []
    if len(designs):
        others = _thinned(designs[~designs["design"].isin(on_front)], axis.column)
        traces.append(
            go.Scatter(
                x=(others[axis.column] / axis.divisor).tolist(),
                y=(100 * others["accuracy"]).tolist(),
                mode="markers",
                name="other designs",
                marker={"size": 5, "color": OTHERS, "opacity": 0.45},
                text=[
                    f"trial {t}, exits {plain(e) or 'none'}"
                    for t, e in zip(others["trial"], others["exits"], strict=True)
                ],
                hovertemplate="%{text}<br>%{y:.2f} % at %{x:.4g}<extra></extra>",
            )
        )
        line = _staircase(designs, axis.column)
        traces.append(
            go.Scatter(
                x=(line[axis.column] / axis.divisor).tolist(),
                y=(100 * line["accuracy"]).tolist(),
                mode="lines",
                name="best for its cost",
                line={"shape": "hv", "color": FRONT, "width": 1.5},
                hoverinfo="skip",
            )
        )
    if data.members:
        traces.append(_members(data.members, axis))
    traces.append(_static(data.reference, axis, "static reference", STATIC, "diamond"))
    if data.best_static is not None:
        traces.append(_static(data.best_static, axis, "best static design", BEST_STATIC, "square"))
    traces.append(chosen_mark("circle-open", 18))
    figure = new_figure(traces, axis.title, "validation accuracy (%)", height=460)
    if axis.column == "edp_relative":
        figure.update_xaxes(rangemode="tozero")
    _keep_front_in_view(figure, data)
    return figure


def _members(members: Sequence[Member], axis: _Axis) -> go.Scatter:
    return go.Scatter(
        x=[m.row[axis.column] / axis.divisor for m in members],
        y=[100 * m.row["accuracy"] for m in members],
        mode="markers",
        name="front",
        marker={
            "size": [10 if m.headline else 7 for m in members],
            "color": FRONT,
            "opacity": [1.0 if m.headline else 0.6 for m in members],
        },
        customdata=[m.design for m in members],
        text=[
            f"<b>{m.label}</b> design {plain(m.design)}, trial {m.row['trial']}<br>"
            f"EDP {m.row['edp_relative']:.3f} of the static reference<br>{genome_text(m.row)}"
            for m in members
        ],
        hovertemplate="%{text}<br>%{y:.2f} % at %{x:.4g}<extra></extra>",
    )


def _static(row: dict[str, Any], axis: _Axis, name: str, colour: str, symbol: str) -> go.Scatter:
    return go.Scatter(
        x=[row[axis.column] / axis.divisor],
        y=[100 * row["accuracy"]],
        mode="markers",
        name=name,
        marker={"symbol": symbol, "size": 12, "color": colour},
        text=[f"<b>{name}</b><br>{genome_text(row)}"],
        hovertemplate="%{text}<br>%{y:.2f} % at %{x:.4g}<extra></extra>",
    )


def _thinned(designs: pd.DataFrame, column: str) -> pd.DataFrame:
    """At most `MOST_OTHERS` designs, evenly along the cost axis, so that the cloud keeps its outline."""
    if len(designs) <= MOST_OTHERS:
        return designs
    keep = np.linspace(0, len(designs) - 1, MOST_OTHERS).round().astype(int)
    return designs.sort_values(column).iloc[keep]


def _staircase(designs: pd.DataFrame, column: str) -> pd.DataFrame:
    """Designs that no cheaper one equals in accuracy, by rising cost."""
    ordered = designs.sort_values([column, "accuracy"], ascending=[True, False])
    best_before = ordered["accuracy"].cummax().shift(fill_value=-1.0)
    return ordered[ordered["accuracy"] > best_before]


def _keep_front_in_view(figure: go.Figure, data: ReportData) -> None:
    """Starts zoomed to the front and the static designs; untrained-like designs far below would flatten it."""
    rows = [m.row for m in data.members] + [r for r in (data.reference, data.best_static) if r]
    accuracy = [100 * row["accuracy"] for row in rows]
    low, high = min(accuracy), max(accuracy)
    span = max(high - low, 1.0)
    figure.update_yaxes(range=[max(low - 0.15 * span, -1.0), min(high + 0.15 * span, 101.0)])
