"""What a refinement prints: the table of all refined designs, and what the headline front gives at two accuracies."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pandas as pd
from rich.table import Table
from rich.text import Text

from study.reference import NO_LOSS
from study.summary import latency_text

_WIDE = 110

TOLERANCES = (NO_LOSS, 0.01)
"""Accuracies below the reference, as fractions of 1, for which the cheapest design is named."""


@dataclass(frozen=True)
class Pick:
    """The cheapest design of the headline front within a tolerance of the reference, both by validation.

    Attributes:
        tolerance: Largest accuracy below the static reference, as a fraction of 1.
        surely: The whole 95 % interval on validation is within it, not the mean alone.
        row: Of the table; None where no design is within it.
    """

    tolerance: float
    surely: bool
    row: dict[str, Any] | None

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values."""
        design = None if self.row is None else self.row["design"]
        return {"tolerance": self.tolerance, "surely": self.surely, "design": design}

    def text(self, split: str) -> str:
        """One line for people."""
        surely = " and its 95 % interval" if self.surely else ""
        limit = f"at most {100 * self.tolerance:g} points below the static reference by validation{surely}"
        if self.row is None:
            return f"{limit}: no design"
        row = self.row
        return (
            f"{limit}: {row['design'][:8]}, {1 - row['edp_relative']:.1%} less mean energy-latency product on the "
            f"{split} split, accuracy {-100 * row['accuracy_drop']:+.2f} points (95 % interval "
            f"{-100 * row['accuracy_drop_high']:+.2f} to {-100 * row['accuracy_drop_low']:+.2f})"
        )


def picks(refined: pd.DataFrame) -> list[Pick]:
    """What is to be quoted at each tolerance: chosen on validation, whatever came out afterwards.

    The cheapest of many designs within a tolerance is often one that was lucky with the validation images. One whose
    whole interval is within it costs more and is likelier to be within it on other images too.

    Args:
        refined: `refined.csv`.
    """
    front = refined[refined["headline"]].sort_values("validation_edp_relative")
    found = []
    for tolerance in TOLERANCES:
        for surely in (False, True):
            drop = front["validation_accuracy_drop_high" if surely else "validation_accuracy_drop"]
            rows = front[drop <= tolerance + 1e-12].to_dict("records")
            row = {str(key): value for key, value in rows[0].items()} if rows else None
            found.append(Pick(tolerance, surely, row))
    return found


def refined_table(refined: pd.DataFrame, title: str, seconds: bool, width: int) -> Table:
    """All refined designs.

    Args:
        refined: `refined.csv`.
        title: Above the table.
        seconds: Latency in seconds, as clocks differ; cycles otherwise.
        width: Columns of the terminal; a narrow one has no room for latency and energy beside their product.
    """
    table = Table(title=Text(title), title_justify="left")  # a study's name is no markup
    columns = ("design", "accuracy", "drop [95 % interval]", "latency", "energy", "EDP", "exits")
    shown = [name for name in columns if width >= _WIDE or name not in ("latency", "energy")]
    for name in shown:
        left = name in ("design", "exits")
        table.add_column(name, justify="left" if left else "right", no_wrap=name != "exits", overflow="fold")
    for index, row in enumerate(refined.to_dict("records")):
        cells = _cells({str(key): value for key, value in row.items()}, seconds)
        table.add_row(
            *(cell for name, cell in zip(columns, cells, strict=True) if name in shown),
            style="bold" if index == 0 else None,
            end_section=index == 1,
        )
    table.caption = (
        "static: the fixed reference; static*: the best static design; *: on the headline front, chosen on "
        "validation; drop: points below the static reference; exits as block:head, K the final one"
    )
    table.caption_justify = "left"
    return table


def _cells(row: dict[str, Any], seconds: bool) -> list[str]:
    names = {"static_reference": "static", "best_static": "static*"}
    name = names.get(row["role"], str(row["design"])[:8] + ("*" if row["headline"] else ""))
    spread = "" if pd.isna(row["accuracy_std"]) else f" ±{100 * row['accuracy_std']:.2f}"
    heads = str(row["heads"]).split()
    exits = [f"{block}:{head}" for block, head in zip(str(row["exits"]).split(), heads[:-1], strict=True)]
    return [
        name,
        f"{100 * row['accuracy']:.2f}{spread} %",
        f"{100 * row['accuracy_drop']:+.2f} "
        f"[{100 * row['accuracy_drop_low']:+.2f}, {100 * row['accuracy_drop_high']:+.2f}]",
        latency_text(row, "mean_latency", seconds),
        f"{row['mean_energy_pj'] / 1e6:.2f} uJ",
        f"{row['edp_relative']:.1%}",
        " ".join([*exits, f"K:{heads[-1]}"]),
    ]
