"""Small networks with made-up costs for the fused schedule."""

from __future__ import annotations

import numpy as np

from hwcost.chip.accelerator_file import load_accelerator
from hwcost.placement.fused_plan import FusedPlan
from hwcost.placement.routes import find_routes, place_of
from hwcost.placement.tiles import cut_in_tiles
from hwcost.workload import Layer, Op, Workload

N_CORES = 4


def random_network(rng: np.random.Generator, n_layers: int) -> Workload:
    """A chain of convolutions with strides, pooling, additions and heads in between."""
    side, channels, segment = int(rng.integers(4, 12)), int(rng.integers(1, 9)), 0
    layers: list[Layer] = []
    trunk, maps = -1, [(-1, side, channels)]
    while len(layers) < n_layers:
        i, kind = (
            len(layers),
            rng.choice(["conv", "wide", "pool", "add", "head"], p=[0.45, 0.2, 0.1, 0.15, 0.1]),
        )
        base = {"sources": (trunk,), "segment": segment}
        same = [m for m in maps if m[1:] == (side, channels) and 0 <= m[0] < trunk]
        if kind == "add" and same:
            layers.append(Layer(f"l{i}", Op.ADD, g=channels, ox=side, oy=side, weight_bits=0,
                                sources=(trunk, same[-1][0]), segment=segment))  # fmt: skip
        elif kind == "head" and trunk >= 0:
            layers.append(Layer(f"l{i}", Op.LINEAR, k=3, c=channels * side * side, head=True, **base))
            segment += 1
            continue
        elif kind == "pool" and side > 3:
            out = (side - 3) // 2 + 1
            layers.append(Layer(f"l{i}", Op.POOL, g=channels, ox=out, oy=out, fx=3, fy=3, stride=2, ix=side,
                                iy=side, weight_bits=0, **base))  # fmt: skip
            side = out
        else:
            stride, window = int(rng.choice([1, 2])), int(rng.choice([1, 3, 5]))
            out, k = -(-side // stride), int(rng.integers(1, 9)) if kind == "wide" else channels
            layers.append(Layer(f"l{i}", Op.CONV, k=k, c=channels, ox=out, oy=out, fx=window, fy=window,
                                stride=stride, ix=side, iy=side, **base))  # fmt: skip
            side, channels = out, k
        trunk = i
        maps.append((i, side, channels))
    last = layers[-1].segment
    return Workload.from_layers([layer for layer in layers if layer.segment <= last])


def random_plan(
    rng: np.random.Generator, workload: Workload, n_designs: int, tile_rows: int | None
) -> FusedPlan:
    """Costs at random on four cores that keep activations on the chip."""
    accelerator = load_accelerator("edge_tpu_quad")
    tiles = cut_in_tiles(workload, tile_rows)
    shape = n_designs, workload.n_layers, N_CORES
    weighted = workload.has_weights[:, None]
    held = np.where(weighted, rng.random(shape) < 0.6, True)
    dram = np.where(weighted & (~held | (rng.random(shape) < 0.2)), rng.integers(1, 60, shape), 0)
    bits = np.where(workload.has_weights, rng.integers(1, 60, (n_designs, workload.n_layers)), 0)

    def cycles() -> np.ndarray:
        found = rng.integers(1, 80, shape)
        return np.where(weighted, found, found[:, :, :1]).astype(float)

    return FusedPlan(
        workload=workload,
        tiles=tiles,
        routes=find_routes(accelerator),
        places=tuple(np.array(place_of(accelerator, Op(op))) for op in workload.op),
        rows=workload.cost_rows()[None],
        held=held,
        latency_cycles=cycles(),
        last_latency_cycles=cycles(),
        dram_cycles=dram.astype(float),
        last_dram_cycles=dram.astype(float),
        # nothing leaks
        energy_pj=rng.random((*shape, 6)) * [1, 1, 1, 1, 1, 0],
        operand_energy_pj=rng.random((*shape, 3)),
        load_cycles=np.where(held & weighted, rng.integers(1, 60, shape), 0).astype(float),
        load_energy_pj=np.zeros((*shape, 6)),
        weight_bits=bits.astype(float),
        room_bits=np.full((1, N_CORES), 80.0),
        kept_room_bits=np.zeros((1, N_CORES)),
        leakage_pj_per_cycle=np.zeros(n_designs),
        active=None,
        exits=np.ones((n_designs, workload.n_segments), dtype=bool),
    )


def random_options(rng: np.random.Generator, plan: FusedPlan, n: int) -> np.ndarray:
    """Assignments: (n, n_layers)."""
    return np.stack([rng.integers(0, len(places), n) for places in plan.places], axis=1)
