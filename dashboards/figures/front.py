"""Accuracy against cost: every design, the front, the static reference and the best static design."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from dashboards.figures.view import Figure, Trace, View, chosen_mark, cost_scale, new_figure, scatter
from dashboards.members import Member, ReportData, genome_text
from dashboards.palette import BEST_STATIC, FRONT, GIVEN, OTHERS, STATIC
from dashboards.text import energy_unit, listed, plain
from study.metrics import metric_named

MOST_OTHERS = 1500
"""Points drawn for designs off the front; more would be slow and would not look different."""

MOST_MEMBERS = 1000
"""The same for the front, whose points say more."""


@dataclass(frozen=True)
class CostAxis:
    """A cost that designs are compared by.

    Attributes:
        column: Of `designs.csv`.
        title: With its unit.
        divisor: From the column's unit to the title's.
    """

    column: str
    title: str
    divisor: float


def cost_axes(data: ReportData) -> dict[str, CostAxis]:
    """The costs of the study, in units that suit its static reference."""
    latency = data.latency_unit(float(data.reference["mean_latency_cycles"]))
    joules = energy_unit(float(data.reference["mean_energy_pj"]))
    return {
        "edp": CostAxis("edp_relative", "mean energy-latency product / static reference", 1.0),
        "latency": CostAxis("mean_latency_cycles", f"mean latency ({latency[1]})", latency[0]),
        "energy": CostAxis("mean_energy_pj", f"mean energy ({joules[1]})", joules[0]),
    }


def view(data: ReportData, linked: Sequence[Member]) -> View:
    """The front in accuracy and, by choice, mean energy-latency product, latency or energy."""
    axes = cost_axes(data)
    given = data.reference_front
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
        alts={m.design: f"{m.label} chosen: {m.spoken}" for m in linked},
        note=f"Means over the validation split under each design's exit policy. {_marks_said(data)} Click a point to "
        "choose it, or walk along the front with the arrow keys."
        + (f" {MOST_MEMBERS} of the front are drawn as points." if len(data.members) > MOST_MEMBERS else "")
        + (f" Stars: the front of {given.name}, as given." if given is not None else ""),
        wide=True,
    )


def _marks_said(data: ReportData) -> str:
    """What filled and open marks mean; with accuracy and product as objectives there are no open ones."""
    filled = "Filled: on the front of accuracy and product"
    if set(data.objectives) == {"error", "mean_edp"}:
        return f"{filled}."
    names = ["accuracy" if name == "error" else metric_named(name).text for name in data.objectives]
    return f"{filled}; open: on the front of {listed(names)} alone."


def _figure(data: ReportData, axis: CostAxis) -> Figure:
    designs = data.feasible
    traces: list[Trace] = []
    if len(designs):
        traces += [_others(data, axis), _best_for_cost(data.leading, axis)]
    if data.members:
        traces.append(_members(_evenly(data.members), axis))
    if data.reference_front is not None and axis.column in data.reference_front.points:
        traces.append(_given(data, axis))
    traces.append(_static(data.reference, axis, "static reference", STATIC, "diamond"))
    if data.best_static is not None:
        traces.append(_static(data.best_static, axis, "best static design", BEST_STATIC, "square"))
    traces.append(chosen_mark("circle-open", 18))
    return new_figure(
        traces,
        axis.title,
        "validation accuracy (%)",
        height=460,
        xaxis=_scale(data, axis),
        yaxis={"range": _accuracy_range(data)},
    )


def _evenly(members: Sequence[Member]) -> Sequence[Member]:
    """At most `MOST_MEMBERS`, from the most to the least accurate; the line goes through all of them anyway."""
    if len(members) <= MOST_MEMBERS:
        return members
    return [members[i] for i in np.linspace(0, len(members) - 1, MOST_MEMBERS).round().astype(int)]


def others(data: ReportData, column: str, most: int = MOST_OTHERS) -> pd.DataFrame:
    """Designs off the front, evenly along a cost where there are too many, so that the cloud keeps its outline."""
    designs = data.feasible
    rest = designs[~designs["design"].isin({m.design for m in data.members})]
    if len(rest) <= most:
        return rest
    keep = np.linspace(0, len(rest) - 1, most).round().astype(int)
    return rest.sort_values(column).iloc[keep]


def _others(data: ReportData, axis: CostAxis) -> Trace:
    rest = others(data, axis.column)
    return scatter(
        x=(rest[axis.column] / axis.divisor).tolist(),
        y=(100 * rest["accuracy"]).tolist(),
        mode="markers",
        name="other designs",
        marker={"size": 4, "color": OTHERS},
        text=[
            f"trial {t}, exits {plain(e) or 'none'}"
            for t, e in zip(rest["trial"], rest["exits"], strict=True)
        ],
        hovertemplate="%{text}<br>%{y:.2f} % at %{x:.4g}<extra></extra>",
    )


def _best_for_cost(designs: pd.DataFrame, axis: CostAxis) -> Trace:
    line = staircase(designs, axis.column)
    return scatter(
        x=(line[axis.column] / axis.divisor).tolist(),
        y=(100 * line["accuracy"]).tolist(),
        mode="lines",
        name="best for its cost",
        line={"shape": "hv", "color": FRONT, "width": 1.5},
        hoverinfo="skip",
    )


def member_hover(member: Member) -> str:
    """A member of the front in lines."""
    return (
        f"<b>{member.label}</b> design {plain(member.design)}, trial {member.row['trial']}<br>"
        f"EDP {member.row['edp_relative']:.3f} of the static reference<br>{genome_text(member.row)}"
    )


def _members(members: Sequence[Member], axis: CostAxis) -> Trace:
    return scatter(
        x=[m.row[axis.column] / axis.divisor for m in members],
        y=[100 * m.row["accuracy"] for m in members],
        mode="markers",
        name="front",
        marker={
            "size": [10 if m.headline else 8 for m in members],
            "color": FRONT,
            "symbol": ["circle" if m.headline else "circle-open" for m in members],
            "line": {"width": 1.5, "color": FRONT},
            "opacity": 1,  # with many sizes plotly takes less
        },
        customdata=[m.design for m in members],
        text=[member_hover(m) for m in members],
        hovertemplate="%{text}<br>%{y:.2f} % at %{x:.4g}<extra></extra>",
    )


def _given(data: ReportData, axis: CostAxis) -> Trace:
    given = data.reference_front
    assert given is not None
    points = given.points.dropna(subset=[axis.column]).sort_values(axis.column)
    return scatter(
        x=(points[axis.column] / axis.divisor).tolist(),
        y=(100 * points["accuracy"]).tolist(),
        mode="lines+markers",
        name=plain(given.name, 40),
        line={"shape": "hv", "color": GIVEN, "width": 1, "dash": "dot"},
        marker={"symbol": "star", "size": 11, "color": GIVEN},
        text=[plain(name) for name in points["name"]],
        hovertemplate="%{text}<br>%{y:.2f} % at %{x:.4g}<extra></extra>",
    )


def _static(row: dict[str, Any], axis: CostAxis, name: str, colour: str, symbol: str) -> Trace:
    return scatter(
        x=[row[axis.column] / axis.divisor],
        y=[100 * row["accuracy"]],
        mode="markers",
        name=name,
        marker={"symbol": symbol, "size": 12, "color": colour},
        text=[f"<b>{name}</b><br>{genome_text(row)}"],
        hovertemplate="%{text}<br>%{y:.2f} % at %{x:.4g}<extra></extra>",
    )


def staircase(designs: pd.DataFrame, column: str) -> pd.DataFrame:
    """Designs that no cheaper one equals in accuracy, by rising cost."""
    ordered = designs.sort_values([column, "accuracy"], ascending=[True, False])
    best_before = ordered["accuracy"].cummax().shift(fill_value=-1.0)
    return ordered[ordered["accuracy"] > best_before]


def _scale(data: ReportData, axis: CostAxis) -> dict[str, Any]:
    rows = [m.row for m in data.members] + [r for r in (data.reference, data.best_static) if r]
    linear = {"rangemode": "tozero"} if axis.column == "edp_relative" else {}
    return cost_scale(float(row[axis.column]) / axis.divisor for row in rows) or linear


def _accuracy_range(data: ReportData) -> list[float]:
    """Starts zoomed to the front and the static designs; untrained-like designs far below would flatten it."""
    rows = [m.row for m in data.members] + [r for r in (data.reference, data.best_static) if r]
    accuracy = [100 * float(row["accuracy"]) for row in rows]
    if data.reference_front is not None:
        accuracy += (100 * data.reference_front.points["accuracy"]).tolist()
    low, high = min(accuracy), max(accuracy)
    span = max(high - low, 1.0)
    return [max(low - 0.15 * span, -1.0), min(high + 0.15 * span, 101.0)]
