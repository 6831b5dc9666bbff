"""How the front grew: hypervolume after each finished trial, over trials or over time."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import pandas as pd

from dashboards.figures.view import Figure, View, new_figure, scatter
from dashboards.members import Member, ReportData, truths
from dashboards.palette import FRONT
from study.front import REFERENCE_POINT, dominated_share, nondominated
from study.metrics import metric_named

DEFAULT_CLASSES = 10
"""For environments that do not name the classes."""

MOST_POINTS = 200
"""Of the curve: a hypervolume of thousands of points takes milliseconds."""


def finished_in_order(trials: pd.DataFrame) -> pd.DataFrame:
    """The finished trials in the order in which they finished."""
    if not len(trials):
        return trials
    finished = trials[trials["state"] == "COMPLETE"]
    if "finished_seconds" in finished.columns:
        finished = finished.sort_values("finished_seconds", kind="stable")
    return finished


def running_hypervolume(data: ReportData) -> tuple[list[int], list[float]]:
    """The study's own hypervolume (`study.front`) as trials finish, out of the trials alone.

    Errors are divided by the error of chance, everything else by what the static reference has.

    Returns:
        Numbers of finished trials, evenly spread where there are more than `MOST_POINTS`, and the hypervolume after
        so many.
    """
    finished = finished_in_order(data.results.trials)
    if not len(finished):
        return [], []
    columns = [metric_named(name).column(seconds=False) for name in data.objectives]
    points = np.column_stack([_scaled(data, finished, column) for column in columns])
    counted = set(data.longest_trained(finished).index)
    feasible = truths(finished["feasible"]).to_numpy() & np.array([i in counted for i in finished.index])
    counts = np.linspace(1, len(finished), min(len(finished), MOST_POINTS)).round().astype(int).tolist()
    front = np.empty((0, len(columns)))
    volumes: list[float] = []
    for begin, end in pairwise([0, *counts]):
        fresh = points[begin:end][feasible[begin:end]]
        if len(fresh):
            front = nondominated(np.vstack([front, fresh]))
        volumes.append(dominated_share(front))
    return counts, volumes


def _scaled(data: ReportData, finished: pd.DataFrame, column: str) -> np.ndarray:
    """(n_trials,) an objective of each trial in parts of what makes it comparable."""
    if column != "error":
        return finished[column].to_numpy(dtype=float) / float(data.reference[column])
    facts = data.results.environment.get("data")
    classes = len(facts.get("classes", ())) if isinstance(facts, dict) else 0
    return (1.0 - finished["accuracy"].to_numpy(dtype=float)) / (1.0 - 1.0 / (classes or DEFAULT_CLASSES))


def view(data: ReportData, linked: Sequence[Member]) -> View:
    """A rising line; the reader picks trials or time."""
    counts, volumes = running_hypervolume(data)
    finished = finished_in_order(data.results.trials)
    figures = {"trials": _figure([float(n) for n in counts], volumes, "finished trials", "")}
    labels = {"trials": "over trials"}
    if len(finished) and "finished_seconds" in finished.columns:
        seconds = finished["finished_seconds"].to_numpy(dtype=float)[np.array(counts) - 1]
        divisor, unit = (3600.0, "h") if seconds.max() > 2 * 3600 else (60.0, "min")
        figures["time"] = _figure(
            (seconds / divisor).tolist(), volumes, f"time since the first trial ({unit})", unit
        )
        labels["time"] = "over time"
    last = f"; {volumes[-1]:.3f} after {len(finished)} trials" if volumes else ""
    return View(
        name="hypervolume",
        title="Progress of the search",
        alt=f"Line: hypervolume of the front as trials finish; higher is better{last}.",
        figures=figures,
        labels=labels,
        note=f"Share of the box in {', '.join(metric_named(name).text for name in data.objectives)} that the "
        f"feasible trials dominate; its far corner is {REFERENCE_POINT} times the error of chance and what the "
        "static reference has. Without designs derived from trained networks.",
    )


def _figure(x: list[float], volumes: list[float], title: str, unit: str) -> Figure:
    after = f"%{{x:.4g}} {unit}" if unit else "%{x} trials"
    trace = scatter(
        x=x,
        y=volumes,
        mode="lines",
        line={"shape": "hv", "color": FRONT, "width": 2},
        hovertemplate=f"after {after}: %{{y:.4f}}<extra></extra>",
    )
    room = [0, 1.03 * max(x)] if x else [0, 1]  # the last step is a vertical line
    return new_figure(
        [trace], title, "hypervolume", showlegend=False, xaxis={"range": room}, yaxis={"rangemode": "tozero"}
    )
