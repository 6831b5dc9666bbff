"""What the chosen network gives under other thresholds, with a slider over the whole range."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from dashboards.figures.view import (
    Figure,
    Slider,
    SliderStop,
    Trace,
    View,
    bar,
    chosen_mark,
    cost_scale,
    new_figure,
    scatter,
)
from dashboards.members import Member, ReportData, records
from dashboards.palette import BEST_STATIC, FRONT, GAP, STATIC, block_colour, ink_on
from dashboards.text import percent, threshold_digits

_COST = "mean energy-latency product / static reference"

CURVES = {"per_exit": "one threshold an exit", "shared": "one threshold for all exits"}


def view(data: ReportData, linked: Sequence[Member]) -> View:
    """Accuracy over mean energy-latency product, and below it where inputs leave at the slider's position."""
    curves = data.policy_curves
    shown = [m for m in linked if m.design in curves]
    recorded = bool(len(data.results.policy_curves.columns))
    return View(
        name="policy",
        title="Other thresholds",
        alt="Lines: accuracy against mean energy-latency product of the chosen network over all thresholds.",
        linked=True,
        figures={m.design: _figure(data, m, records(curves[m.design])) for m in shown},
        labels=CURVES,
        sliders={m.design: _sliders(m, records(curves[m.design])) for m in shown},
        note="Measured on validation: a threshold picked here is chosen on validation, so measure what you publish "
        "on the test split.",
        absent="This design has no early exit, or its predictions were not kept."
        if recorded
        else "This run has no policy_curves.csv: run the study's command again with this version to write it.",
        wide=True,
    )


def _figure(data: ReportData, member: Member, rows: list[dict[str, Any]]) -> Figure:
    traces: list[Trace] = []
    for curve, colour in (("per_exit", FRONT), ("shared", BEST_STATIC)):
        points = sorted((r for r in rows if r["curve"] == curve), key=lambda r: r["edp_relative"])
        traces.append(
            scatter(
                x=[r["edp_relative"] for r in points],
                y=[100 * r["accuracy"] for r in points],
                mode="lines+markers",
                name=CURVES[curve],
                line={"color": colour, "width": 1.5},
                marker={"size": 4, "color": colour},
                hovertemplate="%{y:.2f} % at %{x:.3f}<extra></extra>",
            )
        )
    traces.append(
        scatter(
            x=[1.0],
            y=[100 * data.reference["accuracy"]],
            mode="markers",
            name="static reference",
            marker={"symbol": "diamond", "size": 11, "color": STATIC},
            hovertemplate="static reference: %{y:.2f} %<extra></extra>",
        )
    )
    traces.append(
        scatter(
            x=[member.row["edp_relative"]],
            y=[100 * member.row["accuracy"]],
            mode="markers",
            name="as the study chose",
            marker={"symbol": "square-open", "size": 12, "color": FRONT, "line": {"width": 2}},
            hovertemplate="as the study chose: %{y:.2f} % at %{x:.3f}<extra></extra>",
        )
    )
    traces += _share_bars(data, member)
    scale = cost_scale([1.0, *(r["edp_relative"] for r in rows)]) or {"rangemode": "tozero"}
    # The mark stays last: a page moves it with the slider.
    return new_figure(
        [*traces, chosen_mark("circle-open", 16)],
        _COST,
        "validation accuracy (%)",
        height=460,
        margin={"l": 56, "r": 24, "t": 12, "b": 48},
        xaxis={**scale, "title": {"text": _COST, "standoff": 4}},
        yaxis={"domain": [0.32, 1.0]},
        xaxis2={
            "domain": [0.0, 1.0], "anchor": "y2", "range": [0, 100], "tickvals": [0, 25, 50, 75, 100],
            "zeroline": False,
            "title": {"text": "inputs leaving at each exit (%)", "standoff": 4},
        },
        yaxis2={
            "domain": [0.0, 0.09], "anchor": "x2", "range": [-0.5, 0.5],
            "showticklabels": False, "fixedrange": True,
        },
        barmode="stack",
        bargap=0,
        uniformtext={"mode": "hide", "minsize": 10},
    )  # fmt: skip


def _share_bars(data: ReportData, member: Member) -> list[Trace]:
    """One bar an exit, with the shares of the study's own thresholds until the slider moves."""
    return [
        bar(
            x=[100 * float(row["ratio"])],
            y=[0],
            orientation="h",
            xaxis="x2",
            yaxis="y2",
            meta="share",
            showlegend=False,
            name=f"block {row['block']}",
            text=[f"block {row['block']}"],
            textposition="inside",
            insidetextanchor="middle",
            insidetextfont={"color": ink_on(block_colour(int(row["block"]), data.n_blocks))},
            marker={"color": block_colour(int(row["block"]), data.n_blocks), "line": GAP},
            hovertemplate=f"exit after block {row['block']}: %{{x:.1f}} %<extra></extra>",
        )
        for row in records(member.exits)
    ]


def _sliders(member: Member, rows: list[dict[str, Any]]) -> dict[str, Slider]:
    sliders = {}
    for curve in CURVES:
        points = sorted((r for r in rows if r["curve"] == curve), key=lambda r: -r["edp_relative"])
        stops = tuple(_stop(row) for row in points)
        near = min(range(len(stops)), key=lambda i: abs(stops[i].x - member.row["edp_relative"]), default=0)
        if stops:
            sliders[curve] = Slider(stops, near)
    return sliders


def _stop(row: dict[str, Any]) -> SliderStop:
    shares = tuple(100 * float(word) for word in str(row["ratios"]).split())
    thresholds = " ".join(_short(word) for word in str(row["thresholds"]).split())
    given_away = (
        "" if row["target"] != row["target"] else f", {percent(row['target'], 2)} given away on calibration"
    )
    leaving = " · ".join(f"{share:.0f}" for share in shares)
    return SliderStop(
        x=float(row["edp_relative"]),
        y=100 * float(row["accuracy"]),
        shares=shares,
        text=f"accuracy {percent(row['accuracy'], 2)} at {row['edp_relative']:.3f} of the reference's product; "
        f"leaving {leaving} %; thresholds {thresholds}{given_away}",
    )


def _short(word: str) -> str:
    """A threshold in few characters; beyond any number it is a sign."""
    value = float(word)
    if abs(value) > 1e300:
        return "never" if value > 0 else "all"
    return threshold_digits(value, 3)
