"""How the front grew: hypervolume after each finished trial."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import plotly.graph_objects as go

from dashboards.figures.view import View, new_figure
from dashboards.members import Member, ReportData, truths
from dashboards.palette import FRONT

WORST_EDP = 1.2
"""Reference point: accuracy 0 and 1.2 times the energy-latency product of the static reference."""


def running_area(points: Iterable[tuple[float, float]], worst_cost: float = WORST_EDP) -> list[float]:
    """Share of the box [0, 1] x [0, worst_cost] that the points so far dominate, after each point.

    Args:
        points: (accuracy to be maximised, cost to be minimised) in the order they came.
        worst_cost: Costs at or above it add nothing.
    """
    front: list[tuple[float, float]] = []  # by rising cost, and so by rising accuracy
    areas = []
    for accuracy, cost in points:
        if cost < worst_cost and not any(a >= accuracy and c <= cost for a, c in front):
            front = [(a, c) for a, c in front if not (accuracy >= a and cost <= c)]
            front = sorted([*front, (accuracy, cost)], key=lambda point: point[1])
        ends = [*(cost for _, cost in front), worst_cost][1:]
        areas.append(sum(a * (end - c) for (a, c), end in zip(front, ends, strict=True)) / worst_cost)
    return areas


def view(data: ReportData, linked: Sequence[Member]) -> View:
    """Hypervolume over trials: the study's own where `trials.csv` has it, otherwise in two dimensions."""
    trials = data.results.trials
    finished = trials[trials["state"] == "COMPLETE"] if len(trials) else trials
    own = "hypervolume" in finished.columns
    if own:
        volumes = finished["hypervolume"].astype(float).tolist()
    elif len(finished):
        feasible = truths(finished["feasible"])
        volumes = running_area(
            (float(accuracy), float(cost)) if ok else (0.0, WORST_EDP)
            for accuracy, cost, ok in zip(
                finished["accuracy"], finished["edp_relative"], feasible, strict=True
            )
        )
    else:
        volumes = []
    trace = go.Scatter(
        x=list(range(1, len(volumes) + 1)),
        y=volumes,
        mode="lines",
        line={"shape": "hv", "color": FRONT, "width": 2},
        hovertemplate="after %{x} trials: %{y:.4f}<extra></extra>",
    )
    figure = new_figure([trace], "finished trials", "hypervolume", height=280)
    figure.update_layout(showlegend=False)
    note = (
        "Share of the box to the worst point, in error, mean latency and mean energy."
        if own
        else "Share of the box to the worst point, in accuracy and mean energy-latency product: accuracy 0 and "
        f"{WORST_EDP} times the product of the static reference."
    )
    return View(
        name="hypervolume",
        title="Progress of the search",
        alt="Line: hypervolume of the front after each finished trial; higher is better.",
        figures={"all": figure},
        note=note,
        wide=True,
    )
