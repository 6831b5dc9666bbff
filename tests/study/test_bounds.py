from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hwcost.stage_costs import StageCosts
from study.bounds import Bounds
from study.hardware import StaticCost
from study.metrics import METRIC_NAMES, HardwareView
from tests.study.spaces import record

CLOCK_HZ = 5e8
STATIC = StaticCost(1e5, 2e7, 1_000_000, CLOCK_HZ, area_mm2=4.0)
HARDWARE_ONLY = ("worst_latency", "weight_memory", "area")


def stage_costs(latency, energy, exits=None, clock_hz=CLOCK_HZ, memory=800_000) -> StageCosts:
    latency, energy = np.atleast_2d(latency).astype(float), np.atleast_2d(energy).astype(float)
    return StageCosts(
        latency_cycles=latency,
        energy_pj=energy,
        energy_by_level_pj=energy[..., None],
        level_names=("sram",),
        weight_memory_bits=np.int64(memory),
        activation_memory_bits=np.int64(0),
        clock_hz=np.full(len(latency), clock_hz),
        exits=np.ones(latency.shape, dtype=bool) if exits is None else np.array(exits),
    )


VIEW = HardwareView(stage_costs([[4e4, 1.5e5], [2e4, 9e4]], [[8e6, 3e7], [1e7, 1.8e7]]), np.array([5.0, 3.0]))

# metric: a relative bound and the same one in units, then the excess of both designs of the view before training
BEFORE_TRAINING = {
    "mean_latency": (0.3, "60 us", [4e4 / 3e4 - 1, 2e4 / 3e4 - 1]),
    "mean_energy": (0.45, "9 uJ", [8 / 9 - 1, 10 / 9 - 1]),
    "mean_edp": (0.15, "0.6 uJ ms", [32 / 30 - 1, 20 / 30 - 1]),
    "worst_latency": (1.2, "240 us", [1.5 / 1.2 - 1, 0.9 / 1.2 - 1]),
    "weight_memory": (0.64, "80 kB", [0.25, 0.25]),
    "area": (1.0, "4 mm2", [0.25, -0.25]),
}


@pytest.mark.parametrize("name", METRIC_NAMES)
def test_what_is_known_before_training(name):
    if name == "error":
        bounds = [Bounds.of({name: 0.9}, STATIC).relative_to(0.2), Bounds.of({name: "18 %"}, STATIC)]
        assert [b.before_training(VIEW) for b in bounds] == [{}, {}]
        assert all(b.met_before_training(VIEW).all() for b in bounds)
        return
    relative, absolute, expected = BEFORE_TRAINING[name]
    for bound in (relative, absolute):
        bounds = Bounds.of({name: bound}, STATIC)
        excess = bounds.before_training(VIEW)
        assert list(excess) == [name]
        assert excess[name] == pytest.approx(expected)
        assert bounds.met_before_training(VIEW).tolist() == [e <= 0 for e in expected]


@pytest.mark.parametrize(
    ("name", "bound", "excess"),
    [
        ("error", "20 %", 0.25),
        ("error", "25 %", 0.0),
        ("mean_latency", "0.1 ms", 0.2),
        ("mean_latency", 0.6, 0.0),
        ("mean_latency", "50 kcycles", 0.2),
        ("mean_energy", "4 uJ", 0.25),
        ("mean_energy", 0.25, 0.0),
        ("mean_edp", "0.48 uJ ms", 0.25),
        ("mean_edp", "240 uJ kcycles", 0.25),
        ("worst_latency", "0.15 ms", 1.0),
        ("weight_memory", "1 KiB", -0.5),
        ("area", "2 mm2", 0.5),
    ],
)
def test_excess_after_training(name, bound, excess):
    one = replace(
        record(accuracy=0.75, latency=6e4, energy=5e6),
        mean_edp_pj_cycles=3e11, worst_latency_cycles=1.5e5, weight_memory_bits=4096, area_mm2=3.0,
    )  # fmt: skip
    found = Bounds.of({name: bound}, STATIC).after_training(one)
    assert list(found) == [name]
    assert found[name] == pytest.approx(excess, abs=1e-12)


