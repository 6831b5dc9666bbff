"""What each core of the chosen design spends: time, and energy by memory level."""

from __future__ import annotations

from collections.abc import Sequence

from dashboards.figures.layers import core_colours
from dashboards.figures.view import Figure, Trace, View, bar, new_figure
from dashboards.members import Member, ReportData
from dashboards.palette import GAP, OTHERS, level_colours
from dashboards.text import energy_unit, percent, plain, short_names


def view(data: ReportData, linked: Sequence[Member]) -> View:
    """Two bars a core: its latency and its energy, as means over inputs."""
    drawn = [m for m in linked if len(m.layers)]
    joules = energy_unit(max((float(m.row["mean_energy_pj"]) for m in drawn), default=0.0))
    latency = data.latency_unit(max((float(m.row["mean_latency_cycles"]) for m in drawn), default=0.0))
    cores = list(core_colours(data))
    return View(
        name="core-costs",
        title="Cost by core",
        alt="Bars: mean latency and mean energy per core of the chosen design, energy by memory level.",
        linked=True,
        figures={m.design: _figure(m, data.levels, cores, latency, joules) for m in drawn},
        alts={m.design: _in_words(m) for m in drawn},
        note="Means over inputs: each layer counts by the share of inputs that run it. Left latency, right energy.",
    )


def _figure(
    member: Member,
    levels: Sequence[str],
    cores: Sequence[str],
    latency: tuple[float, str],
    joules: tuple[float, str],
) -> Figure:
    layers = member.layers
    core = layers["core"].astype(str)
    labels = list(short_names(cores, 18).values())

    def by_core(column: str, divisor: float) -> list[float]:
        sums = (layers[column] * member.layer_reach).groupby(core).sum()
        return [float(sums.get(name, 0.0)) / divisor for name in cores]

    traces: list[Trace] = [
        bar(
            orientation="h",
            y=labels,
            x=by_core("latency_cycles", latency[0]),
            showlegend=False,
            marker={"color": OTHERS, "line": GAP},
            hovertemplate=f"%{{y}}: %{{x:.4g}} {latency[1]}<extra></extra>",
        )
    ]
    colours = level_colours(levels)
    for level in levels:
        values = by_core(f"energy_{level}_pj", joules[0])
        if any(values):
            traces.append(
                bar(
                    orientation="h",
                    y=labels,
                    x=values,
                    xaxis="x2",
                    name=plain(level),
                    marker={"color": colours[level], "line": GAP},
                    hovertemplate=f"%{{y}}, {plain(level)}: %{{x:.4g}} {joules[1]}<extra></extra>",
                )
            )
    return new_figure(
        traces,
        f"mean latency ({latency[1]})",
        "",
        barmode="stack",
        bargap=0.25,
        xaxis={"domain": [0.0, 0.46]},
        xaxis2={
            "domain": [0.54, 1.0], "anchor": "y", "title": {"text": f"mean energy ({joules[1]})"}, "zeroline": False,
        },
        yaxis={"type": "category", "categoryorder": "array", "categoryarray": labels[::-1]},
    )  # fmt: skip


def _in_words(member: Member) -> str:
    energy = (
        (member.layers["energy_pj"] * member.layer_reach).groupby(member.layers["core"].astype(str)).sum()
    )
    total = float(energy.sum()) or 1.0
    parts = [f"{core} {percent(float(value) / total, 0)}" for core, value in energy.items()]
    return f"{member.label}: shares of the mean energy by core: {', '.join(parts)}"
