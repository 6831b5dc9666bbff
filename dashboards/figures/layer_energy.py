"""Energy of each layer of the chosen design, stacked by memory level."""

from __future__ import annotations

from collections.abc import Sequence

from dashboards.figures.layers import dearest_layers, layer_axis
from dashboards.figures.view import Figure, View, bar, new_figure
from dashboards.members import Member, ReportData
from dashboards.palette import GAP, level_colours
from dashboards.text import energy_unit, plain


def view(data: ReportData, linked: Sequence[Member]) -> View:
    """Bars by layer in order of execution, stacked by memory level."""
    layers = data.results.layers
    unit = energy_unit(float(layers["energy_pj"].max()) if len(layers) else 0.0)
    return View(
        name="layer-energy",
        title="Energy by layer",
        alt="Stacked bars: energy of each layer of the chosen design by memory level.",
        alts={m.design: dearest_layers(m, "energy_pj", "of the energy with all exits run") for m in linked},
        figures={m.design: _figure(m, data.levels, unit) for m in linked},
        linked=True,
        note="Each layer when it runs; how many inputs run it is in the latency figure.",
    )


def _figure(member: Member, levels: Sequence[str], unit: tuple[float, str]) -> Figure:
    layers = member.layers
    colours = level_colours(levels)
    traces = []
    for level in levels:
        values = layers[f"energy_{level}_pj"] / unit[0]
        if not values.any():
            continue
        traces.append(
            bar(
                y=values.tolist(),
                x0=0,
                dx=1,
                name=plain(level),
                marker={"color": colours[level], "line": GAP},
                hovertemplate=f"%{{x}}<br>{plain(level)}: %{{y:.4g}} {unit[1]}<extra></extra>",
            )
        )
    return new_figure(
        traces, "", f"energy ({unit[1]})", height=420, xaxis=layer_axis(layers), barmode="stack", bargap=0.1
    )
