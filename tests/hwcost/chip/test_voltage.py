"""A chip at another voltage and frequency."""

from __future__ import annotations

import itertools
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwcost import Accelerator, load_accelerator
from hwcost.chip.voltage import LevelChange, VoltageLevel
from hwcost.errors import OfframpError
from tests.hwcost.chip import chip_text


def chip(folder: Path, dram_clock: str = "own") -> Accelerator:
    table: dict[str, Any] = chip_text.values()
    table["dram"]["clock"] = dram_clock
    path = folder / "chip.toml"
    path.write_text(chip_text.written(table))
    return load_accelerator(path)


def test_the_file_is_at_its_nominal_level(tmp_path: Path) -> None:
    accelerator = chip(tmp_path)
    assert (accelerator.nominal_level, accelerator.level) == (1, 1)
    assert accelerator.clock_hz == 500e6
    assert accelerator.at_level(1) == accelerator
    assert [accelerator.level_index(name) for name in ("slow", "typical")] == [0, 1]
    with pytest.raises(OfframpError, match="slow, typical"):
        accelerator.level_index("fast")
    with pytest.raises(OfframpError, match=r"0\.\.1"):
        accelerator.at_level(2)


def test_half_the_voltage_at_half_the_clock_by_hand(tmp_path: Path) -> None:
    slow = chip(tmp_path).at_level(0)
    assert slow.clock_hz == 250e6
    assert (slow.nominal_level, slow.level) == (1, 0)
    core, pool = slow.compute_cores[0], slow.vector_cores[0]
    # dynamic energy x 1/4: 0.5 pJ a MAC, registers 0.5 and 0.25, 0.125 a comparison, links 0.5 and 0.25 a bit
    assert core.mac_energy_pj == 0.125
    assert (core.memories[0].read_pj, core.memories[0].write_pj) == (0.125, 0.0625)
    assert (pool.operation_energy_pj, pool.memory.read_pj) == (0.03125, 1.0)
    assert (slow.link.pj_per_bit, slow.links_between[0].link.pj_per_bit) == (0.125, 0.0625)
    # leakage power x 1/2, each cycle twice as long
    assert (core.leakage_w, core.leakage_w_per_pe, pool.leakage_w) == (0.125, 0.0625, 0.03125)
    nominal = chip(tmp_path).leakage_pj_per_cycle(np.array([[1, 1]]))
    assert slow.leakage_pj_per_cycle(np.array([[1, 1]])) == pytest.approx(nominal)
    # widths and areas stay
    assert core.memories[0].read_bits_per_cycle == 8
    assert core.area_mm2 == 2.0


@pytest.mark.parametrize(("dram_clock", "width"), [("own", 128), ("core", 64)])
def test_dram_with_a_clock_of_its_own_keeps_its_bits_per_second(
    tmp_path: Path, dram_clock: str, width: float
) -> None:
    accelerator = chip(tmp_path, dram_clock).at_level(0)
    for dram in (accelerator.dram, accelerator.compute_cores[0].memories[-1]):
        assert dram.level == "dram"
        assert (dram.read_bits_per_cycle, dram.write_bits_per_cycle) == (width, width)
        assert dram.read_pj_per_bit == pytest.approx(700 / 64)
        assert dram.write_pj_per_bit == pytest.approx(750 / 64)
        assert dram.read_granule_bits == dram.write_granule_bits == 64


def test_a_narrower_share_of_a_core_cycle_leaves_the_granule(tmp_path: Path) -> None:
    accelerator = chip(tmp_path)
    fast = VoltageLevel("fast", 1.2, 800e6)
    dram = replace(accelerator, levels=(*accelerator.levels, fast)).at_level(2).dram
    assert dram.read_bits_per_cycle == pytest.approx(40)  # 64 bits x 500 / 800 MHz
    assert dram.read_granule_bits == pytest.approx(64)
    assert dram.read_pj_per_bit == pytest.approx(700 / 64)


@given(
    st.lists(st.tuples(st.floats(0.4, 1.4), st.floats(1e8, 2e9)), min_size=2, max_size=4),
    st.sampled_from(["own", "core"]),
)
def test_by_way_of_another_level_is_the_same(pairs: list[tuple[float, float]], dram_clock: str) -> None:
    levels = [VoltageLevel(str(i), volts, hz) for i, (volts, hz) in enumerate(pairs)]
    direct = LevelChange.between(levels[0], levels[-1], dram_clock)
    energy = leakage = cycles = 1.0
    for old, new in itertools.pairwise(levels):
        step = LevelChange.between(old, new, dram_clock)
        energy, leakage, cycles = energy * step.energy, leakage * step.leakage, cycles * step.dram_cycles
    assert (direct.energy, direct.leakage, direct.dram_cycles) == pytest.approx((energy, leakage, cycles))
