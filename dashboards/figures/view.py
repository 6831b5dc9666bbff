"""What a figure is to a page: one or several plotly figures, and how they answer to the design chosen.

Figures are plain values in plotly's JSON form, not `graph_objects`: a report makes hundreds, and building objects
costs a hundred times as much. Tests hold that plotly accepts each.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from dashboards.members import Member
from dashboards.palette import CHOSEN

Trace = dict[str, Any]
Figure = dict[str, Any]


@dataclass(frozen=True)
class SliderStop:
    """One position of a slider.

    Attributes:
        x: Where the mark goes.
        y: Likewise.
        shares: Share of inputs leaving at each exit, as percentages.
        text: What this position means, in words.
    """

    x: float
    y: float
    shares: tuple[float, ...]
    text: str


@dataclass(frozen=True)
class Slider:
    """A slider below the figure of one design.

    Attributes:
        stops: From left to right.
        start: Index of the first position shown.
    """

    stops: tuple[SliderStop, ...]
    start: int


@dataclass(frozen=True, eq=False)
class View:
    """A figure with its variants.

    Attributes:
        name: Identifier, letters, digits and hyphens.
        title: Heading above the figure (never inside it: papers have captions).
        alt: What it shows, in words, for those who do not see it.
        figures: Variant -> figure. With `linked`, variants are designs; otherwise the reader picks one.
        linked: Whether what is shown is that of the design chosen.
        labels: Variant -> text of the switch; with sliders: curve -> text.
        marks: Variant -> design -> coordinates of the last trace of that figure, which marks the design chosen.
        alts: Design -> what its figure shows, in words, with numbers.
        sliders: Design -> curve -> slider.
        pictures: Design -> drawings (SVG) in place of a figure, for a wide and for a narrow page.
        note: A sentence below the figure.
        absent: What to say in place of a figure that a design lacks.
        wide: Whether it takes the full width of the page.
    """

    name: str
    title: str
    alt: str
    figures: Mapping[str, Figure] = field(default_factory=dict)
    linked: bool = False
    labels: Mapping[str, str] = field(default_factory=dict)
    marks: Mapping[str, Mapping[str, tuple[Any, ...]]] = field(default_factory=dict)
    alts: Mapping[str, str] = field(default_factory=dict)
    sliders: Mapping[str, Mapping[str, Slider]] = field(default_factory=dict)
    pictures: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    note: str = ""
    absent: str = "No feasible design yet."
    wide: bool = False

    @property
    def shows_anything(self) -> bool:
        """Whether there is a figure or a picture."""
        return bool(self.figures or self.pictures)

    def to_json(self) -> dict[str, Any]:
        """Plain values for the page's script."""
        return {
            "name": self.name,
            "linked": self.linked,
            "marks": self.marks,
            "alt": self.alt,
            "alts": self.alts,
            "figures": self.figures,
            "pictures": self.pictures,
            "absent": self.absent,
            "sliders": {
                design: {
                    curve: {"start": slider.start, "stops": [vars(stop) for stop in slider.stops]}
                    for curve, slider in curves.items()
                }
                for design, curves in self.sliders.items()
            },
        }


def scatter(**fields: Any) -> Trace:
    """A trace of points or lines."""
    return {"type": "scatter", **fields}


def bar(**fields: Any) -> Trace:
    """A trace of bars."""
    return {"type": "bar", **fields}


def heatmap(**fields: Any) -> Trace:
    """A trace of coloured cells."""
    return {"type": "heatmap", **fields}


def new_figure(
    traces: Sequence[Trace],
    x_title: str,
    y_title: str,
    height: int = 380,
    xaxis: Mapping[str, Any] | None = None,
    yaxis: Mapping[str, Any] | None = None,
    **layout: Any,
) -> Figure:
    """A figure with titled axes and the margins and legend that all figures share.

    Args:
        traces: In drawing order.
        x_title: With its unit.
        y_title: With its unit.
        height: In pixels.
        xaxis: More of plotly's settings of this axis.
        yaxis: Likewise.
        **layout: More of plotly's layout.
    """
    legend = {
        "orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0, "xanchor": "left", "traceorder": "normal",
    }  # fmt: skip
    axis = {"automargin": True, "zeroline": False}
    return {
        "data": list(traces),
        "layout": {
            "height": height,
            "margin": {"l": 56, "r": 12, "t": 12, "b": 48},
            "legend": legend,
            "hoverlabel": {"align": "left"},
            "xaxis": {"title": {"text": x_title}, **axis, **(xaxis or {})},
            "yaxis": {"title": {"text": y_title}, **axis, **(yaxis or {})},
            **layout,
        },
    }


def cost_scale(costs: Iterable[float]) -> dict[str, Any]:
    """Settings of an axis of costs: logarithmic, with plain numbers, where the cheapest is less than a tenth.

    A linear axis would give most of its length to what lies between the front and the static reference.
    """
    found = [cost for cost in costs if math.isfinite(cost)]
    low, high = min(found, default=0.0), max(found, default=0.0)
    if not 0.0 < low < high / 10:
        return {}
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    ticks = [float(f"{step}e{power}") for power in powers for step in (1, 2, 5)]
    ticks = [tick for tick in ticks if low / 2 <= tick <= 2 * high]
    return {"type": "log", "tickvals": ticks, "ticktext": [f"{tick:g}" for tick in ticks]}


def member_axis(members: Sequence[Member]) -> dict[str, Any]:
    """An axis with one place a member of the front, in their order."""
    return {
        "type": "category",
        "categoryorder": "array",
        "categoryarray": [m.label for m in members],
        "fixedrange": len(members) < 30,
    }


def members_height(members: Sequence[Member]) -> int:
    """In pixels, of the two figures beside one another that have a row, or more colours, for each member."""
    return min(620, max(380, 120 + 9 * len(members)))


def chosen_mark(symbol: str, size: int = 13) -> Trace:
    """The trace that shows where the chosen design is; a page fills in its place."""
    return scatter(
        x=[None],
        y=[None],
        mode="markers",
        name="chosen",
        hoverinfo="skip",
        showlegend=False,
        cliponaxis=False,
        marker={"symbol": symbol, "size": size, "color": CHOSEN, "line": {"width": 2.5, "color": CHOSEN}},
    )
