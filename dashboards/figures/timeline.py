"""Which layer runs when on which core, and where cores wait, with every exit run."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from dashboards.figures.layers import core_colours, hatched, layer_hover
from dashboards.figures.view import Figure, Trace, View, bar, new_figure
from dashboards.members import Member, ReportData, records
from dashboards.palette import GAP, OTHERS
from dashboards.text import percent, short_names


def view(data: ReportData, linked: Sequence[Member]) -> View:
    """Bars along time, one row a core."""
    layers = data.results.layers
    longest = (
        max((float(m.layers["latency_cycles"].sum()) for m in linked), default=0.0) if len(layers) else 0.0
    )
    unit = data.latency_unit(longest)
    colours = core_colours(data)
    return View(
        name="timeline",
        title="Timeline of cores",
        alt="Bars along time: which layer runs when on which core of the chosen design, and where cores wait.",
        linked=True,
        figures={m.design: _figure(m, colours, unit) for m in linked if len(m.layers)},
        alts={m.design: _in_words(m) for m in linked if len(m.layers)},
        note="One inference that takes no early exit. Thin grey: the core waits. Dotted: an exit decides. "
        "Hatched: heads.",
        wide=True,
    )


def layer_starts(member: Member) -> np.ndarray:
    """(n_layers,) cycle at which each layer begins; runs of earlier versions have layers one after another."""
    if "start_cycles" in member.layers.columns:
        return member.layers["start_cycles"].to_numpy(dtype=float)
    latency = member.layers["latency_cycles"].to_numpy(dtype=float)
    return np.concatenate([[0.0], latency.cumsum()[:-1]])


def waits(starts: np.ndarray, ends: np.ndarray, finish: float) -> list[tuple[float, float]]:
    """(start, end) of the times in which a core has nothing to do.

    Args:
        starts: Of its layers, in any order.
        ends: Of its layers.
        finish: When the inference ends.
    """
    found, free = [], 0.0
    for i in np.argsort(starts, kind="stable"):
        if starts[i] > free:
            found.append((free, float(starts[i])))
        free = max(free, float(ends[i]))
    if finish > free:
        found.append((free, finish))
    return found


def _figure(member: Member, colours: dict[str, str], unit: tuple[float, str]) -> Figure:
    starts = layer_starts(member)
    ends = starts + member.layers["latency_cycles"].to_numpy(dtype=float)
    finish = float(ends.max())
    placed = member.layers.assign(hover=layer_hover(member), start=starts, end=ends)
    rows = {core: placed[placed["core"].astype(str) == core] for core in colours}
    labels = short_names(colours, 18)
    traces: list[Trace] = [_waiting(rows, labels, finish, unit)]
    for core, colour in colours.items():
        part = rows[core]
        if part.empty:
            continue
        traces.append(
            bar(
                orientation="h",
                base=(part["start"] / unit[0]).tolist(),
                x=(part["latency_cycles"] / unit[0]).tolist(),
                y=[labels[core]] * len(part),
                width=0.62,
                showlegend=False,
                marker={
                    "color": colour,
                    "line": GAP,
                    "pattern": hatched(part["head"]),
                },
                text=part["hover"].tolist(),
                textposition="none",
                hovertemplate=f"%{{text}}<br>%{{x:.4g}} {unit[1]} from %{{base:.4g}}<extra></extra>",
            )
        )
    return new_figure(
        traces,
        f"time ({unit[1]})",
        "",
        height=110 + 44 * len(colours),
        margin={"l": 56, "r": 12, "t": 26, "b": 48},
        barmode="overlay",
        yaxis={"type": "category", "categoryorder": "array", "categoryarray": [*labels.values()][::-1]},
        xaxis={"range": [0, finish / unit[0]]},
        **_exit_lines(member, ends, unit),
    )


def _waiting(
    rows: dict[str, pd.DataFrame], labels: dict[str, str], finish: float, unit: tuple[float, str]
) -> Trace:
    base, length, names = [], [], []
    for core, part in rows.items():
        for start, end in waits(part["start"].to_numpy(), part["end"].to_numpy(), finish):
            base.append(start / unit[0])
            length.append((end - start) / unit[0])
            names.append(labels[core])
    return bar(
        orientation="h",
        base=base,
        x=length,
        y=names,
        width=0.1,
        showlegend=False,
        marker={"color": OTHERS, "line": {"width": 0}},
        hovertemplate=f"waits %{{x:.4g}} {unit[1]}<extra></extra>",
    )


def _exit_lines(
    member: Member, ends: np.ndarray, unit: tuple[float, str]
) -> dict[str, list[dict[str, object]]]:
    """A line where each early exit has decided, with the share that leaves."""
    segments = member.layers["segment"].to_numpy(dtype=int)
    shapes: list[dict[str, object]] = []
    notes: list[dict[str, object]] = []
    for index, row in enumerate(records(member.exits)[:-1]):
        when = float(ends[segments <= index].max()) / unit[0]
        line = {"dash": "dot", "width": 1.5}
        shapes.append(
            {"type": "line", "yref": "y domain", "y0": 0, "y1": 1, "x0": when, "x1": when, "line": line}
        )
        notes.append(
            {
                "x": when, "y": 1, "yref": "y domain", "yanchor": "bottom", "showarrow": False,
                "text": percent(row["ratio"], 0), "font": {"size": 10},
            }
        )  # fmt: skip
    return {"shapes": shapes, "annotations": notes}


def _in_words(member: Member) -> str:
    total = float(member.layers["latency_cycles"].sum()) or 1.0
    busy = member.layers.groupby(member.layers["core"].astype(str))["latency_cycles"].sum() / total
    return f"{member.label}: of all the time, " + ", ".join(
        f"{core} works {percent(float(share), 0)}" for core, share in busy.items()
    )
