"""The table of layer costs."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import hwcost.cost_model as cost_model
from hwcost import load_accelerator
from hwcost.chip.accelerator import Accelerator
from hwcost.chip.core import ComputeCore
from hwcost.cost_model import LayerCostTable, resident_core
from hwcost.errors import OfframpError
from hwcost.mapping.loops import Operand
from hwcost.mapping.mapper import map_layers
from hwcost.mapping.vector_cost import vector_costs
from hwcost.placement.routes import LEVEL_NAMES
from hwcost.workload import Layer, Op, Workload
from tests.hwcost.networks.genomes import batch_of, random_genomes

FIGURES = ("latency_cycles", "energy_pj", "dram_cycles", "operand_energy_pj")
MAC = LEVEL_NAMES.index("mac")


@pytest.fixture(scope="module")
def mixed() -> Accelerator:
    return load_accelerator("heterogeneous_quad")


@pytest.fixture(scope="module")
def rows() -> np.ndarray:
    return batch_of(random_genomes(3, seed=20)).template.cost_rows()


def weighted(rows: np.ndarray) -> np.ndarray:
    return np.flatnonzero(rows[:, 0] <= Op.LINEAR)


def test_each_entry_is_what_the_mapper_says(mixed: Accelerator, rows: np.ndarray) -> None:
    found = LayerCostTable(mixed).costs(rows, "edp")
    groups = mixed.core_groups
    for i in weighted(rows)[::5]:
        for g in set(groups):
            core = mixed.compute_cores[groups.index(g)]
            for a, array in enumerate(core.catalogue):
                one = map_layers(core, rows[i : i + 1], np.array([array.sizes]), "edp")
                assert found.latency_cycles[i, g, a] == one.latency_cycles[0]
                assert found.energy_pj[i, g, a].sum() == pytest.approx(one.energy_pj[0].sum(), rel=1e-12)


def test_shorter_catalogues_end_in_infinity(mixed: Accelerator, rows: np.ndarray) -> None:
    found = LayerCostTable(mixed).costs(rows, "latency")
    own = weighted(rows)
    assert found.latency_cycles.shape[2] == mixed.max_arrays
    for g in set(mixed.core_groups):
        n = len(mixed.compute_cores[mixed.core_groups.index(g)].catalogue)
        for name in FIGURES:
            values = getattr(found, name)[own, g]
            assert np.isfinite(values[:, :n]).all()
            assert np.isinf(values[:, n:]).all()


def test_operands_share_all_but_the_macs(mixed: Accelerator, rows: np.ndarray) -> None:
    found = LayerCostTable(mixed).costs(rows, "energy")
    finite = np.isfinite(found.latency_cycles)
    memories = found.energy_pj[finite].sum(axis=1) - found.energy_pj[finite][:, MAC]
    assert np.allclose(found.operand_energy_pj[finite].sum(axis=1), memories, rtol=1e-9)


def test_pooling_and_addition_cost_the_same_everywhere(mixed: Accelerator, rows: np.ndarray) -> None:
    found = LayerCostTable(mixed).costs(rows, "latency")
    for kind in (Op.POOL, Op.ADD):
        members = np.flatnonzero(rows[:, 0] == kind)
        assert members.size
        latency, energy = vector_costs(mixed.vector_cores[mixed.vector_core_index(kind)], rows[members])
        assert (found.latency_cycles[members] == latency[:, None, None]).all()
        assert np.allclose(found.energy_pj[members][:, 0, 0].sum(axis=1), energy.sum(axis=1))
        assert not found.operand_energy_pj[members][..., Operand.W].any()
        assert not found.dram_cycles[members].any()


def test_an_addition_reads_two_maps_and_writes_one() -> None:
    chip = load_accelerator("edge_tpu_quad")
    add = Layer("a", Op.ADD, g=64, ox=8, oy=8, weight_bits=0, sources=(0, 0))
    conv = Layer("c", Op.CONV, k=64, c=8, ox=8, oy=8)
    row = Workload.from_layers([conv, add]).cost_rows()[1:]
    found = LayerCostTable(chip).costs(row, "latency")
    # 64 x 8 x 8 elements of 8 bit, 60 pJ per read of 1024 bit, 75 pJ per write of 512 bit
    assert found.operand_energy_pj[0, 0, 0, Operand.I] == pytest.approx(2 * 4096 * 8 / 1024 * 60)
    assert found.operand_energy_pj[0, 0, 0, Operand.O] == pytest.approx(4096 * 8 / 512 * 75)


@pytest.mark.parametrize("chunk", [1, 7, 1024])
def test_growing_in_any_order_gives_the_same(
    mixed: Accelerator, rows: np.ndarray, chunk: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cost_model, "CHUNK_ROWS", chunk)
    whole = LayerCostTable(mixed).costs(rows, "edp")
    table = LayerCostTable(mixed)
    order = np.random.default_rng(0).permutation(len(rows))
    for part in np.array_split(order, 4):
        table.costs(rows[part], "edp")
    # repeated rows, and other objectives in between
    table.costs(rows[:3], "latency")
    twice = table.costs(np.concatenate([rows, rows]), "edp")
    for name in FIGURES:
        expected = getattr(whole, name)
        assert np.array_equal(getattr(twice, name), np.concatenate([expected, expected]))


def test_known_layers_are_not_mapped_again(
    mixed: Accelerator, rows: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = LayerCostTable(mixed)
    table.costs(rows, "edp")

    def refuse(*_: object) -> None:
        raise AssertionError("mapped again")

    monkeypatch.setattr(cost_model, "map_layers", refuse)
    table.costs(rows[::-1], "edp")


def test_resident_weights_never_leave_the_chip() -> None:
    chip = load_accelerator("edge_tpu_quad")
    rows = Workload.from_layers([Layer("c", Op.CONV, k=32, c=16, ox=16, oy=16)]).cost_rows()
    table = LayerCostTable(chip)
    for objective in ("latency", "energy"):
        streamed, resident = (table.costs(rows, objective, weights) for weights in ("streamed", "resident"))
        dram = LEVEL_NAMES.index("dram")
        assert streamed.energy_pj[..., dram].min() > 0
        assert not resident.energy_pj[..., dram].any()
        assert not resident.dram_cycles.any()
        assert streamed.dram_cycles.min() >= 32 * 16 * 8 / 64
    assert (resident.energy_pj.sum(axis=3) < streamed.energy_pj.sum(axis=3)).all()


def test_cores_with_registers_alone_have_nothing_resident() -> None:
    chip = load_accelerator("tpu_quad")
    assert resident_core(chip.compute_cores[0]) is None
    rows = Workload.from_layers([Layer("c", Op.CONV, k=32, c=16, ox=16, oy=16)]).cost_rows()
    found = LayerCostTable(chip).costs(rows, "edp", "resident")
    for name in FIGURES:
        assert np.isinf(getattr(found, name)).all()


def test_activations_that_do_not_fit_bar_a_core(mixed: Accelerator) -> None:
    small = replace(
        mixed,
        compute_cores=tuple(
            replace(
                core,
                memories=tuple(
                    replace(m, size_bits=8 * 1024) if m.level == "sram" and Operand.I in m.operands else m
                    for m in core.memories
                ),
            )
            if core.group == mixed.compute_cores[-1].group
            else core
            for core in mixed.compute_cores
        ),
    )
    rows = Workload.from_layers([Layer("c", Op.CONV, k=16, c=16, ox=16, oy=16)]).cost_rows()
    found = LayerCostTable(small).costs(rows, "latency")
    assert np.isinf(found.latency_cycles[0, small.core_groups[-1]]).all()
    assert np.isfinite(found.latency_cycles[0, 0]).any()


def test_an_array_that_no_mapping_fits_is_not_taken(mixed: Accelerator, rows: np.ndarray) -> None:
    # a weight memory of 64 words feeds small arrays and is less than one step of a large one
    def shrunk(core: ComputeCore) -> ComputeCore:
        memories = (
            replace(m, size_bits=64 * 8) if m.level == "sram" and m.operands == (Operand.W,) else m
            for m in core.memories
        )
        return replace(core, memories=tuple(memories))

    chip = load_accelerator("edge_tpu_quad")
    tiny = replace(chip, compute_cores=tuple(shrunk(core) for core in chip.compute_cores))
    found = LayerCostTable(tiny).costs(rows[weighted(rows)], "edp")
    barred = np.isinf(found.latency_cycles)
    assert barred.any()
    assert not barred.all(axis=(1, 2)).any()
    for name in FIGURES:
        assert np.isinf(getattr(found, name)[barred]).all()
        assert np.isfinite(getattr(found, name)[~barred]).all()


@pytest.mark.parametrize(
    ("arguments", "word"),
    [(("area",), "objective"), (("edp", "cached"), "weights")],
)
def test_refuses_unknown_ways(
    mixed: Accelerator, rows: np.ndarray, arguments: tuple[str, ...], word: str
) -> None:
    with pytest.raises(OfframpError, match=word):
        LayerCostTable(mixed).costs(rows, *arguments)


def test_refuses_rows_of_another_width(mixed: Accelerator, rows: np.ndarray) -> None:
    with pytest.raises(OfframpError, match="shape"):
        LayerCostTable(mixed).costs(rows[:, :5], "edp")
