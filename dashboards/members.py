"""A run as figures need it: the members of the front, each with its exits and layers, and the static designs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from dashboards.reference_front import ReferenceFront
from dashboards.text import cycles_unit, percent, plain, seconds_unit, signed_percent
from hwcost.errors import OfframpError
from study.results import RunResults

DESIGN_COLUMNS = (
    "accuracy", "accuracy_drop", "mean_latency_cycles", "mean_energy_pj", "mean_edp_pj_cycles", "edp_relative",
    "worst_latency_cycles", "weight_memory_bits", "exits", "heads", "weight_bits", "activation_bits", "pe_arrays",
)  # fmt: skip
DEFAULT_OBJECTIVES = ("error", "mean_latency", "mean_energy")
"""Of studies whose configuration does not name them."""

_REQUIRED = {
    "trials": ("trial", "state", "feasible", "accuracy", "edp_relative"),
    "pareto": ("design", "trial", "headline", *DESIGN_COLUMNS),
    "designs": ("design", "trial", "feasible", *DESIGN_COLUMNS),
    "exits": ("design", "exit", "block", "head", "threshold", "ratio", "exit_accuracy", "leaving_accuracy"),
    "layers": ("design", "layer", "segment", "head", "core", "macs", "latency_cycles", "energy_pj"),
    "refined": (
        "design", "split", "role", "headline", "seeds", "accuracy", "accuracy_std", "accuracy_drop",
        "accuracy_drop_low", "accuracy_drop_high", "edp_relative", "exits", "heads", "weight_bits", "activation_bits",
        "pe_arrays",
    ),
}  # fmt: skip


@dataclass(frozen=True, eq=False)
class Member:
    """One member of the front.

    Attributes:
        number: 1 for the most accurate; what figures call it.
        row: Its row of `pareto.csv`.
        exits: Its rows of `exits.csv`, first exit first.
        layers: Its rows of `layers.csv`, in order of execution.
    """

    number: int
    row: dict[str, Any]
    exits: pd.DataFrame
    layers: pd.DataFrame

    @property
    def design(self) -> str:
        """Identifier of the design."""
        return str(self.row["design"])

    @property
    def label(self) -> str:
        """Short name on axes."""
        return f"#{self.number}"

    @property
    def headline(self) -> bool:
        """Whether it is on the front of accuracy and mean energy-latency product."""
        return bool(self.row["headline"])

    @property
    def reach(self) -> np.ndarray:
        """(n_exits,) share of inputs that run each exit's segment: those that left at no exit before."""
        ratios = self.exits["ratio"].to_numpy(dtype=float)
        return 1.0 - np.concatenate([[0.0], np.cumsum(ratios)[:-1]])

    @property
    def layer_reach(self) -> np.ndarray:
        """(n_layers,) share of inputs that run each layer."""
        if self.layers.empty or self.exits.empty:
            return np.ones(len(self.layers))
        return self.reach[self.layers["segment"].to_numpy(dtype=int)]

    @property
    def summary(self) -> str:
        """One line for lists."""
        change = signed_percent(self.row["edp_relative"] - 1.0)
        exits = plain(self.row["exits"]) or "none"
        return f"{self.label} · {percent(self.row['accuracy'])} · EDP {change} · exits {exits}"

    @property
    def spoken(self) -> str:
        """The same as a sentence, for those who listen (not escaped)."""
        change = signed_percent(self.row["edp_relative"] - 1.0)
        return (
            f"accuracy {percent(self.row['accuracy'])}, energy-latency product {change} against the static "
            f"reference, exits after blocks {self.row['exits'] or 'none'}"
        )


