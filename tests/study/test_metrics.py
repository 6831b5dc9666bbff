from __future__ import annotations

from dataclasses import replace

import pytest

from study.metrics import METRIC_NAMES, METRICS, Objectives, metric_named
from tests.study.spaces import record

ONE = replace(
    record(accuracy=0.75, latency=200.0, energy=3e6, edp=7e8),
    worst_latency_cycles=500.0, weight_memory_bits=4096, clock_hz=1e6, area_mm2=2.5,
)  # fmt: skip

# name: (in cycles and picojoules, in seconds and joules)
EXPECTED = {
    "error": (0.25, 0.25),
    "mean_latency": (200.0, 200e-6),
    "mean_energy": (3e6, 3e-6),
    "mean_edp": (7e8, 7e-10),
    "worst_latency": (500.0, 500e-6),
    "weight_memory": (4096, 4096),
    "area": (2.5, 2.5),
}


def test_every_metric_is_expected_below():
    assert set(METRIC_NAMES) == set(EXPECTED)


@pytest.mark.parametrize("name", METRIC_NAMES)
def test_values_in_both_units(name):
    cycles, seconds = EXPECTED[name]
    assert Objectives.named([name]).values(ONE) == pytest.approx((cycles,))
    assert Objectives.named([name], seconds=True).values(ONE) == pytest.approx((seconds,))
    assert metric_named(name).of(ONE) == pytest.approx(seconds)


def test_names_have_units():
    names = Objectives(METRICS).columns
    assert names == (
        "error", "mean_latency_cycles", "mean_energy_pj", "mean_edp_pj_cycles", "worst_latency_cycles",
        "weight_memory_bits", "area_mm2",
    )  # fmt: skip
    assert Objectives(METRICS, seconds=True).columns == (
        "error", "mean_latency_seconds", "mean_energy_joules", "mean_edp_joule_seconds", "worst_latency_seconds",
        "weight_memory_bits", "area_mm2",
    )  # fmt: skip


def test_order_is_that_of_the_configuration():
    assert Objectives.named(("area", "error")).values(ONE) == (2.5, 0.25)
