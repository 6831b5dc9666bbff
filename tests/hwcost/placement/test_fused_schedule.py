"""The vectorized fused schedule against an event walk in plain Python, and bounds that hold for any schedule."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hwcost.placement.fused_plan import FusedPlan
from hwcost.placement.fused_schedule import run_fused
from hwcost.workload import Op
from tests.hwcost.placement.fused_cases import N_CORES, random_network, random_options, random_plan
from tests.reference.fused_oracle import OracleLayer, OracleMachine, walk


def kept_by_size(plan: FusedPlan, design: int, option: np.ndarray) -> set[int]:
    """Layers whose weights stay: the largest first, as long as they fit what their core keeps."""
    left = plan.kept_room_bits[0].tolist()
    kept = set()
    for i in sorted(range(plan.workload.n_layers), key=lambda i: (-plan.weight_bits[design, i], i)):
        core, size = int(option[i]), float(plan.weight_bits[design, i])
        if plan.workload.has_weights[i] and plan.held[design, i, core] and size <= left[core]:
            left[core] -= size
            kept.add(i)
    return kept


def oracle_layers(plan: FusedPlan, design: int, option: np.ndarray) -> list[OracleLayer]:
    found, workload = [], plan.workload
    kept = kept_by_size(plan, design, option)
    for i in range(workload.n_layers):
        core = int(option[i])
        n = -(-int(workload.oy[i]) // int(plan.tiles.rows[i]))
        full, last = (
            float(array[design, i, core]) for array in (plan.latency_cycles, plan.last_latency_cycles)
        )
        dram, last_dram = (
            float(array[design, i, core]) for array in (plan.dram_cycles, plan.last_dram_cycles)
        )
        bits = int(workload.b[i] * workload.g[i])
        found.append(
            OracleLayer(
                core=int(plan.places[i][core]),
                held=bool(plan.held[design, i, core]),
                tile_cycles=[full] * (n - 1) + [last],
                tile_dram_cycles=[dram] * (n - 1) + [last_dram],
                load_cycles=float(plan.load_cycles[design, i, core]),
                weight_bits=float(plan.weight_bits[design, i]),
                has_weights=bool(workload.has_weights[i]),
                kept=i in kept,
                sources=[int(s) for s in workload.sources[i] if s > -2],
                tile_rows=int(plan.tiles.rows[i]),
                out_rows=int(workload.oy[i]),
                in_rows=int(workload.iy[i]),
                stride=int(workload.stride[i]),
                window=int(workload.fy[i]),
                flattens=bool(workload.op[i] == Op.LINEAR),
                out_bits_per_row=float(bits * workload.k[i] * workload.ox[i] * workload.output_bits[i]),
                in_bits_per_row=float(bits * workload.c[i] * workload.ix[i] * workload.input_bits[i]),
                segment=int(workload.segment[i]),
            )
        )
    return found


def oracle_machine(plan: FusedPlan) -> OracleMachine:
    # edge_tpu_quad: links of 32 bit, DRAM of 64; the pooling core writes 64 bit, all other ports are wider
    n_places = len(plan.routes.port)
    dram = n_places - 1

    def cycles(bits: float, sender: int, receiver: int) -> float:
        return float(-(-int(bits) // (64 if dram in (sender, receiver) else 32)))

    def port(sender: int, receiver: int) -> int | None:
        if sender == receiver:
            return None
        return 10_000 if dram in (sender, receiver) else 100 * min(sender, receiver) + max(sender, receiver)

    return OracleMachine(cycles, port, dram, 10_000, [80.0] * N_CORES)


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10**6), rows=st.sampled_from([1, 2, 3, None]), n_layers=st.integers(1, 9))
def test_it_is_what_an_event_walk_finds(seed: int, rows: int | None, n_layers: int) -> None:
    rng = np.random.default_rng(seed)
    plan = random_plan(rng, random_network(rng, n_layers), 2, rows)
    if rng.random() < 0.5:
        # designs of a batch may have no exit where the template has one
        exits = rng.random(plan.exits.shape) < 0.5
        plan = replace(plan, exits=exits)
    if rng.random() < 0.5:
        plan = replace(plan, kept_room_bits=np.full((1, N_CORES), 60.0))
    design = np.array([0, 1, 1])
    option = random_options(rng, plan, 3)
    end = run_fused(plan, design, option).end
    for row in range(3):
        layers = oracle_layers(plan, int(design[row]), option[row])
        expected = np.maximum.accumulate(walk(layers, oracle_machine(plan), list(plan.exits[design[row]])))
        assert end[row] == pytest.approx(expected)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10**6), rows=st.sampled_from([1, 2, None]))
def test_it_is_never_below_what_any_core_or_dram_has_to_do(seed: int, rows: int | None) -> None:
    rng = np.random.default_rng(seed)
    plan = random_plan(rng, random_network(rng, 8), 4, rows)
    option = random_options(rng, plan, 4)
    end = run_fused(plan, np.arange(4), option).end[:, -1]
    for d in range(4):
        layers = oracle_layers(plan, d, option[d])
        cores: dict[int, float] = {}
        dram = 0.0
        for layer in layers:
            tiles = layer.tile_cycles if layer.held else layer.tile_cycles[-1:]
            streams = layer.tile_dram_cycles if layer.held else layer.tile_dram_cycles[-1:]
            cores[layer.core] = cores.get(layer.core, 0.0) + sum(tiles)
            dram += sum(streams) + (layer.load_cycles if layer.held and not layer.kept else 0.0)
        assert end[d] >= max(*cores.values(), dram)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10**6), rows=st.sampled_from([1, 2, None]))
def test_a_layer_that_is_not_active_is_as_if_it_were_not_there(seed: int, rows: int | None) -> None:
    rng = np.random.default_rng(seed)
    workload = random_network(rng, 9)
    heads = np.flatnonzero(workload.head)
    plan = random_plan(rng, workload, 1, rows)
    option = random_options(rng, plan, 1)
    active = np.ones((1, workload.n_layers), dtype=bool)
    active[0, heads] = False
    exits = np.zeros_like(plan.exits)
    without = replace(plan, active=active, exits=exits)
    free = replace(plan, latency_cycles=plan.latency_cycles.copy(), exits=exits)
    end = run_fused(without, np.array([0]), option).end[0]
    kept = [i for i in range(workload.n_layers) if i not in heads]
    layers = oracle_layers(free, 0, option[0])
    place = {i: at for at, i in enumerate(kept)} | {-1: -1}
    alone = [replace(layers[i], sources=[place[s] for s in layers[i].sources]) for i in kept]
    if alone:
        expected = walk(alone, oracle_machine(plan), [False] * len(plan.exits[0]))
        assert end[-1] == pytest.approx(max(expected))