@dataclass(frozen=True, eq=False)
class ReportData:
    """What all figures are made from.

    Attributes:
        results: The run as read.
        members: The front, falling accuracy.
        reference: The static reference, names as in `trials.csv`.
        best_static: The best static design, likewise; None where the run has none.
        policy_curves: Design -> its rows of `policy_curves.csv`.
        reliability: Network -> its rows of `reliability.csv`.
        reference_front: A front of others to draw beside this one.
    """

    results: RunResults
    members: tuple[Member, ...]
    reference: dict[str, Any]
    best_static: dict[str, Any] | None
    policy_curves: dict[str, pd.DataFrame] = field(default_factory=dict)
    reliability: dict[str, pd.DataFrame] = field(default_factory=dict)
    reference_front: ReferenceFront | None = None

    @property
    def objectives(self) -> tuple[str, ...]:
        """What the study minimises, by the names of its configuration."""
        return tuple(self.results.config.get("search", {}).get("objectives", DEFAULT_OBJECTIVES))

    @property
    def clocks_differ(self) -> bool:
        """Whether designs, the static ones included, run at several clocks."""
        designs = self.results.designs
        if "clock_hz" not in designs or "clock_hz" not in self.reference:
            return False  # of an earlier version
        static = [row["clock_hz"] for row in (self.reference, self.best_static) if row is not None]
        return len({*designs["clock_hz"].dropna().unique(), *static}) > 1

    def latency_unit(self, largest_cycles: float) -> tuple[float, str]:
        """The unit to show latencies in: cycles, or seconds where clocks differ, as cycles of these do not compare.

        Args:
            largest_cycles: The largest of them, in cycles of the nominal clock, as all tables have it.

        Returns:
            Divisor from cycles of the nominal clock, and the unit.
        """
        if not self.clocks_differ:
            return cycles_unit(largest_cycles)
        nominal_hz = float(self.reference["clock_hz"])  # the reference runs at the nominal level
        divisor, unit = seconds_unit(largest_cycles / nominal_hz)
        return divisor * nominal_hz, unit

    @property
    def levels(self) -> list[str]:
        """Names of the memory levels that `layers.csv` breaks energy down to."""
        names = [str(c) for c in self.results.layers.columns]
        return [
            c[len("energy_") : -len("_pj")] for c in names if c.startswith("energy_") and c != "energy_pj"
        ]

    @property
    def n_blocks(self) -> int:
        """Blocks of the backbone."""
        return max((len(ints(m.row["weight_bits"])) for m in self.members), default=0)

    @property
    def feasible(self) -> pd.DataFrame:
        """The feasible rows of `designs.csv`."""
        designs = self.results.designs
        return designs[truths(designs["feasible"])] if len(designs) else designs

    @property
    def leading(self) -> pd.DataFrame:
        """The feasible designs that may be on a front: those trained as long as any of the study."""
        return self.longest_trained(self.feasible)

    def longest_trained(self, rows: pd.DataFrame) -> pd.DataFrame:
        """The rows of the last rung; all where a run has no rungs."""
        rungs = self.results.config.get("search", {}).get("rungs", ())
        if "rung" not in rows.columns or len(rungs) < 2:
            return rows
        return rows[pd.to_numeric(rows["rung"], errors="coerce") == len(rungs) - 1]


def records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Rows as dictionaries from column name to value."""
    return [{str(key): value for key, value in row.items()} for row in frame.to_dict("records")]


def truths(column: pd.Series) -> pd.Series:
    """A column of yes and no as booleans, whether pandas read it as such or, with gaps in it, as text."""
    return column.astype(str).str.lower().eq("true")


def report_data(results: RunResults, reference_front: ReferenceFront | None = None) -> ReportData:
    """Checks that the tables have the columns figures need, and sorts them by member.

    Args:
        results: The run as read.
        reference_front: A front of others to draw beside this one.

    Raises:
        OfframpError: A column or a value of the reference is missing.
    """
    for table, columns in _REQUIRED.items():
        frame: pd.DataFrame = getattr(results, table)
        missing = [c for c in columns if c not in frame.columns]
        if missing and not (frame.empty and not len(frame.columns)):
            raise OfframpError(
                f"expected the columns {', '.join(missing)} in {table}.csv, got none; write the results again with "
                f"this version of study.{'refine' if table == 'refined' else 'run'}"
            )
    absent = [c for c in DESIGN_COLUMNS if c not in results.static_reference]
    if absent:
        raise OfframpError(
            f"expected {', '.join(absent)} in static_reference.json, got none; run study.run again"
        )
    pareto = results.pareto
    if len(pareto):
        pareto = pareto.assign(headline=truths(pareto["headline"]))
        pareto = pareto.sort_values(
            ["accuracy", "mean_edp_pj_cycles"], ascending=[False, True], kind="stable"
        )
    exits, layers = _groups(results.exits, "design"), _groups(results.layers, "design")
    no_exits, no_layers = results.exits.iloc[:0], results.layers.iloc[:0]
    members = tuple(
        Member(
            number=number,
            row=row,
            exits=exits.get(str(row["design"]), no_exits),
            layers=layers.get(str(row["design"]), no_layers),
        )
        for number, row in enumerate(records(pareto), start=1)
    )
    best_static = results.static_reference.get("best_static") or None
    return ReportData(
        results=results,
        members=members,
        reference=results.static_reference,
        best_static=best_static,
        policy_curves=_groups(results.policy_curves, "design"),
        reliability=_groups(results.reliability, "architecture"),
        reference_front=reference_front,
    )


def linked_members(members: Sequence[Member], limit: int) -> list[Member]:
    """The members that get views of their own: headline members first, then by energy-latency product."""
    order = sorted(members, key=lambda m: (not m.headline, m.row["mean_edp_pj_cycles"]))
    return sorted(order[:limit], key=lambda m: m.number)


def ints(words: object) -> list[int]:
    """`"8 4 2"` as numbers."""
    return [int(word) for word in str(words).split()]


def genome_text(row: dict[str, Any]) -> str:
    """The genome in lines for hover text."""
    bits = f"{row['weight_bits']} / {row['activation_bits']}"
    return "<br>".join(
        [
            f"exits after blocks {plain(row['exits']) or 'none'}, heads {plain(row['heads'])}",
            f"weight / activation bits {plain(bits)}",
            f"PE arrays {plain(row['pe_arrays'])}"
            + (f", level {plain(row['level'])}" if row.get("level") else ""),
        ]
    )


def _groups(frame: pd.DataFrame, column: str) -> dict[str, pd.DataFrame]:
    if frame.empty:
        return {}
    return {str(name): group for name, group in frame.groupby(column, sort=False)}