def test_the_first_exit_of_each_design_counts():
    """Columns of a batch are slots; a design without the first has its least cost further on."""
    costs = stage_costs(
        [[1e4, 5e4, 9e4]] * 2, [[1e6, 2e6, 3e6]] * 2, [[True, True, True], [False, True, True]]
    )
    excess = Bounds.of({"mean_latency": "40 us"}, STATIC).before_training(HardwareView(costs, None))
    assert excess["mean_latency"] == pytest.approx([0.5 - 1, 2.5 - 1])


def test_seconds_count_whatever_the_clock():
    fast, slow = (HardwareView(stage_costs([[1e5]], [[1e7]], clock_hz=c), None) for c in (1e9, 2.5e8))
    bounds = Bounds.of({"worst_latency": "200 us"}, STATIC)
    assert bounds.before_training(fast)["worst_latency"] == pytest.approx([-0.5])
    assert bounds.before_training(slow)["worst_latency"] == pytest.approx([1.0])


def test_the_error_is_relative_to_a_reference_that_must_be_trained_first():
    bounds = Bounds.of({"error": 1.1, "area": 1.0}, STATIC)
    wrong = replace(record(accuracy=0.1), area_mm2=4.0)
    assert bounds.after_training(wrong) == {"area": 0.0}
    assert bounds.texts() == ["area at most 4 mm2", "error at most 1.1 times the static reference's"]
    known = bounds.relative_to(0.2)
    assert known.after_training(replace(wrong, accuracy=0.78)) == pytest.approx({"area": 0.0, "error": 0.0})
    assert known.after_training(wrong)["error"] == pytest.approx(0.9 / 0.22 - 1)
    assert known.texts()[1] == "error at most 22 %"
    assert known.relative_to(0.5) is known
    perfect = bounds.relative_to(0.0)
    assert perfect.after_training(replace(wrong, accuracy=1.0))["error"] < 0
    assert perfect.after_training(wrong)["error"] > 0


def test_a_design_that_is_the_reference_meets_bounds_of_one():
    """However its product is rounded."""
    static = StaticCost(34_191.37, 21_205_733.11, 1_068_872, 6e8)
    same = replace(
        record(latency=static.latency_cycles, energy=static.energy_pj),
        worst_latency_cycles=static.latency_cycles, weight_memory_bits=1_068_872, clock_hz=6e8,
    )  # fmt: skip
    names = ("mean_latency", "mean_energy", "mean_edp", "worst_latency", "weight_memory")
    assert set(Bounds.of(dict.fromkeys(names, 1.0), static).after_training(same).values()) == {0.0}


costs = st.lists(st.floats(1, 1e6), min_size=3, max_size=3).map(lambda row: np.cumsum(row))


@given(
    costs, costs, st.lists(st.floats(0, 1), min_size=3, max_size=3), st.sampled_from(sorted(BEFORE_TRAINING))
)
@settings(deadline=None)
def test_what_is_ruled_out_before_training_is_out_after_it(latency, energy, shares, name):
    """Whatever share of samples leaves where, no mean is below what the first exit costs."""
    ratio = (np.array(shares) + 1e-9) / (sum(shares) + 3e-9)
    view = HardwareView(stage_costs([latency], [energy]), np.array([3.0]))
    one = replace(
        record(latency=float(ratio @ latency), energy=float(ratio @ energy), edp=float(ratio @ (latency * energy))),
        worst_latency_cycles=float(latency[-1]), weight_memory_bits=800_000, area_mm2=3.0,
    )  # fmt: skip
    bounds = Bounds.of({name: 0.5}, STATIC)
    before, after = bounds.before_training(view)[name][0], bounds.after_training(one)[name]
    assert before <= after + 1e-9
    if name in HARDWARE_ONLY:
        assert before == pytest.approx(after)
