"""Catalogues, groups, links, leakage and area of a whole chip."""

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
from hwcost.chip.core import ComputeCore, PeArray, VectorCore
from hwcost.chip.link import Link, LinkBetween
from hwcost.chip.voltage import VoltageLevel
from hwcost.errors import OfframpError
from tests.hwcost.chip import chip_text


def load(folder: Path, table: dict[str, Any]) -> Accelerator:
    path = folder / "chip.toml"
    path.write_text(chip_text.written(table))
    return load_accelerator(path)


def described(preset: str) -> tuple[ComputeCore, VectorCore]:
    """A small core and a pooling core to build chips of."""
    accelerator = load_accelerator(preset)
    core = accelerator.compute_cores[0]
    return replace(core, default_array=core.catalogue[0]), accelerator.vector_cores[0]


def mixed(folder: Path) -> Accelerator:
    """Two cores of one kind and one of another with a catalogue and number of dimensions of its own."""
    table = chip_text.values()
    del table["link_between"]
    line = dict(chip_text.values()["compute_core"][0])
    line |= {
        "name": "line",
        "count": 1,
        "compute_model": "ideal",
        "default_array": "4",
        "catalogue": ["4", "12"],
    }
    line["dimension"] = [{"name": "D1", "loops": ["G"]}]
    line["memory"][0]["per_dimensions"] = ["D1"]
    table["compute_core"].append(line)
    return load(folder, table)


def test_every_core_has_its_own_catalogue(tmp_path: Path) -> None:
    accelerator = mixed(tmp_path)
    labels = [[array.label for array in catalogue] for catalogue in accelerator.catalogues]
    assert labels == [["2x4", "4x4", "8x4"], ["2x4", "4x4", "8x4"], ["4", "12"]]
    assert accelerator.max_arrays == 3
    assert accelerator.default_allocation == (1, 1, 0)
    assert accelerator.core_groups == (0, 0, 1)
    assert accelerator.n_pes(np.array([[0, 1, 1], [2, 0, 0]])).tolist() == [[8, 16, 12], [32, 8, 4]]


def test_cores_with_a_link_of_their_own_are_not_exchanged(tmp_path: Path) -> None:
    accelerator = load(tmp_path, chip_text.values())
    assert accelerator.core_groups == (0, 1)
    own, general = accelerator.links_between[0].link, accelerator.link
    assert accelerator.link_between("array0", "pool") == accelerator.link_between("pool", "array0") == own
    assert accelerator.link_between("array1", "pool") == general
    assert accelerator.link_between("array0", "array1") == general
    assert (own.bits_per_cycle, general.bits_per_cycle) == (128, 32)
    plain = replace(accelerator, links_between=())
    assert plain.core_groups == (0, 0)
    # a link between the two themselves is the same for both
    pair = LinkBetween(("array0", "array1"), own)
    assert replace(accelerator, links_between=(pair,)).core_groups == (0, 0)


@given(st.sets(st.sampled_from([f"{a} {b}" for a in "abcd" for b in "abcdp" if a < b])))
def test_cores_of_one_group_can_be_permuted_at_will(pairs: set[str]) -> None:
    core, pool = described("edge_tpu_quad")
    names = [f"array{letter}" for letter in "abcd"]
    wide = tuple(
        LinkBetween((f"array{pair[0]}", pool.name if pair[-1] == "p" else f"array{pair[-1]}"), Link(128, 0.0))
        for pair in sorted(pairs)
    )
    accelerator = Accelerator(
        "chip", tuple(replace(core, name=name) for name in names), (pool,), core.memories[-1], Link(32, 0.0), 1000,
        (VoltageLevel("nominal", 1.0, 5e8),), links_between=wide,
    )  # fmt: skip

    def links(order: tuple[str, ...]) -> list[int]:
        ends = (*order, pool.name)
        return [accelerator.link_between(a, b).bits_per_cycle for a in ends for b in ends if a != b]

    groups = accelerator.core_groups
    for order in itertools.permutations(range(4)):
        stays = [groups[i] for i in order] == list(groups)
        same = links(tuple(names[i] for i in order)) == links(tuple(names))
        assert same or not stays
    for i, j in itertools.combinations(range(4), 2):
        swapped = list(names)
        swapped[i], swapped[j] = names[j], names[i]
        assert (links(tuple(swapped)) == links(tuple(names))) == (groups[i] == groups[j])


def test_leakage_and_area_by_hand(tmp_path: Path) -> None:
    accelerator = load(tmp_path, chip_text.values())
    # two cores of 0.25 W and 0.125 W a PE, a pooling core of 0.0625 W, 500 MHz: 1 W is 2000 pJ a cycle
    allocations = np.array([[1, 1], [0, 2]])
    watts = [0.5 + 0.125 * 32 + 0.0625, 0.5 + 0.125 * 40 + 0.0625]
    assert accelerator.leakage_pj_per_cycle(allocations) == pytest.approx([2000 * w for w in watts])
    area = accelerator.area_mm2(allocations)
    assert area is not None
    assert area == pytest.approx([4 + 16 + 0.25, 4 + 20 + 0.25])


def test_nothing_stated_leaks_nothing_and_has_no_area(tmp_path: Path) -> None:
    table = chip_text.values()
    for core in (table["compute_core"][0], table["vector_core"][0]):
        for key in ("leakage_w", "leakage_w_per_pe", "area_mm2", "area_mm2_per_pe"):
            core.pop(key, None)
    accelerator = load(tmp_path, table)
    assert accelerator.leakage_pj_per_cycle(np.array([[0, 0]])).tolist() == [0]
    assert accelerator.area_mm2(np.array([[0, 0]])) is None


def test_cores_of_one_group_are_equal(tmp_path: Path) -> None:
    accelerator = load(tmp_path, chip_text.values())
    first, second = accelerator.compute_cores
    other = replace(second, catalogue=(*second.catalogue, PeArray((4, 8))))
    with pytest.raises(OfframpError, match="equal cores in group 'array'"):
        replace(accelerator, compute_cores=(first, other))


def test_a_budget_below_the_default_arrays_is_refused(tmp_path: Path) -> None:
    with pytest.raises(OfframpError, match="32 PEs, more than the pe_budget of 31"):
        load(tmp_path, {**chip_text.values(), "pe_budget": 31})
