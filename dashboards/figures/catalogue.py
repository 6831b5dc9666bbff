"""All figures, in the order of the report."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from dashboards.figures import (
    bits,
    core_costs,
    exit_ratios,
    front,
    front3d,
    hypervolume,
    importance,
    layer_energy,
    layer_latency,
    memory_energy,
    network,
    parallel,
    policy,
    refined,
    reliability,
    timeline,
)
from dashboards.figures.view import View
from dashboards.members import Member, ReportData

FIGURES: tuple[Callable[[ReportData, Sequence[Member]], View], ...] = (
    front.view,
    network.view,
    policy.view,
    refined.view,
    front3d.view,
    reliability.view,
    timeline.view,
    layer_latency.view,
    layer_energy.view,
    core_costs.view,
    memory_energy.view,
    exit_ratios.view,
    bits.view,
    parallel.view,
    hypervolume.view,
    importance.view,
)
