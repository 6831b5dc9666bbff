"""Energy by memory level of every front member, mean over inputs or with all exits run."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from dashboards.figures.view import Figure, View, bar, chosen_mark, member_axis, new_figure
from dashboards.members import Member, ReportData
from dashboards.palette import GAP, level_colours
from dashboards.text import energy_unit, percent, plain


def energy_by_level(member: Member, levels: Sequence[str], mean: bool) -> dict[str, float]:
    """Energy per inference in pJ by memory level.

    Args:
        member: Of the front.
        levels: Names of the levels.
        mean: Whether each layer counts by the share of inputs that reach it; otherwise all layers run.
    """
    weight = member.layer_reach if mean else np.ones(len(member.layers))
    return {
        level: float((member.layers[f"energy_{level}_pj"].to_numpy(dtype=float) * weight).sum())
        for level in levels
    }


def view(data: ReportData, linked: Sequence[Member]) -> View:
    """Stacked bars by front member, with the share of each level in the hover text."""
    variants = {"mean": True, "worst": False}
    tables = {key: [energy_by_level(m, data.levels, mean) for m in linked] for key, mean in variants.items()}
    totals = [sum(row.values()) for row in tables["worst"]]
    unit = energy_unit(max([*totals, float(data.reference["mean_energy_pj"])]))
    figures = {key: _figure(data, linked, rows, unit) for key, rows in tables.items()}
    tops = {key: [1.04 * sum(row.values()) / unit[0] for row in rows] for key, rows in tables.items()}
    return View(
        name="memory-energy",
        title="Energy by memory level",
        alt="Stacked bars: energy per inference of each front member by memory level.",
        figures=figures,
        labels={"mean": "mean over inputs", "worst": "all exits run"},
        marks={
            key: {m.design: (m.label, top) for m, top in zip(linked, tops[key], strict=True)}
            for key in variants
        },
        note="Dotted: the static reference.",
    )


def _figure(
    data: ReportData, members: Sequence[Member], rows: list[dict[str, float]], unit: tuple[float, str]
) -> Figure:
    colours = level_colours(data.levels)
    totals = [sum(row.values()) or 1.0 for row in rows]
    traces = [
        bar(
            x=[m.label for m in members],
            y=[row[level] / unit[0] for row in rows],
            name=plain(level),
            marker={"color": colours[level], "line": GAP},
            customdata=[m.design for m in members],
            text=[percent(row[level] / total) for row, total in zip(rows, totals, strict=True)],
            textposition="none",
            hovertemplate=f"<b>%{{x}}</b> {plain(level)}: %{{y:.4g}} {unit[1]} (%{{text}})<extra></extra>",
        )
        for level in data.levels
        if any(row[level] for row in rows)
    ]
    reference = float(data.reference["mean_energy_pj"]) / unit[0]
    return new_figure(
        [*traces, chosen_mark("triangle-down", 11)],
        "front member",
        f"energy ({unit[1]})",
        xaxis=member_axis(members),
        barmode="stack",
        bargap=0.15,
        shapes=[
            {
                "type": "line", "xref": "x domain", "x0": 0, "x1": 1, "y0": reference, "y1": reference,
                "line": {"dash": "dot", "width": 1.5},
            }
        ],
    )  # fmt: skip
