"""Cutting layers into tiles of output rows, and which tiles of a source a tile needs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hwcost.placement.design_costs import COLUMN, with_columns
from hwcost.workload import IntArray, Op, Workload


@dataclass(frozen=True, eq=False)
class Tiles:
    """Tiles of every layer of a workload; all but the last have the same rows.

    Attributes:
        rows: Output rows of a tile: (n_layers,).
        last_rows: Output rows of the last tile: (n_layers,).
        n_tiles: (n_layers,).
        needed: Per layer and source the last tile of the source that each tile needs: (n_tiles,). For the
            network's input, which arrives in pieces of what each tile adds, the tile's own index.
        input_rows: Per layer the rows of its input that each tile needs and those before did not: (n_tiles,).
    """

    rows: IntArray
    last_rows: IntArray
    n_tiles: IntArray
    needed: tuple[tuple[IntArray, ...], ...]
    input_rows: tuple[IntArray, ...]


def cut_in_tiles(workload: Workload, tile_rows: int | None) -> Tiles:
    """Cuts every layer into tiles of `tile_rows` output rows, or into one tile (None)."""
    rows = workload.oy if tile_rows is None else np.minimum(tile_rows, workload.oy)
    n_tiles = -(-workload.oy // rows)
    needed, input_rows = [], []
    for i, pair in enumerate(workload.sources):
        reach = _rows_reached(workload, i, int(rows[i]), int(n_tiles[i]))
        input_rows.append(np.diff(reach, prepend=0))
        needed.append(
            tuple(
                np.arange(n_tiles[i])
                if source < 0
                else _source_tiles(workload, i, source, reach, int(rows[source]), int(n_tiles[source]))
                for source in pair[pair > -2].tolist()
            )
        )
    return Tiles(rows, workload.oy - (n_tiles - 1) * rows, n_tiles, tuple(needed), tuple(input_rows))


def _rows_reached(workload: Workload, i: int, rows: int, n_tiles: int) -> IntArray:
    """Input rows that tiles 0..t need together: (n_tiles,)."""
    stride, window, height = int(workload.stride[i]), int(workload.fy[i]), int(workload.iy[i])
    padding = max(0, (int(workload.oy[i]) - 1) * stride + window - height) // 2
    ends = np.minimum((np.arange(n_tiles) + 1) * rows, workload.oy[i])
    reach = np.clip((ends - 1) * stride + window - padding, 1, height)
    reach[-1] = height
    return np.asarray(reach)


def _source_tiles(
    workload: Workload, i: int, source: int, reach: IntArray, rows: int, n_tiles: int
) -> IntArray:
    """Last tile of a source that each tile needs; all of it where its map is read in another form (flattened)."""
    if workload.op[i] == Op.LINEAR or workload.iy[i] != workload.oy[source]:
        return np.full(len(reach), n_tiles - 1)
    return np.asarray(np.minimum(-(-reach // rows), n_tiles) - 1)


def tile_cost_rows(rows: IntArray, tile_rows: IntArray, n_tiles: IntArray) -> IntArray:
    """Rows of `Workload.cost_rows()` for one tile of each layer.

    A tile reads the input rows under its windows, at most the whole map; where a layer is one tile nothing changes.

    Args:
        rows: (..., n_layers, n_columns).
        tile_rows: Output rows of the tile: (n_layers,).
        n_tiles: (n_layers,).
    """
    window = (tile_rows - 1) * rows[..., COLUMN["stride"]] + rows[..., COLUMN["fy"]]
    height = rows[..., COLUMN["iy"]]
    return with_columns(rows, oy=tile_rows, iy=np.where(n_tiles > 1, np.minimum(window, height), height))
