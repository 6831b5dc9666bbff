"""Tiles of rows: what they cover and what they need."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hwcost.placement.design_costs import COLUMN
from hwcost.placement.tiles import cut_in_tiles, tile_cost_rows
from hwcost.workload import Layer, Op, Workload


def pair(side: int, stride: int, window: int) -> Workload:
    out = -(-side // stride)
    return Workload.from_layers(
        [
            Layer("a", Op.CONV, k=2, c=2, ox=side, oy=side),
            Layer("b", Op.CONV, k=2, c=2, ox=out, oy=out, fx=window, fy=window, stride=stride, ix=side,
                  iy=side, sources=(0,)),
        ]
    )  # fmt: skip


@settings(max_examples=80)
@given(
    side=st.integers(1, 20),
    stride=st.integers(1, 3),
    window=st.sampled_from([1, 3, 5, 7]),
    rows=st.integers(1, 9),
)
def test_a_tile_has_every_row_under_its_windows_and_none_comes_twice(
    side: int, stride: int, window: int, rows: int
) -> None:
    workload = pair(side, stride, window)
    tiles = cut_in_tiles(workload, rows)
    out = int(workload.oy[1])
    assert (tiles.n_tiles[1] - 1) * tiles.rows[1] + tiles.last_rows[1] == out
    assert tiles.input_rows[1].sum() == side
    padding = max(0, (out - 1) * stride + window - side) // 2
    for t in range(int(tiles.n_tiles[1])):
        last_row = min((t + 1) * int(tiles.rows[1]), out) - 1
        under = [y for y in range(last_row * stride - padding, last_row * stride - padding + window)
                 if 0 <= y < side]  # fmt: skip
        if under:
            assert tiles.needed[1][0][t] >= max(under) // int(tiles.rows[0])
    assert tiles.needed[1][0][-1] == tiles.n_tiles[0] - 1


def test_a_flattened_map_is_needed_as_a_whole() -> None:
    workload = Workload.from_layers(
        [Layer("a", Op.CONV, k=2, c=2, ox=8, oy=8), Layer("fc", Op.LINEAR, k=3, c=128, sources=(0,))]
    )
    assert cut_in_tiles(workload, 2).needed[1][0].tolist() == [3]


@pytest.mark.parametrize(("rows", "expected"), [(4, 6), (2, 4), (8, 8)])
def test_a_tile_reads_the_rows_under_its_windows_at_most_the_map(rows: int, expected: int) -> None:
    workload = pair(8, 1, 3)
    tiles = cut_in_tiles(workload, rows)
    cost_rows = tile_cost_rows(workload.cost_rows(), tiles.rows, tiles.n_tiles)
    assert cost_rows[1, COLUMN["oy"]] == rows
    assert cost_rows[1, COLUMN["iy"]] == expected


def test_one_tile_is_the_layer() -> None:
    workload = pair(9, 2, 3)
    tiles = cut_in_tiles(workload, None)
    assert np.array_equal(
        tile_cost_rows(workload.cost_rows(), tiles.rows, tiles.n_tiles), workload.cost_rows()
    )
