"""Bits of each block of every front member."""

from __future__ import annotations

from collections.abc import Sequence

from dashboards.figures.view import Figure, View, chosen_mark, heatmap, new_figure
from dashboards.members import Member, ReportData, ints
from dashboards.palette import BITS_SCALE


def view(data: ReportData, linked: Sequence[Member]) -> View:
    """Heat map of members by blocks, for weights or activations."""
    columns = {"weights": "weight_bits", "activations": "activation_bits"}
    return View(
        name="bits",
        title="Bits per block",
        alt="Heat map: bits of every block of every front member; light is few bits.",
        figures={key: _figure(linked, column) for key, column in columns.items()},
        labels={"weights": "weights", "activations": "activations"},
        marks={key: {m.design: (-0.75, m.label) for m in linked} for key in columns},
        note="Front members by falling accuracy, best at the top.",
    )


def _figure(members: Sequence[Member], column: str) -> Figure:
    table = [ints(m.row[column]) for m in members]
    n_blocks = len(table[0]) if table else 0
    labels = [m.label for m in members]
    heat = heatmap(
        x=list(range(n_blocks)),
        y=labels,
        z=table,
        zmin=2,
        zmax=8,
        colorscale=BITS_SCALE,
        xgap=1,
        ygap=1,
        colorbar={
            "title": {"text": "bits"},
            "tickvals": [2, 3, 4, 6, 8],
            "thickness": 12,
            "outlinewidth": 0,
            "len": 0.9,
        },
        customdata=[[m.design] * n_blocks for m in members],
        hovertemplate="<b>%{y}</b> block %{x}: %{z} bit<extra></extra>",
    )
    if len(members) <= 14:
        heat.update(text=[[str(b) for b in row] for row in table], texttemplate="%{text}")
    return new_figure(
        [heat, chosen_mark("triangle-right", 11)],
        "block",
        "front member",
        height=min(620, max(380, 120 + 9 * len(members))),
        xaxis={"tickvals": list(range(n_blocks)), "showgrid": False, "range": [-1.0, n_blocks - 0.5]},
        yaxis={
            "type": "category",
            "categoryorder": "array",
            "categoryarray": labels[::-1],
            "showgrid": False,
            "title": {"text": "front member", "standoff": 12},
        },
    )
