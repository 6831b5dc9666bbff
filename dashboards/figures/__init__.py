"""One figure a file. Each gives a `View`: the same figure serves the report, optuna-dashboard and files."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from dashboards.figures import (
    bits,
    exit_ratios,
    front,
    hypervolume,
    layer_energy,
    layer_latency,
    memory_energy,
    network,
)
from dashboards.figures.view import View
from dashboards.members import Member, ReportData

FIGURES: tuple[Callable[[ReportData, Sequence[Member]], View], ...] = (
    front.view,
    exit_ratios.view,
    network.view,
    layer_latency.view,
    layer_energy.view,
    memory_energy.view,
    bits.view,
    hypervolume.view,
)
"""In the order of the report."""
