"""Accelerators for tests that the presets do not have."""

from __future__ import annotations

import json
import re
from importlib import resources
from pathlib import Path

PER_PE_MM2 = 0.001
ARRAYS = ["4x4x2x2", "8x8x2x2", "8x4x4x4", "8x8x4x4", "16x4x8x4"]
FIXED_MM2 = 0.25  # of each of four compute cores


def chip_with_areas(folder: Path) -> Path:
    """The preset `edge_tpu_quad` with made-up areas (1 mm2 of memories, a thousandth for each PE) and few arrays.

    With areas hardly any allocation is dominated; with all of the preset's arrays the tables had thousands of rows.
    """
    text = (resources.files("hwcost") / "presets" / "edge_tpu_quad.toml").read_text(encoding="utf-8")
    before = 'name = "edge_tpu"\n'
    assert text.count(before) == 1
    areas = f"area_mm2 = {FIXED_MM2}\narea_mm2_per_pe = {PER_PE_MM2}\n"
    text, n = re.subn(
        r"catalogue = \[.*?\]",
        f"catalogue = {json.dumps(ARRAYS)}",
        text.replace(before, before + areas),
        flags=re.S,
    )
    assert n == 1
    path = folder / "chip.toml"
    path.write_text(text, encoding="utf-8")
    return path
