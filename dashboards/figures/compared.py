"""Several runs beside one another: bands over seeds, indicators, and who attains the joint front."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from statistics import median

import numpy as np

from dashboards.figures.front import staircase
from dashboards.figures.view import Figure, Trace, View, bar, cost_scale, new_figure, scatter
from dashboards.members import report_data
from dashboards.palette import GAP, STATIC, qualitative, translucent
from dashboards.text import percent, plain
from study.compare_runs import Comparison, LabelScore, RunScore
from study.results import RunResults

GRID = 160
"""Costs at which the bands of fronts are computed."""

_SYMBOLS = ("circle", "square", "diamond", "triangle-up", "cross", "x", "star", "triangle-down")


def views(comparison: Comparison, runs: Mapping[str, Sequence[RunResults]]) -> list[View]:
    """All figures of a comparison.

    Args:
        comparison: As `study.compare_runs` makes it.
        runs: The same runs by label.
    """
    colours = qualitative(label.label for label in comparison.labels)
    return [
        _fronts(runs, colours),
        _progress(comparison, colours),
        _indicators(comparison, colours),
        _attained(comparison, colours),
    ]


def band(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Lower quartile, median and upper quartile over runs; of fewer than four runs the range in place of quartiles.

    Args:
        rows: (n_runs, n_points), more is better; NaN where a run has no value yet, which counts as the worst. Left
            out, a run that comes later would pull the median of the others down. A point that half of the runs lack
            has no band; the band begins at the worst value there is.
    """
    ends = (25.0, 75.0) if len(rows) >= 4 else (0.0, 100.0)
    found = np.full((3, rows.shape[1]), np.nan)
    known = 2 * np.isfinite(rows).sum(axis=0) > len(rows)
    if known.any():
        least = np.nanmin(rows[:, known], axis=0)
        filled = np.where(np.isfinite(rows[:, known]), rows[:, known], least - 1e9)
        found[:, known] = np.maximum(np.percentile(filled, [ends[0], 50.0, ends[1]], axis=0), least)
    return found[0], found[1], found[2]


def _fronts(runs: Mapping[str, Sequence[RunResults]], colours: Mapping[str, str]) -> View:
    """Best accuracy at each cost, as a band over the runs of a label."""
    steps = {label: [_steps(run) for run in group] for label, group in runs.items()}
    costs = [cost for group in steps.values() for found, _ in group for cost in found]
    low, high = min(costs, default=1.0), max([*costs, 1.0])
    grid = np.geomspace(low, high, GRID) if cost_scale([low, high]) else np.linspace(low, high, GRID)
    traces: list[Trace] = []
    said: list[str] = []
    for label, group in steps.items():
        rows = np.array([_at(grid, *found) for found in group])
        traces += _band_traces(grid, 100 * rows, label, colours[label], "%{y:.2f} % at %{x:.3f}")
        best = [values[-1] for _, values in group if len(values)]
        cheap = [float(found[0]) for found, _ in group if len(found)]
        if best:
            said.append(
                f"{_short(label)}: from {percent(median(v[0] for _, v in group if len(v)))} at {median(cheap):.3f} "
                f"to {percent(median(best))}"
            )
    for index, members in enumerate(runs.values()):
        reference = [100 * float(run.static_reference["accuracy"]) for run in members]
        traces.append(
            scatter(
                x=[1.0] * len(reference),
                y=reference,
                mode="markers",
                name="static references",
                showlegend=index == 0,
                marker={"symbol": "diamond", "size": 10, "color": STATIC},
                hovertemplate="static reference: %{y:.2f} %<extra></extra>",
            )
        )
    return View(
        name="compared-fronts",
        title="Fronts over seeds",
        alt="Lines with bands: best accuracy at each mean energy-latency product, one band a label. Medians: "
        + _sentence(said),
        figures={
            "all": new_figure(
                traces,
                "mean energy-latency product / static reference",
                "validation accuracy (%)",
                height=460,
                xaxis=cost_scale([low, high]),
            )
        },
        note=f"Line: median over runs; band: {_band_words(runs)}. Products are relative to each run's own static "
        "reference."
        + _named(
            "Without a feasible design, the worst all along",
            [
                _run_name(label, run.name)
                for label, group in runs.items()
                for run, (found, _) in zip(group, steps[label], strict=True)
                if not len(found)
            ],
        ),
        wide=True,
    )


