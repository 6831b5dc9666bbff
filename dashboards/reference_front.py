"""A front of others, from a table that the user names, to be drawn beside the study's own."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from hwcost.errors import OfframpError

# What a column may be called, with the factor to the unit of `pareto.csv`.
_NAMES = {
    "accuracy": {"accuracy": 1.0, "accuracy_percent": 0.01, "top1_percent": 0.01},
    "edp_relative": {"edp_relative": 1.0},
    "mean_latency_cycles": {"mean_latency_cycles": 1.0},
    "mean_energy_pj": {
        "mean_energy_pj": 1.0,
        "mean_energy_nj": 1e3,
        "mean_energy_uj": 1e6,
        "mean_energy_mj": 1e9,
    },
}
_FACTOR = "et_reduction_factor"
"""How many times the static network's product is larger: the reciprocal of `edp_relative`."""
_LABELS = ("name", "design", "exit_blocks", "exits")


@dataclass(frozen=True, eq=False)
class ReferenceFront:
    """Points of others.

    Attributes:
        name: The file's, for the legend.
        points: `name`, `accuracy` (fraction), and as far as they are given `edp_relative`, `mean_latency_cycles`,
            `mean_energy_pj`.
    """

    name: str
    points: pd.DataFrame


def load_reference_front(path: Path) -> ReferenceFront:
    """Reads a table with an accuracy and at least one cost a row.

    Raises:
        OfframpError: The file cannot be read, lacks a column, or holds what is no number.
    """
    try:
        table = pd.read_csv(path)
    except (OSError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise OfframpError(f"expected a CSV table for --reference-front, got {path.name}: {reason}") from None
    columns = {}
    for wanted, names in _NAMES.items():
        found = next((name for name in names if name in table.columns), None)
        if found is not None:
            columns[wanted] = _numbers(table, found, path.name) * names[found]
    if "edp_relative" not in columns and _FACTOR in table.columns:
        columns["edp_relative"] = 1.0 / _numbers(table, _FACTOR, path.name)
    if "accuracy" not in columns or len(columns) < 2:
        raise OfframpError(
            f"expected a column accuracy (or top1_percent) and one of edp_relative, {_FACTOR}, mean_latency_cycles, "
            f"mean_energy_pj, mean_energy_mj in {path.name}, got {', '.join(map(str, table.columns)) or 'none'}"
        )
    points = pd.DataFrame(columns)
    if not len(points) or not points["accuracy"].between(0, 1).all():
        raise OfframpError(
            f"expected accuracies of 0 to 1 (or 0 to 100 in a column named ..._percent) in {path.name}, "
            f"got {points['accuracy'].tolist()[:5]}"
        )
    label = next((name for name in _LABELS if name in table.columns), None)
    points["name"] = table[label].astype(str) if label else [f"row {i + 1}" for i in range(len(points))]
    return ReferenceFront(path.stem, points)


def _numbers(table: pd.DataFrame, column: str, file_name: str) -> pd.Series:
    values = pd.to_numeric(table[column], errors="coerce")
    wrong = ~np.isfinite(values.to_numpy(dtype=float)) | (values.to_numpy(dtype=float) < 0)
    if wrong.any():
        raise OfframpError(
            f"expected numbers of at least 0 in column {column} of {file_name}, "
            f"got {table[column][wrong].tolist()[0]!r} in row {int(np.flatnonzero(wrong)[0]) + 1}"
        )
    return values
