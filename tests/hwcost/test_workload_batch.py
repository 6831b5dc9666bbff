"""Batches of workloads against their designs one by one."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from hwcost.errors import OfframpError
from hwcost.workload import Layer, Op, Workload
from hwcost.workload_batch import WorkloadBatch
from tests.hwcost.networks.genomes import batch_of, random_genomes, single_workloads

SIZES = ("op", "b", "k", "c", "g", "ox", "oy", "fx", "fy", "stride", "ix", "iy", "weight_bits", "input_bits",
         "output_bits", "psum_bits", "segment", "head", "sources")  # fmt: skip


def test_each_design_is_the_network_it_stands_for() -> None:
    genomes = random_genomes(12, seed=1)
    batch = batch_of(genomes)
    for design, expected in enumerate(single_workloads(genomes)):
        found = batch.workload(design)
        for name in SIZES:
            assert np.array_equal(getattr(found, name), getattr(expected, name)), name


def test_memory_is_that_of_each_design() -> None:
    genomes = random_genomes(12, seed=2)
    batch = batch_of(genomes)
    singles = single_workloads(genomes)
    assert batch.weight_memory_bits.tolist() == [w.weight_memory_bits for w in singles]
    assert batch.activation_memory_bits.tolist() == [w.activation_memory_bits for w in singles]


def test_a_design_of_a_part_is_that_of_the_whole() -> None:
    batch = batch_of(random_genomes(9, seed=3))
    part = batch.take(np.array([7, 2]))
    assert part.n_designs == 2
    assert np.array_equal(part.workload(0).weight_bits, batch.workload(7).weight_bits)
    assert np.array_equal(part.workload(1).input_bits, batch.workload(2).input_bits)


def two_layers(**changes: object) -> list[Layer]:
    return [
        Layer("a", Op.CONV, k=8, c=3, ox=8, oy=8),
        replace(Layer("b", Op.LINEAR, k=8, c=8, sources=(0,)), **changes),  # type: ignore[arg-type]
    ]


def test_one_workload_is_a_batch_of_one() -> None:
    workload = Workload.from_layers(two_layers())
    batch = WorkloadBatch.of(workload)
    assert batch.n_designs == 1
    assert batch.weight_memory_bits.tolist() == [workload.weight_memory_bits]
    assert batch.exits.all()


def test_the_template_has_the_widest_bits() -> None:
    exits, active = np.ones((3, 1), dtype=bool), np.ones((3, 2), dtype=bool)
    batch = WorkloadBatch.from_layers(two_layers(weight_bits=np.array([2, 7, 4])), exits, active)
    assert batch.template.weight_bits.tolist() == [8, 7]
    assert batch.weight_bits[:, 1].tolist() == [2, 7, 4]


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"active": np.ones((3, 5), dtype=bool)}, "shape"),
        ({"active": np.array([[True, True], [True, False], [True, True]])}, "heads"),
        ({"exits": np.zeros((3, 1), dtype=bool)}, "last one"),
        ({"weight_bits": np.full((3, 2), 9, dtype=np.uint8)}, "widest weight_bits"),
        ({"input_bits": np.zeros((3, 2), dtype=np.uint8)}, "at least 1 bit in input_bits"),
    ],
)
def test_refuses_what_does_not_fit_the_template(change: dict[str, np.ndarray], word: str) -> None:
    exits, active = np.ones((3, 1), dtype=bool), np.ones((3, 2), dtype=bool)
    batch = WorkloadBatch.from_layers(two_layers(), exits, active)
    with pytest.raises(OfframpError, match=word):
        replace(batch, **change)


def test_refuses_bits_out_of_range() -> None:
    exits, active = np.ones((2, 1), dtype=bool), np.ones((2, 2), dtype=bool)
    with pytest.raises(OfframpError, match="'b'"):
        WorkloadBatch.from_layers(two_layers(weight_bits=np.array([8, 70])), exits, active)
