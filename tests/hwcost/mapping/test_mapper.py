"""Mappings inside a core: bounds over all candidates and hand-derived numbers."""

from __future__ import annotations

import numpy as np
import pytest

from hwcost import load_accelerator
from hwcost.chip.core import ComputeCore, PeArray
from hwcost.mapping.candidates import all_candidates
from hwcost.mapping.jobs import Jobs
from hwcost.mapping.layer_mapping import LayerMapping, describe_mapping
from hwcost.mapping.loops import loop_sizes
from hwcost.mapping.mapper import map_layers
from hwcost.mapping.spatial import enumerate_spatial
from hwcost.mapping.systolic import ComputeForm
from hwcost.mapping.timing import port_cycles
from hwcost.workload import COST_COLUMNS, Layer, Op, Workload

ARRAY = PeArray((8, 8, 4, 4))


@pytest.fixture(scope="module")
def core() -> ComputeCore:
    return load_accelerator("edge_tpu_quad").compute_cores[0]


def random_layers(seed: int, n: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    layers = []
    for i in range(n):
        depthwise = rng.random() < 0.4
        side = int(rng.choice([1, 2, 4, 7, 8, 14, 16, 32]))
        window = int(rng.choice([1, 3, 5, 7])) if side > 1 else 1
        channels = [int(rng.choice([3, 8, 24, 40, 96, 144, 320, 960])) for _ in range(2)]
        bits = [int(b) for b in rng.choice([2, 3, 4, 6, 8], size=3)]
        layers.append(
            Layer(
                f"l{i}",
                Op.CONV,
                k=1 if depthwise else channels[0],
                c=1 if depthwise else channels[1],
                g=channels[0] if depthwise else 1,
                ox=side,
                oy=side,
                fx=window,
                fy=window,
                stride=int(rng.choice([1, 2])),
                weight_bits=bits[0],
                input_bits=bits[1],
                output_bits=bits[2],
            )
        )
    return Workload.from_layers(layers).cost_rows()


@pytest.mark.parametrize("array", [(8, 8, 4, 4), (32, 2, 4, 4), (16, 16, 4, 4), (3, 5, 2, 7)])
def test_no_candidate_beats_a_bound(core: ComputeCore, array: tuple[int, ...]) -> None:
    rows = random_layers(1, 40)
    arrays = np.tile(np.array(array), (len(rows), 1))
    jobs = jobs_of(core, rows, arrays)
    macs = loop_sizes(rows).prod(axis=1)
    n_usable = 0
    for found in all_candidates(core, jobs):
        usable = np.isfinite(found.latency_cycles)
        n_usable += int(usable.sum())
        layer = found.jobs.spatial.layer[found.nests.job]
        assert (found.latency_cycles >= np.ceil(macs / np.prod(array))[layer])[usable].all()
        assert (found.latency_cycles >= found.nest.cycles[-1])[usable].all()
        for port, busy in port_cycles(core, found.traffic).items():
            # rounding of averages: a relative error in the last digits
            assert (found.latency_cycles >= busy * (1 - 1e-9))[usable].all(), port
    assert n_usable >= len(rows)


def test_every_candidate_does_all_iterations(core: ComputeCore) -> None:
    rows = random_layers(2, 30)
    jobs = jobs_of(core, rows, np.tile([8, 8, 4, 4], (30, 1)))
    for found in all_candidates(core, jobs):
        nests = found.nests
        for loop in range(8):
            done = np.where(nests.loop == loop, nests.factor, 1).prod(axis=0)
            assert (done == found.jobs.spatial.temporal[nests.job, loop]).all()


def jobs_of(core: ComputeCore, rows: np.ndarray, arrays: np.ndarray) -> Jobs:
    form = ComputeForm.of(core, rows, arrays)
    return Jobs.of(core, form, enumerate_spatial(loop_sizes(form.rows), arrays, form.dimensions))


def one(core: ComputeCore, layer: Layer, objective: str) -> LayerMapping:
    return describe_mapping(core, Workload.from_layers([layer]).cost_rows()[0], ARRAY, objective)


def energy(mapping: LayerMapping, level: str) -> float:
    return mapping.energy_pj[mapping.level_names.index(level)]


def test_a_pointwise_layer_derived_by_hand(core: ComputeCore) -> None:
    # 32 -> 16 channels on 32x32, array K8 C8 OX4 OY4: 2 x 4 x 8 x 8 = 512 cycles, C innermost.
    mapping = one(core, Layer("pw", Op.CONV, k=16, c=32, ox=32, oy=32), "energy")
    assert mapping.mac_cycles == 512
    assert mapping.spatial_label == "K8 C8 OX4 OY4"
    assert mapping.temporal[0] == ("C", 4)
    # DRAM: 512 weights x 8 bit, 64 bit an access of 1000 pJ
    assert energy(mapping, "dram") == pytest.approx(512 * 8 / 64 * 1000)
    assert energy(mapping, "mac") == pytest.approx(16 * 32 * 32 * 32 * 0.04)
    sram = (
        512 * 8 / 512 * 52.01  # weights in
        + 512 * 22.9  # 64 weights of 8 bit, the whole port, each cycle
        + 512 * (8 * 16 * 8) / 2048 * 416.16  # 8 channels of 4x4 inputs each cycle
        + 16 * 1024 * 8 / 2048 * 378.4  # finished outputs out
    )
    assert energy(mapping, "sram") == pytest.approx(sram)
    register = (
        2 * 512 * 64 * 0.01  # each weight written and read once a cycle
        + 2 * 512 * 128 * 0.02  # 8x4x4 sums read and written each cycle
        + 16 * 1024 * 0.02  # finished sums read out
    )
    assert energy(mapping, "register") == pytest.approx(register)


def test_a_depthwise_layer_derived_by_hand(core: ComputeCore) -> None:
    # 32 channels, 3x3 on 32x32: G on D1, D2 idle: 4 x 9 x 8 x 8 = 2304 cycles.
    layer = Layer("dw", Op.CONV, g=32, ox=32, oy=32, fx=3, fy=3)
    mapping = one(core, layer, "latency")
    assert mapping.spatial_label == "G8 OX4 OY4"
    # first 8 weights: 1 cycle from DRAM, 1 from SRAM; last 8x4x4 sums: 1 cycle into SRAM
    assert mapping.latency_cycles == 2304 + 2 + 1
    assert one(core, layer, "energy").energy_pj[mapping.level_names.index("dram")] == pytest.approx(
        288 * 8 / 64 * 1000
    )


def test_a_layer_bound_by_its_weights(core: ComputeCore) -> None:
    # 1280 -> 10, linear: 102,400 bits of weights over 64 bit a cycle = 1600 cycles; the last ones cross the
    # weight SRAM in one cycle, are used in one, and the last sums leave in one.
    mapping = one(core, Layer("fc", Op.LINEAR, k=10, c=1280), "latency")
    assert mapping.mac_cycles == 2 * 160
    assert mapping.latency_cycles == 1600 + 1 + 1 + 1


def test_weights_that_do_not_fit_are_fetched_again_or_sums_spill(core: ComputeCore) -> None:
    # 512 -> 512 channels, 3x3 on 16x16: one K tile needs 8 x 4608 x 8 bit > 32 KiB
    mapping = one(core, Layer("big", Op.CONV, k=512, c=512, ox=16, oy=16, fx=3, fy=3), "energy")
    weights = 512 * 512 * 9 * 8
    moved = sum(a.total_bits for a in mapping.accesses if (a.memory, a.operand) == ("dram", "W"))
    sums = sum(a.total_bits for a in mapping.accesses if (a.memory, a.operand) == ("activation_sram", "O"))
    assert moved > weights or sums > 512 * 256 * 8
    assert moved >= weights


def test_objectives_are_minima(core: ComputeCore) -> None:
    rows = random_layers(3, 30)
    arrays = np.tile([16, 16, 4, 4], (30, 1))
    by = {o: map_layers(core, rows, arrays, o) for o in ("latency", "energy", "edp")}
    total = {o: costs.energy_pj.sum(axis=1) for o, costs in by.items()}
    for other in by:
        assert (by["latency"].latency_cycles <= by[other].latency_cycles).all()
        assert (total["energy"] <= total[other] * (1 + 1e-9)).all()
        product = by[other].latency_cycles * total[other]
        assert (by["edp"].latency_cycles * total["edp"] <= product * (1 + 1e-9)).all()


@pytest.mark.parametrize("column", ["weight_bits", "input_bits", "output_bits"])
def test_fewer_bits_never_cost_more(core: ComputeCore, column: str) -> None:
    rows = random_layers(4, 40)
    rows[:, COST_COLUMNS.index(column)] = 8
    fewer = rows.copy()
    fewer[:, COST_COLUMNS.index(column)] = 5
    arrays = np.tile([8, 8, 4, 4], (40, 1))
    for objective in ("latency", "energy"):
        more_cost, fewer_cost = (map_layers(core, r, arrays, objective) for r in (rows, fewer))
        if objective == "latency":
            assert (fewer_cost.latency_cycles <= more_cost.latency_cycles).all()
        else:
            assert (fewer_cost.energy_pj.sum(axis=1) <= more_cost.energy_pj.sum(axis=1) * (1 + 1e-9)).all()


def test_a_systolic_layer_derived_by_hand() -> None:
    # 64 -> 32 channels on 16x16, array K32 C32: two halves of C, 256 positions each: 512 cycles.
    tpu = load_accelerator("tpu_quad").compute_cores[0]
    row = Workload.from_layers([Layer("pw", Op.CONV, k=32, c=64, ox=16, oy=16)]).cost_rows()[0]
    mapping = describe_mapping(tpu, row, PeArray((32, 32)), "energy")
    assert mapping.mac_cycles == 512
    register = (
        2048 * 0.095  # each weight written once
        + 512 * 1024 * 0.095  # C innermost: another weight at every PE each cycle
        + 2 * 512 * 1024 * 0.021  # sums read and written at every PE each cycle
        + 256 * 1024 * 0.021  # and read out once an output, before they are added along C
    )
    assert energy(mapping, "register") == pytest.approx(register)
    sram = 512 * 32 * 8 / 2048 * 416.16 + 256 * 32 * 8 / 2048 * 378.4
    assert energy(mapping, "sram") == pytest.approx(sram)
    # 1024 weights of 8 bit start the array, 1024 more follow while it runs; 31 + 31 cycles of skew, 1 of drain
    fast = describe_mapping(tpu, row, PeArray((32, 32)), "latency")
    assert fast.fill_cycles == 1024 * 8 / 64
    assert fast.latency_cycles == 128 + 512 + 62 + 1


@pytest.mark.parametrize("batch", [1, 3])
def test_a_batch_reuses_weights(core: ComputeCore, batch: int) -> None:
    mapping = one(core, Layer("pw", Op.CONV, k=64, c=64, ox=8, oy=8, b=batch), "energy")
    moved = sum(a.total_bits for a in mapping.accesses if (a.memory, a.operand) == ("dram", "W"))
    assert moved == 64 * 64 * 8
    assert mapping.mac_cycles == batch * 8 * 8 * 2 * 2
