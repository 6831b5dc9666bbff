"""The refined designs: what `study.refine` measured on the test split, means over seeds, with intervals."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from dashboards.figures.view import Figure, Trace, View, cost_scale, new_figure, scatter
from dashboards.members import Member, ReportData, genome_text, records, truths
from dashboards.palette import BEST_STATIC, FRONT, OTHERS, STATIC
from dashboards.text import percent, plain, signed_percent

_STATIC_ROLES = {
    "static_reference": ("static reference", STATIC, "diamond"),
    "best_static": ("best static design", BEST_STATIC, "square"),
}


def view(data: ReportData, linked: Sequence[Member]) -> View:
    """Accuracy, or what it lost with its interval, against the product of every refined design."""
    refined = data.results.refined
    if refined.empty:
        return View(
            name="refined",
            title="Refined designs",
            alt="Nothing was refined yet.",
            absent="Nothing was refined yet: python -m study.refine RUN trains the front at full budget with "
            "several seeds and reads the test split once.",
            wide=True,
        )
    split, seeds = str(refined["split"].iloc[0]), int(refined["seeds"].max())
    return View(
        name="refined",
        title=f"Refined designs, {split} split",
        alt=_spoken(refined, split),
        figures={
            "accuracy": _figure(refined, "accuracy", f"{split} accuracy (%)"),
            "drop": _figure(refined, "accuracy_drop", "loss against the static reference (points)"),
        },
        labels={"accuracy": "accuracy", "drop": "loss of accuracy"},
        note=f"Means over {seeds} seed{'' if seeds == 1 else 's'}, the static designs trained again likewise; "
        "chosen on validation. Bars: standard deviation over seeds for accuracy, the paired bootstrap 95 % "
        "interval over images and seeds for the loss.",
        wide=True,
    )


def _spoken(refined: pd.DataFrame, split: str) -> str:
    parts = [f"Scatter of {len(refined)} refined designs on the {split} split"]
    for row in records(refined[refined["role"].isin(list(_STATIC_ROLES)) | truths(refined["headline"])]):
        name = _STATIC_ROLES.get(str(row["role"]), (str(row["design"]),))[0]
        change = signed_percent(row["edp_relative"] - 1.0, 0)
        parts.append(f"{name}: accuracy {percent(row['accuracy'])}, energy-latency product {change}")
    return "; ".join(parts) + "."


def _figure(refined: pd.DataFrame, column: str, title: str) -> Figure:
    others = refined[~refined["role"].isin(list(_STATIC_ROLES))]
    headline = truths(others["headline"])
    traces = [
        _points(others[~headline], column, "other refined designs", OTHERS, "circle", 7),
        _points(others[headline], column, "refined front", FRONT, "circle", 9),
    ]
    for role, (name, colour, symbol) in _STATIC_ROLES.items():
        traces.append(_points(refined[refined["role"] == role], column, name, colour, symbol, 12))
    return new_figure(
        [trace for trace in traces if trace["x"]],
        "mean energy-latency product / static reference",
        title,
        height=420,
        xaxis=cost_scale(refined["edp_relative"]) or {"rangemode": "tozero"},
        yaxis={"autorange": "reversed"} if column == "accuracy_drop" else {},
    )


def _points(rows: pd.DataFrame, column: str, name: str, colour: str, symbol: str, size: int) -> Trace:
    rows = rows.sort_values("edp_relative")
    if column == "accuracy_drop":
        above = 100 * (rows["accuracy_drop_high"] - rows["accuracy_drop"])
        below = 100 * (rows["accuracy_drop"] - rows["accuracy_drop_low"])
    else:
        above = below = 100 * rows["accuracy_std"].fillna(0.0)
    return scatter(
        x=rows["edp_relative"].tolist(),
        y=(100 * rows[column]).tolist(),
        error_y={
            "type": "data", "symmetric": False, "array": above.tolist(), "arrayminus": below.tolist(),
            "color": colour, "thickness": 1.2, "width": 3,
        },
        mode="markers",
        name=name,
        marker={"symbol": symbol, "size": size, "color": colour},
        text=[f"<b>{plain(row['design'])}</b><br>{genome_text(row)}" for row in records(rows)],
        hovertemplate="%{text}<br>%{y:.2f} at %{x:.4g}<extra></extra>",
    )  # fmt: skip
