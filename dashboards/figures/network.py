"""The chosen network block by block: bits of weights and activations, exits, and the inputs that get there."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import plotly.graph_objects as go

from dashboards.figures.view import View, new_figure
from dashboards.members import Member, ReportData, ints, records
from dashboards.palette import BITS_SCALE, CHOSEN, FRONT
from dashboards.text import percent, plain


def view(data: ReportData, linked: Sequence[Member]) -> View:
    """One strip of blocks for each member."""
    return View(
        name="network",
        title="The chosen network",
        alt="Blocks of the chosen network with their bits, exits and the share of inputs that reach them.",
        figures={m.design: _figure(m) for m in linked},
        linked=True,
        note="Bars: share of inputs that reach a block. Triangles: exits. Cells: bits of weights and activations.",
    )


def _figure(member: Member) -> go.Figure:
    weights, activations = ints(member.row["weight_bits"]), ints(member.row["activation_bits"])
    blocks = list(range(len(weights)))
    exits = records(member.exits)
    figure = new_figure(
        [_reach(member, blocks), _exit_marks(member, exits), _cells(blocks, weights, activations)],
        "block",
        "inputs (%)",
    )
    figure.update_layout(
        showlegend=False,
        yaxis={"domain": [0.42, 1.0], "range": [0, 118], "tickvals": [0, 50, 100]},
        yaxis2={
            "domain": [0.0, 0.34],
            "tickvals": [0, 1],
            "ticktext": ["activations", "weights"],
            "automargin": True,
            "showgrid": False,
            "fixedrange": True,
        },
        xaxis={"dtick": 1, "anchor": "y2", "showgrid": False, "range": [-0.6, len(blocks) - 0.4]},
    )
    return figure


def _reach(member: Member, blocks: list[int]) -> go.Bar:
    """Share of inputs that run each block: all until the first exit, then those that stay."""
    reach, ends = member.reach, member.exits["block"].tolist()
    shares = []
    for block in blocks:
        segment = next((i for i, end in enumerate(ends) if block <= end), len(ends) - 1)
        shares.append(100 * float(reach[segment]) if len(reach) else 100.0)
    return go.Bar(
        x=blocks,
        y=shares,
        marker={"color": FRONT, "opacity": 0.55},
        hovertemplate="block %{x}: %{y:.1f} % of inputs<extra></extra>",
    )


def _exit_marks(member: Member, exits: list[dict[str, Any]]) -> go.Scatter:
    reach = 100 * member.reach
    return go.Scatter(
        x=[row["block"] for row in exits],
        y=[reach[i] + 7 for i in range(len(exits))],
        mode="markers",
        marker={"symbol": "triangle-up", "size": 11, "color": CHOSEN},
        text=[
            f"exit after block {row['block']}, head {plain(row['head'])}<br>{percent(row['ratio'])} of inputs leave "
            f"({percent(row['leaving_accuracy'])} right)<br>{_threshold(row['threshold'])}"
            for row in exits
        ],
        hovertemplate="%{text}<extra></extra>",
    )


def _threshold(value: float) -> str:
    if value != value:  # the last exit takes the rest and has none
        return "takes the rest"
    if abs(value) > 1e300:  # infinite, or the least number there is
        return "never taken" if value > 0 else "everybody leaves"
    return f"score of at least {value:.4f}"


def _cells(blocks: list[int], weights: list[int], activations: list[int]) -> go.Heatmap:
    return go.Heatmap(
        x=blocks,
        y=[0, 1],
        z=[activations, weights],
        yaxis="y2",
        zmin=2,
        zmax=8,
        colorscale=BITS_SCALE,
        showscale=False,
        xgap=2,
        ygap=2,
        text=[[str(b) for b in activations], [str(b) for b in weights]],
        texttemplate="%{text}",
        hovertemplate="block %{x}: %{z} bit<extra></extra>",
    )
