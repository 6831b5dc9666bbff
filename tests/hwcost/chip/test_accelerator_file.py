"""Presets load; broken descriptions are refused by name."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

import pytest

from hwcost import accelerator_names, load_accelerator
from hwcost.errors import OfframpError


@pytest.mark.parametrize("name", accelerator_names())
def test_presets_load(name: str) -> None:
    accelerator = load_accelerator(name)
    assert accelerator.name == name
    assert accelerator.default_n_pes <= accelerator.pe_budget


def test_the_quad_core_is_the_papers() -> None:
    accelerator = load_accelerator("edge_tpu_quad")
    assert accelerator.n_compute_cores == 4
    assert [core.default_array.label for core in accelerator.compute_cores] == ["8x8x4x4"] * 4
    assert accelerator.pe_budget == 4096
    assert accelerator.core_groups == (0, 0, 0, 0)
    counts = [array.n_pes for array in accelerator.catalogues[0]]
    assert (min(counts), max(counts)) == (64, 2048)


def edited(tmp_path: Path, old: str, new: str) -> Path:
    text = (resources.files("hwcost") / "presets" / "edge_tpu_quad.toml").read_text()
    assert old in text
    path = tmp_path / "chip.toml"
    path.write_text(text.replace(old, new, 1))
    return path


@pytest.mark.parametrize(
    ("old", "new", "word"),
    [
        ("clock_hz", "clock_mhz", "clock_"),
        ("pe_budget = 4096", "pe_budget = 4095", "pe_budget"),
        ('operands = ["W"]', 'operands = ["X"]', "operands of W, I, O"),
        ('loops = ["C"]', 'loops = ["Q"]', "loops of"),
        ('level = "register"', 'level = "cache"', "level"),
        ('default_array = "8x8x4x4"', 'default_array = "8x8x4"', "sizes"),
        ('default_array = "8x8x4x4"', 'default_array = "8 by 8"', "array such as"),
        ('per_dimensions = ["D1", "D2"]', 'per_dimensions = ["D9"]', "dimension"),
        ('activations = "onchip"', 'activations = "cloud"', "activations"),
        ("size_bits = 8\n", "size_bits = -8\n", "size_bits"),
        ("granule_bits = 64\n", "", "granule_bits"),
        ('operation = "pooling"', 'operation = "softmax"', "operation"),
        ("count = 4", "count = 4\ncount = 4", "twice"),
    ],
)
def test_a_broken_description_is_refused(tmp_path: Path, old: str, new: str, word: str) -> None:
    with pytest.raises(OfframpError, match=word):
        load_accelerator(edited(tmp_path, old, new))


def test_an_unknown_name_is_refused() -> None:
    with pytest.raises(OfframpError, match="edge_tpu_quad"):
        load_accelerator("no_such_chip")


def test_a_file_is_read_like_a_preset(tmp_path: Path) -> None:
    path = edited(tmp_path, "count = 4", "count = 2")
    assert load_accelerator(path).n_compute_cores == 2
