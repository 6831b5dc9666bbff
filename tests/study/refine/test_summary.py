"""What a refinement prints."""

from __future__ import annotations

import io
from pathlib import Path

import pandas as pd
import pytest
from rich.console import Console

from study.refine.summary import refined_table

PUBLISHED = Path(__file__).resolve().parents[3] / "docs" / "results" / "cifar10-cpu" / "refined.csv"


@pytest.mark.parametrize("width", [80, 110, 160])
def test_every_design_can_be_told_at_any_width(width: int) -> None:
    refined = pd.read_csv(PUBLISHED).fillna({"exits": ""}).head(12)
    console = Console(file=io.StringIO(), width=width)
    console.print(refined_table(refined, "refined", seconds=False, width=console.width))
    lines = console.file.getvalue().splitlines()
    for row in refined.iloc[2:].itertuples():
        (line,) = [line for line in lines if row.design[:8] in line]
        for shown in (
            f"{100 * row.accuracy:.2f}",
            f"{100 * row.accuracy_drop_high:+.2f}]",
            f"{row.edp_relative:.1%}",
        ):
            assert shown in line
        assert str(row.exits).split()[0] + ":" in line
        assert (" uJ" in line) is (width >= 110)
    assert any("static*" in line for line in lines)


def test_a_name_in_brackets_is_no_markup() -> None:
    refined = pd.read_csv(PUBLISHED).fillna({"exits": ""}).head(3)
    console = Console(file=io.StringIO(), width=160)
    console.print(refined_table(refined, "run [w4a8] [/old]", seconds=False, width=console.width))
    assert "run [w4a8] [/old]" in console.file.getvalue()
