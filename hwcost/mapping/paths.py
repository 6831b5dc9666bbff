"""What the candidates of a family have in common, worked out once: which prefixes are the same, and where they end.

The prefixes of a nest, the empty one included, are at positions 0, 1, ... of its path. What an operand needs in a
prefix depends on the levels its loops have reached, a *point*, and not on the way there; many candidates share
points. Costs are computed once for every point and looked up for candidates.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from hwcost.mapping.loops import N_LOOPS, RELEVANT, Loop, Operand
from hwcost.mapping.temporal import NestFamily, Slot
from hwcost.workload import IntArray


@dataclass(frozen=True, eq=False)
class Projection:
    """Points told apart by some loops only.

    Attributes:
        level: Levels of all loops of each distinct projection, 0 for the loops left out: (n_rows, 8).
        row: Which projection each point has: (n_points,).
    """

    level: IntArray
    row: IntArray


@dataclass(frozen=True, eq=False)
class OperandPaths:
    """One operand along all paths; positions run to n_positions - 1.

    Attributes:
        distinct: Its points.
        extended: The longest prefix that holds the same elements: (n_candidates, n_positions).
        tile: Row of the extended prefix among the tiles: (n_candidates, n_positions).
        tile_point: Point of each tile: (n_tiles,).
        tile_end: Point of each tile without the slots on top that the operand does not depend on: (n_tiles,).
        still_point: Point of the longest prefix in which the operand's word does not change: (n_candidates,).
        complete: Whether all slots it does not depend on are in a prefix: (n_candidates, n_positions) bool.
        stream: Row of each prefix among the streams: (n_candidates, n_positions).
        stream_depths: Streams by the number of slots the operand depends on, 1 and more: each has (rows, rows of the
            streams one slot shorter, points, points below the last slot).
        n_streams: Number of streams; row 0 is the empty one.
    """

    distinct: Projection
    extended: IntArray
    tile: IntArray
    tile_point: IntArray
    tile_end: IntArray
    still_point: IntArray
    complete: np.ndarray
    stream: IntArray
    stream_depths: tuple[tuple[IntArray, IntArray, IntArray, IntArray], ...]
    n_streams: int


@dataclass(frozen=True, eq=False)
class FamilyPaths:
    """Paths of a family.

    Attributes:
        level: Level of each loop at each point: (n_points, 8).
        point: Point at each position: (n_candidates, n_positions).
        operands: By operand.
        columns: Points told apart by OX and FX.
        rows: Points told apart by OY and FY.
    """

    level: IntArray
    point: IntArray
    operands: tuple[OperandPaths, ...]
    columns: Projection
    rows: Projection


@lru_cache(maxsize=1024)
def family_paths(family: NestFamily) -> FamilyPaths:
    """Works a family's paths out."""
    nests = [
        [
            (Loop(loop), low, high)
            for loop, low, high in zip(*(t[c].tolist() for t in _tables(family)), strict=True)
        ]
        for c in range(family.n_candidates)
    ]
    points: dict[tuple[int, ...], int] = {}
    path = np.zeros((len(nests), family.n_slots + 1), dtype=np.int64)
    for c, slots in enumerate(nests):
        level = [0] * N_LOOPS
        path[c, 0] = points.setdefault(tuple(level), len(points))
        for p, (loop, _, high) in enumerate(slots):
            level[loop] = max(level[loop], high)
            path[c, p + 1] = points.setdefault(tuple(level), len(points))
    levels = np.array(list(points), dtype=np.int64)
    return FamilyPaths(
        level=levels,
        point=path,
        operands=tuple(_operand_paths(operand, nests, path, levels) for operand in Operand),
        columns=_project(levels, np.isin(np.arange(N_LOOPS), (Loop.OX, Loop.FX))),
        rows=_project(levels, np.isin(np.arange(N_LOOPS), (Loop.OY, Loop.FY))),
    )


def _tables(family: NestFamily) -> tuple[IntArray, IntArray, IntArray]:
    return family.slot_loop, family.slot_low, family.slot_high


def _project(levels: IntArray, loops: np.ndarray) -> Projection:
    distinct, row = np.unique(np.where(loops, levels, 0), axis=0, return_inverse=True)
    return Projection(distinct, row.reshape(-1))


def _operand_paths(
    operand: Operand, nests: list[list[Slot]], path: IntArray, levels: IntArray
) -> OperandPaths:
    shape = path.shape
    extended, tile, stream = (np.zeros(shape, dtype=np.int64) for _ in range(3))
    complete = np.zeros(shape, dtype=bool)
    still = np.zeros(len(nests), dtype=np.int64)
    tiles: dict[tuple[int, int], int] = {}
    streams: dict[tuple[Slot, ...], int] = {(): 0}
    links: list[list[tuple[int, int, int, int]]] = []
    for c, slots in enumerate(nests):
        steps = [low != high for _, low, high in slots]
        depends = [s and bool(RELEVANT[operand, slot[0]]) for s, slot in zip(steps, slots, strict=True)]
        # end[p]: the longest prefix within p whose last slot the operand depends on
        end = [0]
        for p, here in enumerate(depends):
            end.append(p + 1 if here else end[-1])
        still[c] = path[c, end.count(0) - 1]
        others = [s and not d for s, d in zip(steps, depends, strict=True)]
        depth = 0
        for p in range(len(end)):
            last = max(q for q in range(len(end)) if end[q] == end[p])
            extended[c, p] = last
            tile[c, p] = tiles.setdefault((int(path[c, last]), int(path[c, end[p]])), len(tiles))
            complete[c, p] = not any(others[p:])
            depth += int(p > 0 and depends[p - 1])
            key = tuple(slots[: end[p]])
            if key not in streams:
                streams[key] = len(streams)
                if len(links) < depth:
                    links.append([])
                shorter = streams[tuple(slots[: end[p - 1]])]
                links[depth - 1].append((streams[key], shorter, int(path[c, p]), int(path[c, p - 1])))
            stream[c, p] = streams[key]
    depths = tuple(np.array(level, dtype=np.int64).T for level in links)
    pairs = np.array(list(tiles), dtype=np.int64)
    return OperandPaths(
        distinct=_project(levels, RELEVANT[operand]),
        extended=extended.astype(np.uint8),
        tile=tile,
        tile_point=pairs[:, 0],
        tile_end=pairs[:, 1],
        still_point=still,
        complete=complete,
        stream=stream,
        stream_depths=tuple((d[0], d[1], d[2], d[3]) for d in depths),
        n_streams=len(streams),
    )
