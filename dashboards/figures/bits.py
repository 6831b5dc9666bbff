"""Bits of each block of every front member."""

from __future__ import annotations

from collections.abc import Sequence

from dashboards.figures.view import (
    Figure,
    Trace,
    View,
    chosen_mark,
    heatmap,
    members_height,
    new_figure,
    scatter,
)
from dashboards.members import Member, ReportData, ints
from dashboards.palette import BITS_SCALE, bits_colour, ink_on


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
        zmin=1.5,
        zmax=8.5,
        colorscale=BITS_SCALE,
        xgap=1,
        ygap=1,
        colorbar={
            "title": {"text": "bits"},
            "tickvals": [2, 3, 4, 5, 6, 7, 8],
            "thickness": 12,
            "outlinewidth": 0,
            "len": 0.9,
        },
        customdata=[[m.design] * n_blocks for m in members],
        hovertemplate="<b>%{y}</b> block %{x}: %{z} bit<extra></extra>",
    )
    numbers = [_numbers(labels, table)] if len(members) <= 14 else []
    return new_figure(
        [heat, *numbers, chosen_mark("triangle-right", 11)],
        "block",
        "front member",
        height=members_height(members),
        xaxis={"tickvals": list(range(n_blocks)), "showgrid": False, "range": [-1.0, n_blocks - 0.5]},
        yaxis={
            "type": "category",
            "categoryorder": "array",
            "categoryarray": labels[::-1],
            "showgrid": False,
            "title": {"text": "front member", "standoff": 12},
        },
    )


def _numbers(labels: Sequence[str], table: Sequence[Sequence[int]]) -> Trace:
    """The bits as text. A heat map's own is white or black by a rule of its own, hard to read on some colours."""
    cells = [
        (block, label, bits)
        for label, row in zip(labels, table, strict=True)
        for block, bits in enumerate(row)
    ]
    return scatter(
        x=[block for block, _, _ in cells],
        y=[label for _, label, _ in cells],
        text=[str(bits) for _, _, bits in cells],
        mode="text",
        textfont={"color": [ink_on(bits_colour(bits)) for _, _, bits in cells]},
        hoverinfo="skip",
        showlegend=False,
    )
