"""Accelerators for tests that the presets do not have."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

PER_PE_MM2 = 0.001
FIXED_MM2 = 0.25  # of each of four compute cores


def chip_with_areas(folder: Path) -> Path:
    """The preset `edge_tpu_quad` with made-up areas: 1 mm2 of memories and a thousandth for each PE."""
    text = (resources.files("hwcost") / "presets" / "edge_tpu_quad.toml").read_text(encoding="utf-8")
    before = 'name = "edge_tpu"\n'
    assert text.count(before) == 1
    areas = f"area_mm2 = {FIXED_MM2}\narea_mm2_per_pe = {PER_PE_MM2}\n"
    path = folder / "chip.toml"
    path.write_text(text.replace(before, before + areas), encoding="utf-8")
    return path