def _steps(run: RunResults) -> tuple[np.ndarray, np.ndarray]:
    """Costs and accuracies of a run's staircase, by rising cost."""
    line = staircase(report_data(run).leading, "edp_relative")
    return line["edp_relative"].to_numpy(dtype=float), line["accuracy"].to_numpy(dtype=float)


def _at(grid: np.ndarray, places: np.ndarray, values: np.ndarray) -> np.ndarray:
    """A rising step function at grid points; NaN before its first step."""
    if not len(places):
        return np.full(len(grid), np.nan)
    index = np.searchsorted(places, grid, side="right") - 1
    return np.where(index >= 0, values[np.maximum(index, 0)], np.nan)


def _progress(comparison: Comparison, colours: Mapping[str, str]) -> View:
    figures, labels = {}, {}
    untimed: list[str] = []
    for key, title, words in (
        ("trials", "finished trials", "over trials"),
        ("seconds", "time since the first trial (min)", "over time"),
    ):
        divisor = 60.0 if key == "seconds" else 1.0
        traces: list[Trace] = []
        for label in comparison.labels:
            lines = [
                (
                    np.array(getattr(run.trajectory, key), dtype=float) / divisor,
                    np.array(run.trajectory.hypervolume),
                )
                for run in label.runs
            ]
            if not all(np.isfinite(x).all() for x, _ in lines):
                untimed.append(_short(label.label))
                continue
            # Beyond the shortest run the band would be one of fewer runs; one without a trial is the worst all along.
            ends = [x.max() for x, _ in lines if len(x)]
            grid = np.unique(np.concatenate([x for x, _ in lines]))
            grid = grid[grid <= min(ends, default=0.0)]
            rows = np.array([_at(grid, x, values) for x, values in lines]).reshape(len(lines), len(grid))
            traces += _band_traces(grid, rows, label.label, colours[label.label], "%{y:.4f} at %{x:.4g}")
        if any(trace["x"] for trace in traces):
            longest = max(max(trace["x"], default=1.0) for trace in traces)
            axis = {"range": [0, 1.02 * longest]}  # the last step is a vertical line
            figures[key] = new_figure(traces, title, "hypervolume", height=400, xaxis=axis)
            labels[key] = words
    return View(
        name="compared-progress",
        title="Progress over seeds",
        alt="Lines with bands: hypervolume as trials finish, one band a label; higher is better. At the end: "
        + _medians(comparison, "hypervolume"),
        figures=figures,
        labels=labels,
        note="Hypervolume up to the common reference point, everything evaluated until then counted; to the end of "
        "the shortest run of a label."
        + _named(
            "Without a finished trial, the worst all along", _without(comparison, lambda r: bool(r.trials))
        )
        + _named("Without times", untimed),
        wide=True,
    )


def _indicators(comparison: Comparison, colours: Mapping[str, str]) -> View:
    figures = {
        key: _strip(comparison.labels, key, title, colours)
        for key, title in (("hypervolume", "hypervolume"), ("igd_plus", "IGD+ (less is better)"))
    }
    return View(
        name="compared-indicators",
        title="Each run",
        alt="Points: the indicator of each run by label, with the median. Hypervolume: "
        f"{_medians(comparison, 'hypervolume')} IGD+: {_medians(comparison, 'igd_plus')}",
        figures=figures,
        labels={"hypervolume": "hypervolume", "igd_plus": "IGD+"},
        note="Line: median."
        + _named(
            "Without a feasible design, so the hypervolume is 0 and IGD+ infinite, which has no point",
            _without(comparison, lambda r: bool(np.isfinite(r.igd_plus))),
        ),
    )


def _strip(labels: Sequence[LabelScore], key: str, title: str, colours: Mapping[str, str]) -> Figure:
    traces: list[Trace] = []
    for index, label in enumerate(labels):
        values = [value if np.isfinite(value) else None for value in label.values(key)]
        spread = np.linspace(-0.14, 0.14, len(values)) if len(values) > 1 else [0.0]
        traces.append(
            scatter(
                x=[index + float(shift) for shift in spread],
                y=values,
                mode="markers",
                name=plain(label.label, 24),
                marker={"size": 9, "color": colours[label.label], "symbol": _SYMBOLS[index % len(_SYMBOLS)]},
                text=[f"{plain(run.name, 40)}, seed {run.seed}" for run in label.runs],
                hovertemplate="%{text}: %{y:.4f}<extra></extra>",
                showlegend=False,
            )
        )
        middle = label.median(key)
        if np.isfinite(middle):
            traces.append(
                scatter(
                    x=[index - 0.3, index + 0.3],
                    y=[middle, middle],
                    mode="lines",
                    line={"width": 2, "color": colours[label.label]},
                    hoverinfo="skip",
                    showlegend=False,
                )
            )
    return new_figure(traces, "label", title, xaxis=_label_axis(labels))


