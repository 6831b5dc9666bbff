"""The numbers a person asks for first: how much energy-latency product is saved at how much accuracy."""

from __future__ import annotations

from dataclasses import dataclass

from dashboards.members import ReportData, records

DROPS = (0.002, 0.01, 0.02)
"""Accuracy drops against the static reference, as fractions of 1; within 0.2 points two designs count as equal."""


@dataclass(frozen=True)
class Saving:
    """The cheapest feasible design within an accuracy drop.

    Attributes:
        accuracy_drop: Largest drop allowed, as a fraction.
        edp_change: Its mean energy-latency product relative to the static reference, minus 1; None: no design.
        accuracy: Its validation accuracy.
        design: Its identifier.
        trial: The trial it comes from.
    """

    accuracy_drop: float
    edp_change: float | None = None
    accuracy: float | None = None
    design: str | None = None
    trial: int | None = None


def savings(data: ReportData, drops: tuple[float, ...] = DROPS) -> list[Saving]:
    """The best design at each accuracy drop, out of all that were evaluated and feasible."""
    designs = records(data.leading)
    found = []
    for drop in drops:
        # The reference's accuracy is a fraction of integers; the difference may miss zero by rounding alone.
        within = [row for row in designs if row["accuracy_drop"] <= drop + 1e-9]
        if not within:
            found.append(Saving(drop))
            continue
        row = min(within, key=lambda row: row["mean_edp_pj_cycles"])
        found.append(
            Saving(
                accuracy_drop=drop,
                edp_change=float(row["edp_relative"]) - 1.0,
                accuracy=float(row["accuracy"]),
                design=str(row["design"]),
                trial=int(row["trial"]),
            )
        )
    return found
