"""Backbones as tables without bits."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hwcost.chip.accelerator_file import load_accelerator
from hwcost.errors import OfframpError
from hwcost.evaluate import CostModel
from hwcost.networks import (
    HEAD_KINDS,
    EarlyExitGenes,
    EarlyExitGenomes,
    Precision,
    early_exit_batch,
    early_exit_workload,
    load_backbone,
    uniform_precision,
)
from hwcost.networks.precision import PSUM_BITS
from hwcost.networks.trunk import STEM, BlockOutput, Trunk, TrunkLayer, spec_trunk, trunk_of
from hwcost.workload import Op

BITS = st.sampled_from((2, 3, 4, 6, 8))


@settings(max_examples=40, deadline=None)
@given(data=st.data(), width=st.sampled_from((0.25, 0.5, 1.0)), size=st.sampled_from((1, 8, 24, 32, 33, 64)))
def test_rows_of_the_paper_are_its_blocks(data: st.DataObject, width: float, size: int) -> None:
    """Against the block table itself: what each block reads, makes, and how many MACs and weights it has."""
    spec = load_backbone("paper").scaled(width)
    exits = tuple(sorted(data.draw(st.sets(st.sampled_from(spec.mounting_points)))))
    heads = tuple(data.draw(st.sampled_from(HEAD_KINDS)) for _ in range(len(exits) + 1))
    bits = [tuple(data.draw(BITS) for _ in range(spec.n_blocks)) for _ in range(2)]
    table = early_exit_workload(spec, exits, heads, Precision(bits[0], bits[1]), size, 10)
    at = {name: i for i, name in enumerate(table.names)}
    side = size  # the stem has no stride
    for b, block in enumerate(spec.blocks):
        before, side = side, -(-side // block.stride)
        parts = ["expand"] * block.has_expand + ["depthwise", "project"] + ["add"] * block.residual
        rows = [at[f"b{b}.{part}"] for part in parts]
        assert rows == list(range(rows[0], rows[0] + len(parts)))
        wide = block.expanded_channels
        macs = [block.in_channels * wide * before**2] * block.has_expand
        macs += [wide * block.kernel**2 * side**2, wide * block.out_channels * side**2] + [0] * block.residual
        assert table.macs[rows].tolist() == macs
        bn = 2 * (wide * block.has_expand + wide + block.out_channels)
        assert table.weight_elements[rows].sum() + bn == block.parameters
        assert set(table.output_bits[rows]) == {bits[1][b]}
        assert set(table.weight_bits[rows[: len(macs) - block.residual]]) == {bits[0][b]}
        trunk_end = at[f"b{b - 1}.{'add' if spec.blocks[b - 1].residual else 'project'}"] if b else at["stem"]
        assert table.sources[rows[0], 0] == trunk_end
        assert table.input_bits[rows[0]] == (bits[1][b - 1] if b else 8)
        assert set(table.segment[rows]) == {sum(exit_block < b for exit_block in exits)}


def gated() -> Trunk:
    """A convolution, an element-wise function, a gate from its pooled output, an addition across two blocks."""
    size = {"ox": 8, "oy": 8, "ix": 8, "iy": 8}
    return Trunk(
        "gated", 3, 8,
        (
            TrunkLayer("stem", Op.CONV, STEM, (-1,), k=4, c=3, fx=3, fy=3, **size),
            TrunkLayer("b0.conv", Op.CONV, 0, (0,), k=4, c=4, quantized=False, **size),
            TrunkLayer("b0.act", Op.POOL, 0, (1,), g=4, **size),
            TrunkLayer("b0.pool", Op.POOL, 0, (2,), g=4, fx=8, fy=8, stride=8, ix=8, iy=8),
            TrunkLayer("b0.mul", Op.ADD, 0, (3, 2), g=4, **size),
            TrunkLayer("b1.add", Op.ADD, 1, (4, 0), g=4, **size),
        ),
        (BlockOutput(4, 8, 4), BlockOutput(4, 8, 5)),
        (0,),
    )  # fmt: skip


def test_bits_of_functions_gates_and_long_skips() -> None:
    workload = early_exit_workload(gated(), (0,), ("gap", "fc"), Precision((4, 3), (6, 2), 8, 8), 8, 10)
    at = {name: i for i, name in enumerate(workload.names)}
    order = [
        "stem",
        "b0.conv",
        "b0.act",
        "b0.pool",
        "b0.mul",
        "exit0.pool",
        "exit0.fc",
        "b1.add",
        "final.pool",
    ]
    assert list(workload.names[:9]) == order
    assert workload.segment.tolist() == [0] * 7 + [1] * 3
    # What a function reads is not quantized: it comes as wide as the accumulator.
    assert workload.output_bits[at["b0.conv"]] == workload.input_bits[at["b0.act"]] == PSUM_BITS
    assert workload.output_bits[at["b0.act"]] == workload.output_bits[at["b0.pool"]] == 6
    assert workload.sources[at["b0.mul"]].tolist() == [at["b0.pool"], at["b0.act"]]
    # The skip of block 1 comes from the stem, at 8 bit; a head lies between.
    assert workload.sources[at["b1.add"]].tolist() == [at["b0.mul"], at["stem"]]
    assert workload.input_bits[at["b1.add"]] == 8
    assert workload.output_bits[at["b1.add"]] == 2
    assert workload.weight_bits.tolist()[:2] == [8, 4]
    assert workload.sources[at["exit0.pool"], 0] == at["b0.mul"]


def pooled() -> Trunk:
    """Max-pooling in the stem, as a block of its own, twice in front of a convolution, and last."""
    size = {"ox": 8, "oy": 8, "ix": 8, "iy": 8}
    pool = {"g": 4, "fx": 3, "fy": 3, "keeps_bits": True, **size}
    return Trunk(
        "pooled", 3, 8,
        (
            TrunkLayer("stem.pool", Op.POOL, STEM, (-1,), **{**pool, "g": 3}),
            TrunkLayer("b0.conv", Op.CONV, 0, (0,), k=4, c=3, **size),
            TrunkLayer("b1.pool", Op.POOL, 1, (1,), **pool),
            TrunkLayer("b2.pool1", Op.POOL, 2, (2,), **pool),
            TrunkLayer("b2.pool2", Op.POOL, 2, (3,), quantized=False, **pool),  # read by a function, that is
            TrunkLayer("b2.act", Op.POOL, 2, (4,), g=4, **size),
            TrunkLayer("b3.pool", Op.POOL, 3, (5,), **pool),
        ),
        tuple(BlockOutput(4, 8, row) for row in (1, 2, 5, 6)),
        (0, 1, 2),
    )  # fmt: skip


def test_max_pooling_writes_the_bits_it_reads() -> None:
    genes = [
        EarlyExitGenes((1, 2), ("gap", "gap", "gap"), Precision((8,) * 4, bits, 8, 8))
        for bits in ((4, 2, 6, 3), (2, 8, 3, 4))
    ]
    batch = early_exit_batch(pooled(), EarlyExitGenomes.of(pooled(), genes), 8, 10)
    for design, gene in enumerate(genes):
        first, _, third, _ = gene.precision.activation_bits
        table = early_exit_workload(pooled(), gene.exits, gene.heads, gene.precision, 8, 10)
        names = ("stem.pool", "b0.conv", "b1.pool", "exit1.pool", "b2.pool1", "b2.pool2", "b2.act", "exit2.pool",
                 "b3.pool", "final.pool")  # fmt: skip
        read = (8, 8, first, first, first, first, first, third, third, third)
        written = (8, first, first, 8, first, first, third, 8, third, 8)
        for bits in (table, batch):
            at = [(bits if bits is table else batch.template).names.index(name) for name in names]
            reads, writes = (np.atleast_2d(getattr(bits, f"{end}put_bits")) for end in ("in", "out"))
            row = design if bits is batch else 0
            assert tuple(reads[row, at]) == read
            assert tuple(writes[row, at]) == written


def test_a_block_without_layers_passes_its_input_on() -> None:
    trunk = gated()
    trunk = replace(trunk, layers=trunk.layers[:5], blocks=(trunk.blocks[0], replace(trunk.blocks[1], row=4)))
    workload = early_exit_workload(trunk, (0,), ("gap", "gap"), uniform_precision(2), 8, 10)
    mul, final = workload.names.index("b0.mul"), workload.names.index("final.pool")
    assert workload.sources[final, 0] == mul


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"blocks": ()}, "at least one block"),
        ({"mounting_points": (1,)}, "mounting points in 0..0"),
        ({"mounting_points": (0, 0)}, "mounting points"),
        ({"layers": gated().layers[::-1]}, "order of blocks"),
        ({"layers": (replace(gated().layers[0], sources=(0,)),)}, "rows before 0"),
    ],
)
def test_broken_tables_are_refused(change: dict[str, object], text: str) -> None:
    with pytest.raises(OfframpError, match=text):
        replace(gated(), **change)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("exits", "heads", "n", "text"),
    [((1,), ("fc", "fc"), 2, "exits"), ((0,), ("fc",), 2, "2 heads"), ((), ("fc",), 3, "2 blocks of gated")],
)
def test_designs_of_another_backbone_are_refused(
    exits: tuple[int, ...], heads: tuple[str, ...], n: int, text: str
) -> None:
    with pytest.raises(OfframpError, match=text):
        early_exit_workload(gated(), exits, heads, uniform_precision(n), 8, 10)


def test_a_trunk_is_of_one_image_size() -> None:
    assert trunk_of(gated(), 8) == gated()
    spec = load_backbone("paper")
    assert trunk_of(spec, 48) == spec_trunk(spec, 48)
    with pytest.raises(OfframpError, match="images of 8 pixels for gated, got 32"):
        trunk_of(gated(), 32)


def test_many_networks_on_a_trunk_are_each_network_alone() -> None:
    """Batches are laid out on the same rows; see `test_early_exit_batch` for all that holds of them."""
    genes = [
        EarlyExitGenes((0,), ("gap", "fc"), Precision((4, 3), (6, 2), 4, 6)),
        EarlyExitGenes((), ("conv1",), Precision((8, 2), (3, 8))),
    ]
    batch = early_exit_batch(gated(), EarlyExitGenomes.of(gated(), genes), 8, 10)
    chip = load_accelerator("edge_tpu_quad")
    model, allocation = CostModel(chip), np.array(chip.default_allocation)
    together = model.evaluate(batch, np.array([allocation] * 2))
    for i, gene in enumerate(genes):
        one = early_exit_workload(gated(), gene.exits, gene.heads, gene.precision, 8, 10)
        alone = model.evaluate(one, allocation[None])
        assert together.latency_cycles[i, -1] == pytest.approx(alone.latency_cycles[0, -1])
        assert together.energy_pj[i, -1] == pytest.approx(alone.energy_pj[0, -1])
