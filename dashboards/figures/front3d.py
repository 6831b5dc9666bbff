"""The front in accuracy, latency and energy: the objectives of a search that names no others."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from dashboards.figures.front import CostAxis, cost_axes, member_hover, others
from dashboards.figures.view import Trace, View
from dashboards.members import DEFAULT_OBJECTIVES, Member, ReportData, genome_text
from dashboards.palette import BEST_STATIC, CHOSEN, FRONT, GIVEN, OTHERS, STATIC
from dashboards.text import plain

MOST_OTHERS = 600


def view(data: ReportData, linked: Sequence[Member]) -> View:
    """Mean latency, mean energy and accuracy; needs WebGL in the browser."""
    axes = cost_axes(data)
    latency, energy = axes["latency"], axes["energy"]
    traces = [_others(data, latency, energy), _members(data.members, latency, energy)]
    given = data.reference_front
    if given is not None and {latency.column, energy.column} <= set(given.points):
        rows = [{str(k): v for k, v in row.items()} for row in given.points.to_dict("records")]
        names = [plain(row["name"]) for row in rows]
        traces.append(_points(rows, latency, energy, plain(given.name, 40), GIVEN, "cross", names))
    for row, name, colour, symbol in (
        (data.reference, "static reference", STATIC, "diamond"),
        (data.best_static, "best static design", BEST_STATIC, "square"),
    ):
        if row is not None:
            text = [f"<b>{name}</b><br>{genome_text(row)}"]
            traces.append(_points([row], latency, energy, name, colour, symbol, text))
    mark = _trace(x=[None], y=[None], z=[None], name="chosen", showlegend=False, hoverinfo="skip")
    mark["marker"] = {
        "symbol": "circle-open",
        "size": 9,
        "color": CHOSEN,
        "line": {"width": 3, "color": CHOSEN},
    }
    axis = {"showbackground": False, "zeroline": False, "nticks": 5}
    figure = {
        "data": [*traces, mark],
        "layout": {
            "height": 460,
            "margin": {"l": 0, "r": 0, "t": 0, "b": 0},
            "legend": {
                "orientation": "h",
                "y": 1.0,
                "yanchor": "bottom",
                "x": 0,
                "xanchor": "left",
                "itemsizing": "constant",
            },
            "hoverlabel": {"align": "left"},
            "scene": {
                "xaxis": {"title": {"text": latency.title}, **axis},
                "yaxis": {"title": {"text": energy.title}, **axis},
                "zaxis": {"title": {"text": "validation accuracy (%)"}, **axis},
                "aspectmode": "manual",
                "aspectratio": {"x": 1.15, "y": 1.15, "z": 0.95},
                "camera": {
                    "eye": {"x": 1.42, "y": -1.58, "z": 0.6},
                    "center": {"x": 0.06, "y": 0.06, "z": -0.12},
                },
            },
        },
    }
    return View(
        name="front3d",
        title="The front in all three objectives"
        if set(data.objectives) == set(DEFAULT_OBJECTIVES)
        else "Accuracy, latency and energy",
        alt="Scatter in three dimensions: mean latency, mean energy and accuracy of the designs of the front.",
        figures={"all": figure},
        marks={
            "all": {
                m.design: (
                    m.row[latency.column] / latency.divisor,
                    m.row[energy.column] / energy.divisor,
                    100 * m.row["accuracy"],
                )
                for m in linked
            }
        },
        note="Turn it with the mouse; click a point to choose it, or use the arrow keys.",
    )


def _trace(**fields: Any) -> Trace:
    return {"type": "scatter3d", "mode": "markers", **fields}


def _points(
    rows: Sequence[dict[str, Any]],
    latency: CostAxis,
    energy: CostAxis,
    name: str,
    colour: str,
    symbol: str,
    text: list[str],
) -> Trace:
    return _trace(
        x=[row[latency.column] / latency.divisor for row in rows],
        y=[row[energy.column] / energy.divisor for row in rows],
        z=[100 * row["accuracy"] for row in rows],
        name=name,
        marker={"symbol": symbol, "size": 5, "color": colour},
        text=text,
        hovertemplate="%{text}<br>%{z:.2f} % at %{x:.4g} and %{y:.4g}<extra></extra>",
    )


def _members(members: Sequence[Member], latency: CostAxis, energy: CostAxis) -> Trace:
    rows = [m.row for m in members]
    trace = _points(rows, latency, energy, "front", FRONT, "circle", [member_hover(m) for m in members])
    return trace | {"customdata": [m.design for m in members], "marker": {"size": 3.5, "color": FRONT}}


def _others(data: ReportData, latency: CostAxis, energy: CostAxis) -> Trace:
    lowest = min([m.row["accuracy"] for m in data.members], default=0.0)
    rest = others(data, latency.column, MOST_OTHERS)
    rest = rest[rest["accuracy"] >= lowest - 0.03]
    return _trace(
        x=(rest[latency.column] / latency.divisor).tolist(),
        y=(rest[energy.column] / energy.divisor).tolist(),
        z=(100 * rest["accuracy"]).tolist(),
        name="other designs",
        hoverinfo="skip",
        marker={"size": 2, "color": OTHERS},
    )
