"""Points of the genes that accuracy and cost depend on most."""

from __future__ import annotations

from collections.abc import Sequence

from dashboards.figures.view import Figure, View, new_figure, scatter
from dashboards.importance import FEWEST_NETWORKS, GeneImportance, gene_importance
from dashboards.members import Member, ReportData
from dashboards.palette import FRONT
from dashboards.text import percent

MOST_GENES = 14


def view(data: ReportData, linked: Sequence[Member]) -> View:
    """The most important genes for accuracy and, by choice, for the energy-latency product."""
    found = {key: gene_importance(data, column) for key, column in _RESULTS.items()}
    known = {key: value for key, value in found.items() if value is not None}
    return View(
        name="importance",
        title="What matters",
        alt="Points: the genes that the result depends on most. "
        + "; ".join(_in_words(k, v) for k, v in known.items()),
        figures={key: _figure(value) for key, value in known.items()},
        labels={
            key: f"for {_NAMES[key]} (forest explains {percent(value.explained, 0)})"
            for key, value in known.items()
        },
        note="Permutation importance of random forests: growth of the squared error on held-out networks when one "
        "gene is shuffled, as a share of the variance; lines: standard deviation over five splits. The less a forest "
        "explains, the less its points mean.",
        absent=f"Needs feasible designs of at least {FEWEST_NETWORKS} networks.",
    )


_RESULTS = {"edp": "mean_edp_pj_cycles", "accuracy": "accuracy"}
_NAMES = {"edp": "the energy-latency product", "accuracy": "accuracy"}


def _figure(found: GeneImportance) -> Figure:
    genes = found.genes[:MOST_GENES][::-1]
    return new_figure(
        [
            scatter(
                mode="markers",
                x=[100 * value for value in found.importance[:MOST_GENES]][::-1],
                y=list(genes),
                error_x={
                    "type": "data", "array": [100 * value for value in found.spread[:MOST_GENES]][::-1],
                    "thickness": 1.2, "width": 3, "color": FRONT,
                },
                marker={"size": 8, "color": FRONT},
                hovertemplate="%{y}: %{x:.2f} % of the variance<extra></extra>",
            )
        ],
        "growth of the error (% of the variance)",
        "",
        xaxis={"zeroline": True},
        yaxis={"tickfont": {"size": 10}, "type": "category"},
        showlegend=False,
    )  # fmt: skip


def _in_words(key: str, found: GeneImportance) -> str:
    return f"For {_NAMES[key]}: {', '.join(found.genes[:3])}"
