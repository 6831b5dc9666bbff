"""The numbers behind the figures, for programs."""

from __future__ import annotations

import math
from dataclasses import asdict
from typing import Any

import pandas as pd

from dashboards.figures.memory_energy import energy_by_level
from dashboards.headline import savings
from dashboards.members import DESIGN_COLUMNS, ReportData, records


def report_numbers(data: ReportData) -> dict[str, Any]:
    """Headline, static designs, front members with exits and energy by level, refined designs, as plain values."""
    return {
        "study": data.results.name,
        "trials": len(data.results.trials),
        "designs": len(data.results.designs),
        "feasible_designs": len(data.feasible),
        "headline": [asdict(saving) for saving in savings(data)],
        "static_reference": {key: data.reference[key] for key in DESIGN_COLUMNS},
        "best_static": data.best_static and {key: data.best_static[key] for key in DESIGN_COLUMNS},
        "front": [
            {
                "design": member.design,
                "trial": int(member.row["trial"]),
                "headline": member.headline,
                **{key: member.row[key] for key in DESIGN_COLUMNS},
                "exit_points": _plain_rows(member.exits.drop(columns=["design", "trial"], errors="ignore")),
                "mean_energy_by_level_pj": energy_by_level(member, data.levels, mean=True),
                "worst_energy_by_level_pj": energy_by_level(member, data.levels, mean=False),
            }
            for member in data.members
        ],
        "refined": _plain_rows(data.results.refined),
    }


def _plain_rows(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Rows as plain values; what is missing or infinite becomes null."""
    rows = records(frame)
    return [
        {
            key: None if value is pd.NA or (isinstance(value, float) and not math.isfinite(value)) else value
            for key, value in row.items()
        }
        for row in rows
    ]
