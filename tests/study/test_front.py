from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from study.front import REFERENCE_POINT, headline_front, hypervolume, nondominated, objective_front
from study.hardware import StaticCost
from tests.reference import pareto_oracle
from tests.study.spaces import CLOCK_HZ, OBJECTIVES, record

STATIC = StaticCost(latency_cycles=100.0, energy_pj=1000.0, weight_memory_bits=1, clock_hz=CLOCK_HZ)

# Few values, so that equal objectives and equal points are everywhere.
records = st.lists(
    st.builds(
        record,
        st.sampled_from((0.1, 0.5, 0.7, 0.9, 1.0)),
        st.sampled_from((10.0, 50.0, 100.0, 119.0, 120.0, 300.0)),
        st.sampled_from((100.0, 700.0, 1000.0, 1300.0)),
        feasible=st.sampled_from((True, True, True, False)),
        trained=st.sampled_from((True, True, True, False)),
        edp=st.sampled_from((1.0, 2.0, 3.0)),
    ),
    max_size=9,
)


def usable(designs):
    return [r for r in designs if r.feasible and r.trained]


@given(records)
@settings(max_examples=300, deadline=None)
def test_objective_front_against_a_plain_loop(designs):
    chosen = objective_front(designs, OBJECTIVES)
    points = [OBJECTIVES.values(designs[i]) for i in chosen]
    assert len(points) == len(set(points))
    assert set(points) == pareto_oracle.front([OBJECTIVES.values(r) for r in usable(designs)])
    assert all(designs[i].feasible and designs[i].trained for i in chosen)
    # Of equal designs the first stands for all, so a longer study does not exchange them.
    assert all(
        OBJECTIVES.values(designs[i]) not in [OBJECTIVES.values(r) for r in usable(designs[:i])]
        for i in chosen
    )


@given(records)
@settings(max_examples=300, deadline=None)
def test_headline_front_against_a_plain_loop(designs):
    chosen = headline_front(designs)
    points = [(-designs[i].accuracy, designs[i].mean_edp_pj_cycles) for i in chosen]
    assert set(points) == pareto_oracle.front([(-r.accuracy, r.mean_edp_pj_cycles) for r in usable(designs)])
    assert len(points) == len(set(points))
    assert points == sorted(points)  # by falling accuracy, so by falling cost


@given(records)
@settings(max_examples=200, deadline=None)
def test_hypervolume_against_inclusion_and_exclusion(designs):
    scaled = [
        (r.error / 0.9, r.mean_latency_cycles / 100.0, r.mean_energy_pj / 1000.0) for r in usable(designs)
    ]
    plain = pareto_oracle.hypervolume(scaled, (REFERENCE_POINT,) * 3) / REFERENCE_POINT**3
    assert hypervolume(designs, OBJECTIVES, STATIC, classes=10) == pytest.approx(plain, abs=1e-12)


def test_hypervolume_of_known_boxes():
    # Half the error of chance, half the latency, half the energy: the box is (1.2 - 0.5)^3 of 1.2^3.
    half = record(accuracy=0.55, latency=50.0, energy=500.0)
    assert hypervolume([half], OBJECTIVES, STATIC, classes=10) == pytest.approx((0.7 / 1.2) ** 3)
    assert hypervolume([half, half], OBJECTIVES, STATIC, classes=10) == pytest.approx((0.7 / 1.2) ** 3)
    assert hypervolume([], OBJECTIVES, STATIC, classes=10) == 0.0
    assert (
        hypervolume([record(latency=120.0)], OBJECTIVES, STATIC, classes=10) == 0.0
    )  # on the edge of the box
    free = record(accuracy=1.0, latency=0.0, energy=0.0)
    assert hypervolume([free], OBJECTIVES, STATIC, classes=10) == pytest.approx(1.0)


def test_hypervolume_never_falls_when_designs_are_added():
    rng = np.random.default_rng(0)
    designs = [
        record(accuracy, latency, energy)
        for accuracy, latency, energy in zip(
            rng.random(60), 150 * rng.random(60), 1500 * rng.random(60), strict=True
        )
    ]
    volumes = [hypervolume(designs[:n], OBJECTIVES, STATIC, classes=10) for n in range(61)]
    assert volumes == sorted(volumes)
    assert 0 < volumes[-1] < 1


def test_no_usable_design_is_an_empty_front():
    for designs in ([], [record(feasible=False)], [record(trained=False)]):
        assert objective_front(designs, OBJECTIVES) == headline_front(designs) == []


def test_nondominated_keeps_what_no_other_point_beats_and_each_once():
    rng = np.random.default_rng(0)
    points = rng.integers(0, 6, (60, 3)).astype(float)
    best = {tuple(p) for p in points if not any((q <= p).all() and (q < p).any() for q in points)}
    found = [tuple(p) for p in nondominated(points)]
    assert len(found) == len(set(found)) < len(points)
    assert set(found) == best
