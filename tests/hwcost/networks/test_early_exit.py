"""The paper's backbone as a layer table."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

from hwcost.errors import OfframpError
from hwcost.networks import (
    Precision,
    early_exit_workload,
    head_parameters,
    load_backbone,
    pool_window,
    uniform_precision,
)
from hwcost.workload import Op, Workload

# arXiv 2512.04705, companion tables: the backbone without head, BatchNorm counted with two parameters a channel.
PAPER_MACS = 195_325_952
PAPER_PARAMETERS = 1_388_288


def paper(exits: tuple[int, ...] = (), heads: tuple[str, ...] = ("fc",), bits: int = 8) -> Workload:
    return early_exit_workload(
        load_backbone("paper"), exits, heads, uniform_precision(12, bits, bits), 32, 10
    )


def block_of(name: str) -> int:
    return -1 if name == "stem" else int(name[1:].split(".")[0])


def test_totals_equal_the_papers() -> None:
    workload = paper()
    assert workload.macs[~workload.head].sum() == PAPER_MACS
    assert load_backbone("paper").parameters == PAPER_PARAMETERS


def test_every_block_equals_the_reference_table(reference_dir: Path) -> None:
    workload = paper()
    spec = load_backbone("paper")
    trunk = [i for i in range(workload.n_layers) if not workload.head[i]]
    checked = 0
    with (reference_dir / "paper_backbone.csv").open() as file:
        for row in csv.DictReader(file):
            block = -1 if row["block"] == "stem" else int(row["block"])
            upto = [i for i in trunk if block_of(workload.names[i]) <= block]
            if row["cumulative_macs"]:
                assert workload.macs[upto].sum() == int(row["cumulative_macs"])
                checked += 1
            if row["cumulative_params"]:
                stem = spec.parameters - sum(b.parameters for b in spec.blocks)
                assert stem + sum(b.parameters for b in spec.blocks[: block + 1]) == int(
                    row["cumulative_params"]
                )
            assert (f"b{block}.add" in workload.names) == (row["residual"] == "1")
    assert checked >= 11


def test_head_parameters_equal_the_published_networks(reference_dir: Path) -> None:
    spec = load_backbone("paper")
    sizes = spec.out_sizes(32)
    kinds = {"fc": "fc", "fc_hidden": "fc_hidden", "hidden": "fc_hidden"}
    with (reference_dir / "paper_models.csv").open() as file:
        for row in csv.DictReader(file):
            exits = [int(e) for e in row["exit_blocks"].split("-")]
            for block, kind, count in zip(
                exits, row["heads"].split(), row["head_params"].split(), strict=True
            ):
                channels = spec.blocks[block].out_channels
                assert head_parameters(kinds[kind], channels, sizes[block], 10) == int(count)


def test_segments_follow_the_exits() -> None:
    workload = paper((0, 4), ("fc", "gap", "fc_hidden"))
    assert workload.n_segments == 3
    ends = [i for i, name in enumerate(workload.names) if name.endswith(".fc")]
    assert [workload.names[i] for i in ends] == ["exit0.fc", "exit4.fc", "final.fc"]
    assert workload.segment[ends].tolist() == [0, 1, 2]
    assert workload.segment[[i + 1 for i in ends[:-1]]].tolist() == [1, 2]


def test_the_trunk_goes_on_behind_a_head() -> None:
    workload = paper((0,), ("fc", "fc"))
    names = workload.names
    assert workload.sources[names.index("b1.expand"), 0] == names.index("b0.project")
    assert workload.sources[names.index("exit0.pool"), 0] == names.index("b0.project")
    add = names.index("b2.add")
    assert workload.sources[add].tolist() == [names.index("b2.project"), names.index("b1.project")]


def test_bits_follow_the_blocks() -> None:
    weight = tuple([2, 3, 4, 6, 8] * 3)[:12]
    activation = tuple([8, 6, 4, 3, 2] * 3)[:12]
    precision = Precision(weight, activation, 3, 4)
    workload = early_exit_workload(
        load_backbone("paper"), (2, 5), ("gap", "fc_hidden", "fc"), precision, 32, 10
    )
    of = {name: i for i, name in enumerate(workload.names)}
    assert (workload.weight_bits[of["stem"]], workload.input_bits[of["stem"]]) == (8, 8)
    assert workload.input_bits[of["b0.depthwise"]] == 8
    assert workload.input_bits[of["b1.expand"]] == activation[0]
    assert workload.output_bits[of["b1.expand"]] == activation[1]
    assert workload.output_bits[of["b2.add"]] == activation[2]
    assert workload.output_bits[of["exit2.pool"]] == 4
    assert workload.weight_bits[of["exit2.fc"]] == 3
    assert workload.input_bits[of["exit5.hidden"]] == activation[5]
    assert workload.output_bits[of["exit5.hidden"]] == 4
    assert workload.input_bits[of["exit5.fc"]] == 4
    assert workload.weight_bits[of["final.fc"]] == 8
    assert workload.output_bits[of["final.fc"]] == 16
    weights = workload.weight_elements
    assert workload.weight_memory_bits == sum(
        int(weights[i]) * int(workload.weight_bits[i]) for i in of.values()
    )


def test_every_layer_reads_what_its_source_wrote() -> None:
    workload = paper((0, 5, 9), ("fc", "fc_hidden", "gap", "fc"), 4)
    for i in range(1, workload.n_layers):
        for source in workload.sources[i][workload.sources[i] >= 0]:
            share = 2 if workload.op[i] == Op.ADD else 1
            assert workload.input_elements[i] == share * workload.output_elements[source], workload.names[i]


@pytest.mark.parametrize("width", [0.25, 0.5, 0.75, 1.0])
def test_scaled_channels_are_multiples_of_eight(width: float) -> None:
    spec = load_backbone("paper")
    scaled = spec.scaled(width)
    for block, original in zip(scaled.blocks, spec.blocks, strict=True):
        assert block.out_channels % 8 == 0
        assert abs(block.out_channels - original.out_channels * width) <= 4
        assert block.expanded_channels == block.in_channels * original.expansion
    if width == 1.0:
        assert scaled == spec


@pytest.mark.parametrize("size", [1, 2, 4, 5, 6, 7, 8, 16, 24, 32])
def test_pooling_windows_cover_the_map(size: int) -> None:
    window = pool_window("fc", size)
    assert window.out_size == min(4, size)
    assert (window.out_size - 1) * window.stride + window.kernel == size
    assert pool_window("gap", size).out_size == 1


@pytest.mark.parametrize(
    ("exits", "heads", "word"),
    [((3, 1), ("fc",) * 3, "ascending"), ((11,), ("fc",) * 2, "exits"), ((1,), ("fc",), "2 heads"),
     ((1,), ("fc", "conv"), "head kind")],
)  # fmt: skip
def test_refuses_what_does_not_fit(exits: tuple[int, ...], heads: tuple[str, ...], word: str) -> None:
    with pytest.raises(OfframpError, match=word):
        paper(exits, heads)


def test_batch_multiplies_macs_but_not_weights() -> None:
    spec, bits = load_backbone("paper"), uniform_precision(12)
    one = early_exit_workload(spec, (), ("fc",), bits, 32, 10)
    four = early_exit_workload(spec, (), ("fc",), bits, 32, 10, batch=4)
    assert np.array_equal(four.macs, 4 * one.macs)
    assert np.array_equal(four.weight_elements, one.weight_elements)


@pytest.mark.parametrize(("before", "inside", "read"), [(8, 4, 8), (4, 8, 8), (3, 3, 3)])
def test_an_addition_reads_both_inputs_at_the_wider_width(before: int, inside: int, read: int) -> None:
    spec = load_backbone("paper")
    bits = [6] * spec.n_blocks
    bits[1], bits[2] = before, inside  # block 2 adds the output of block 1
    precision = Precision((8,) * spec.n_blocks, tuple(bits), 8, 8)
    workload = early_exit_workload(spec, (), ("fc",), precision, 32, 10)
    add = workload.names.index("b2.add")
    assert (workload.input_bits[add], workload.output_bits[add]) == (read, inside)
