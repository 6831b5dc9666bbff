"""Every front member as a line across results and costs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from dashboards.figures.front import member_hover
from dashboards.figures.view import Trace, View, new_figure, scatter
from dashboards.members import Member, ReportData, ints
from dashboards.palette import CHOSEN, FRONT, OTHERS
from dashboards.text import energy_unit, with_unit

_Axis = tuple[str, Callable[[dict[str, Any]], float], Callable[[float], str]]


def view(data: ReportData, linked: Sequence[Member]) -> View:
    """Lines over axes that each go from the smallest to the largest value on the front."""
    axes = _axes(data)
    values = np.array([[of(m.row) for _, of, _ in axes] for m in linked], dtype=float).reshape(-1, len(axes))
    low = values.min(axis=0) if len(values) else np.zeros(len(axes))
    span = np.ptp(values, axis=0) if len(values) else np.ones(len(axes))
    places = (values - low) / np.where(span > 0, span, 1.0) + np.where(span > 0, 0.0, 0.5)
    groups = {"on the front of accuracy and product": True, "other members": False}
    traces = [
        _lines(
            name,
            [(m, row) for m, row in zip(linked, places, strict=True) if m.headline is headline],
            headline,
        )
        for name, headline in groups.items()
    ]
    mark: Trace = scatter(
        x=[None],
        y=[None],
        mode="lines+markers",
        name="chosen",
        showlegend=False,
        hoverinfo="skip",
        line={"width": 4, "color": CHOSEN},
        marker={"size": 8, "color": CHOSEN},
    )
    columns = list(range(len(axes)))
    figure = new_figure(
        [*traces[::-1], mark],
        "",
        "from the smallest to the largest",
        height=380,
        margin={"l": 40, "r": 40, "t": 12, "b": 36},
        xaxis={
            "tickvals": columns, "ticktext": [name for name, _, _ in axes], "range": [-0.35, len(axes) - 0.65],
            "showgrid": True, "fixedrange": True,
        },
        yaxis={"range": [-0.12, 1.12], "showticklabels": False, "showgrid": False, "fixedrange": True},
        annotations=[
            {
                "x": column, "y": y, "yanchor": anchor, "showarrow": False, "font": {"size": 10},
                "text": text(float(edge[column])), "name": "wide only",
            }
            for column, (_, _, text) in enumerate(axes)
            for y, anchor, edge in ((-0.03, "top", low), (1.03, "bottom", low + span))
        ] if len(values) else [],
    )  # fmt: skip
    return View(
        name="parallel",
        title="The front across all measures",
        alt="Parallel coordinates: one line for each member of the front across accuracy, costs, bits and exits.",
        figures={"all": figure} if len(values) else {},
        marks={"all": {m.design: (columns, row.tolist()) for m, row in zip(linked, places, strict=True)}},
        note="Each axis goes from the smallest (bottom) to the largest value. Click a line to choose it, or "
        "use the arrow keys.",
        wide=True,
    )


def _axes(data: ReportData) -> list[_Axis]:
    joules = energy_unit(float(data.reference["mean_energy_pj"]))
    latency = data.latency_unit(float(data.reference["mean_latency_cycles"]))
    return [
        ("accuracy", lambda r: 100 * float(r["accuracy"]), lambda v: f"{v:.1f} %"),
        ("product", lambda r: float(r["edp_relative"]), lambda v: f"{v:.3f}"),
        ("latency", lambda r: float(r["mean_latency_cycles"]), lambda v: with_unit(v, latency)),
        ("worst latency", lambda r: float(r["worst_latency_cycles"]), lambda v: with_unit(v, latency)),
        ("energy", lambda r: float(r["mean_energy_pj"]), lambda v: with_unit(v, joules)),
        ("weights", lambda r: float(r["weight_memory_bits"]) / 8000, lambda v: f"{v:,.0f} kB"),
        ("weight bits", lambda r: float(np.mean(ints(r["weight_bits"]))), lambda v: f"{v:.1f}"),
        ("activation bits", lambda r: float(np.mean(ints(r["activation_bits"]))), lambda v: f"{v:.1f}"),
        ("early exits", lambda r: float(len(ints(r["exits"]))), lambda v: f"{v:.0f}"),
    ]


def _lines(name: str, members: Sequence[tuple[Member, np.ndarray]], headline: bool) -> Trace:
    """All lines of a group as one trace with gaps, so that a hundred members stay quick."""
    x: list[float | None] = []
    y: list[float | None] = []
    designs: list[str | None] = []
    text: list[str] = []
    for member, row in members:
        x += [*range(len(row)), None]
        y += [*row.tolist(), None]
        designs += [member.design] * len(row) + [None]
        text += [member_hover(member)] * len(row) + [""]
    return scatter(
        x=x,
        y=y,
        mode="lines+markers",
        name=name,
        line={"width": 1.4 if headline else 1, "color": FRONT if headline else OTHERS},
        marker={"size": 5},
        customdata=designs,
        text=text,
        hovertemplate="%{text}<extra></extra>",
    )