def _attained(comparison: Comparison, colours: Mapping[str, str]) -> View:
    """For each label the mean share of its runs that have something as good as a member of the joint front."""
    labels = comparison.labels
    figure = new_figure(
        [
            bar(
                x=list(range(len(labels))),
                y=[100 * _mean_attained(label) for label in labels],
                marker={"color": [colours[label.label] for label in labels], "line": GAP},
                hovertemplate="%{y:.1f} %<extra></extra>",
            )
        ],
        "label",
        "joint front attained (%)",
        xaxis=_label_axis(labels),
        yaxis={"range": [0, 105]},
        showlegend=False,
        bargap=0.4,
    )
    return View(
        name="compared-attained",
        title="Share of the joint front",
        alt="Bars: how much of the best of all runs together a run of each label attains, on average: "
        + _sentence([f"{_short(label.label)} {percent(_mean_attained(label))}" for label in labels]),
        figures={"all": figure},
        note=f"Mean over the {len(comparison.joint_front)} members of the joint front of the share of runs that have "
        "a design as good in every objective.",
    )


def _mean_attained(label: LabelScore) -> float:
    return float(np.mean(label.attained)) if label.attained else 0.0


def _medians(comparison: Comparison, key: str) -> str:
    """The median of an indicator by label, and its range over runs, as a sentence (not escaped)."""
    parts = []
    for label in comparison.labels:
        values = label.values(key)
        spread = f" ({min(values):.4f} to {max(values):.4f})" if len(values) > 1 else ""
        parts.append(f"{_short(label.label)} {label.median(key):.4f}{spread}")
    return _sentence(parts)


def _without(comparison: Comparison, has: Callable[[RunScore], bool]) -> list[str]:
    """The runs that lack something."""
    return [
        _run_name(label.label, run.name) for label in comparison.labels for run in label.runs if not has(run)
    ]


def _run_name(label: str, name: str) -> str:
    return f"{_short(name)} of {_short(label)}"


def _named(what: str, names: Sequence[str]) -> str:
    """A further sentence of a note (not escaped); nothing where there is nothing to name."""
    return f" {what}: {', '.join(names)}." if names else ""


def _sentence(parts: Sequence[str]) -> str:
    return "; ".join(parts) + "."


def _short(label: str) -> str:
    return label if len(label) <= 40 else label[:39] + "…"


def _label_axis(labels: Sequence[LabelScore]) -> dict[str, object]:
    return {
        "tickvals": list(range(len(labels))),
        "ticktext": [plain(label.label, 24) for label in labels],
        "range": [-0.6, len(labels) - 0.4],
        "showgrid": False,
    }


def _band_traces(grid: np.ndarray, rows: np.ndarray, label: str, colour: str, hover: str) -> list[Trace]:
    """A median line, and its band where there are several runs."""
    low, middle, high = band(rows)
    known = np.isfinite(middle)
    x = grid[known].tolist()
    name = f"{plain(label, 40)} ({len(rows)} run{'' if len(rows) == 1 else 's'})"
    line = scatter(
        x=x,
        y=middle[known].tolist(),
        mode="lines",
        name=name,
        line={"width": 2, "color": colour, "shape": "hv"},
        hovertemplate=hover + f"<extra>{plain(label, 24)}</extra>",
    )
    if len(rows) < 2:
        return [line]
    # A faint area alone would be hard to see: its edges have the colour of the line.
    thin = {"width": 0.75, "shape": "hv", "color": colour}
    edge = {"mode": "lines", "line": thin, "hoverinfo": "skip", "showlegend": False}
    return [
        scatter(x=x, y=low[known].tolist(), **edge),
        scatter(x=x, y=high[known].tolist(), fill="tonexty", fillcolor=translucent(colour), **edge),
        line,
    ]


def _band_words(runs: Mapping[str, Sequence[RunResults]]) -> str:
    few = any(len(group) < 4 for group in runs.values())
    return "quartiles, of fewer than four runs the range" if few else "quartiles"
