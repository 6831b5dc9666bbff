"""What a figure is to a page: one or several plotly figures, and how they answer to the design chosen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import plotly.graph_objects as go

from dashboards.palette import CHOSEN


@dataclass(frozen=True, eq=False)
class View:
    """A figure with its variants.

    Attributes:
        name: Identifier, letters and hyphens.
        title: Heading above the figure (never inside it: papers have captions).
        alt: What it shows, in words, for those who do not see it.
        figures: Variant -> figure. With `linked`, variants are designs; otherwise the reader picks one.
        linked: Whether the figure shown is that of the design chosen.
        labels: Variant -> text of the switch.
        marks: Variant -> design -> (x, y) where the last trace of that figure marks the design chosen.
        note: A sentence below the figure.
        wide: Whether it takes the full width of the page.
    """

    name: str
    title: str
    alt: str
    figures: Mapping[str, go.Figure]
    linked: bool = False
    labels: Mapping[str, str] = field(default_factory=dict)
    marks: Mapping[str, Mapping[str, tuple[Any, Any]]] = field(default_factory=dict)
    note: str = ""
    wide: bool = False

    def to_json(self) -> dict[str, Any]:
        """Plain values for the page's script."""
        return {
            "name": self.name,
            "linked": self.linked,
            "marks": self.marks,
            "figures": {key: figure_json(figure) for key, figure in self.figures.items()},
        }


def figure_json(figure: go.Figure) -> dict[str, Any]:
    """Data and layout of a figure as plain values, without plotly's template (the page sets the colours)."""
    values = figure.to_dict()
    values["layout"].pop("template", None)
    return {"data": values["data"], "layout": values["layout"]}


def new_figure(
    traces: Sequence[Any], x_title: str, y_title: str, height: int = 380, **layout: Any
) -> go.Figure:
    """A figure with titled axes and the margins and legend that all figures share.

    Args:
        traces: In drawing order.
        x_title: With its unit.
        y_title: With its unit.
        height: In pixels.
        **layout: More plotly layout, as given to `update_layout`.
    """
    figure = go.Figure(data=list(traces))
    figure.update_layout(
        height=height,
        margin={"l": 56, "r": 12, "t": 12, "b": 48},
        legend={
            "orientation": "h",
            "y": 1.02,
            "yanchor": "bottom",
            "x": 0,
            "xanchor": "left",
            "traceorder": "normal",
        },
        hoverlabel={"align": "left"},
        xaxis={"title": {"text": x_title}, "automargin": True, "zeroline": False},
        yaxis={"title": {"text": y_title}, "automargin": True, "zeroline": False},
    )
    figure.update_layout(**layout)
    return figure


def chosen_mark(symbol: str, size: int = 13) -> go.Scatter:
    """The trace that shows where the chosen design is; a page fills in its place."""
    return go.Scatter(
        x=[None],
        y=[None],
        mode="markers",
        name="chosen",
        hoverinfo="skip",
        showlegend=False,
        cliponaxis=False,
        marker={"symbol": symbol, "size": size, "color": CHOSEN, "line": {"width": 2.5, "color": CHOSEN}},
    )
