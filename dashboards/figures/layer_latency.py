"""Latency of each layer of the chosen design, coloured by core."""

from __future__ import annotations

from collections.abc import Sequence

from dashboards.figures.layers import core_colours, dearest_layers, hatched, layer_axis, layer_hover
from dashboards.figures.view import Figure, View, bar, new_figure
from dashboards.members import Member, ReportData
from dashboards.palette import GAP
from dashboards.text import short_names


def view(data: ReportData, linked: Sequence[Member]) -> View:
    """Bars by layer in order of execution, one colour a core."""
    layers = data.results.layers
    unit = data.latency_unit(float(layers["latency_cycles"].max()) if len(layers) else 0.0)
    colours = core_colours(data)
    return View(
        name="layer-latency",
        title="Latency by layer",
        alt="Bars: latency of each layer of the chosen design, coloured by the core that runs it.",
        alts={
            m.design: dearest_layers(m, "latency_cycles", "of the latency with all exits run") for m in linked
        },
        figures={m.design: _figure(m, colours, unit) for m in linked},
        linked=True,
        note="Each layer when it runs. Hatched: exit heads. Hover: bits of weights, input and output.",
    )


def _figure(member: Member, colours: dict[str, str], unit: tuple[float, str]) -> Figure:
    layers = member.layers.assign(hover=layer_hover(member), place=range(len(member.layers)))
    traces = []
    labels = short_names(colours, 30)
    for core, colour in colours.items():
        part = layers[layers["core"].astype(str) == core]
        if part.empty:
            continue
        traces.append(
            bar(
                x=part["place"].tolist(),
                y=(part["latency_cycles"] / unit[0]).tolist(),
                name=labels[core],
                marker={
                    "color": colour,
                    "line": GAP,
                    "pattern": hatched(part["head"]),
                },
                text=part["hover"].tolist(),
                textposition="none",
                hovertemplate=f"%{{text}}<br>%{{y:.4g}} {unit[1]} on {labels[core]}<extra></extra>",
            )
        )
    return new_figure(
        traces, "", f"latency ({unit[1]})", height=420, xaxis=layer_axis(layers), barmode="stack", bargap=0.1
    )
