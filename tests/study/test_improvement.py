from __future__ import annotations

import math
from statistics import NormalDist

import moocore
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from study.improvement import (
    MOST_OBJECTIVES,
    dominated_probability,
    expected_fall,
    expected_improvement,
    normal_cdf,
    undominated_boxes,
)

REFERENCE = np.array([1.0, 1.0, 1.0])
tenths = st.integers(-2, 12).map(lambda n: n / 10)  # ties and members beyond the reference included
fronts = st.lists(st.tuples(tenths, tenths, tenths), max_size=12).map(lambda f: np.array(f).reshape(-1, 3))


def gain(front: np.ndarray, point: np.ndarray) -> float:
    """By how much a point enlarges the hypervolume, by computing it twice."""

    def volume(points: np.ndarray) -> float:
        inside = points[(points < REFERENCE).all(axis=1)]
        return float(moocore.hypervolume(inside, ref=REFERENCE)) if len(inside) else 0.0

    return volume(np.vstack([front, point])) - volume(front)


@given(fronts, st.tuples(tenths, tenths, tenths))
@settings(max_examples=200, deadline=None)
def test_without_doubt_the_expectation_is_the_gain(front, point):
    boxes = undominated_boxes(front, REFERENCE)
    found = expected_improvement(np.array([point]), np.full((1, 3), 1e-9), boxes)
    assert found[0] == pytest.approx(gain(front, np.array(point)), abs=1e-6)


@st.composite
def fronts_of_any_size(draw: st.DrawFn) -> np.ndarray:
    """Up to eight members of one to four objectives."""
    count = draw(st.integers(1, MOST_OBJECTIVES))
    rows = draw(st.lists(st.lists(tenths, min_size=count, max_size=count), max_size=8))
    return np.array(rows).reshape(-1, count)


@given(fronts_of_any_size())
@settings(max_examples=150, deadline=None)
def test_boxes_of_any_number_of_objectives(front):
    count = front.shape[1]
    reference = np.ones(count)
    boxes = undominated_boxes(front, reference)
    points = np.random.default_rng(0).uniform(-0.3, 1.2, (200, count))
    within = (points[:, None] > boxes.lower) & (points[:, None] <= boxes.upper)
    dominated = (front[None] < points[:, None]).all(axis=2).any(axis=1)
    free = (points <= reference).all(axis=1) & ~dominated
    assert within.all(axis=2).sum(axis=1).tolist() == free.astype(int).tolist()


@pytest.mark.parametrize("count", [1, 2, 4])
def test_the_gain_of_other_numbers_of_objectives(count):
    rng = np.random.default_rng(count)
    front, points = rng.uniform(0.1, 0.9, (15, count)), rng.uniform(0, 1, (20, count))
    boxes = undominated_boxes(front, np.ones(count))
    found = expected_improvement(points, np.full_like(points, 1e-9), boxes)
    before = moocore.hypervolume(front, ref=np.ones(count))
    for point, gained in zip(points, found, strict=True):
        after = moocore.hypervolume(np.vstack([front, point]), ref=np.ones(count))
        assert gained == pytest.approx(after - before, abs=1e-6)


@given(fronts)
@settings(max_examples=100, deadline=None)
def test_boxes_are_disjoint_and_hold_what_is_not_dominated(front):
    boxes = undominated_boxes(front, REFERENCE)
    points = np.random.default_rng(0).uniform(-0.3, 1.2, (300, 3))
    within = (points[:, None] > boxes.lower) & (points[:, None] <= boxes.upper)
    dominated = (front[None] < points[:, None]).all(axis=2).any(axis=1)
    free = (points <= REFERENCE).all(axis=1) & ~dominated
    assert within.all(axis=2).sum(axis=1).tolist() == free.astype(int).tolist()


def test_few_boxes_for_a_large_front():
    rng = np.random.default_rng(1)
    front = np.abs(rng.normal(size=(200, 3)))
    front /= np.linalg.norm(front, axis=1, keepdims=True)  # on a sphere: none dominates another
    assert len(undominated_boxes(front, np.full(3, 1.1)).upper) <= 2 * len(front) + 1


def test_the_expectation_against_many_draws():
    rng = np.random.default_rng(2)
    front = rng.uniform(0.2, 0.9, (6, 3))
    mean, deviation = rng.uniform(0, 1, (4, 3)), rng.uniform(0.05, 0.4, (4, 3))
    found = expected_improvement(mean, deviation, undominated_boxes(front, REFERENCE))
    for row in range(4):
        draws = rng.normal(mean[row], deviation[row], (4000, 3))
        gains = [gain(front, draw) for draw in draws]
        assert found[row] == pytest.approx(np.mean(gains), abs=5 * np.std(gains) / math.sqrt(len(gains)))


def test_many_designs_are_as_each_alone():
    rng = np.random.default_rng(3)
    boxes = undominated_boxes(rng.uniform(0, 1, (300, 3)), REFERENCE)
    mean, deviation = rng.uniform(0, 1, (20_000, 3)), np.full((20_000, 3), 0.1)
    together = expected_improvement(mean, deviation, boxes)
    for row in (0, 9_999, 19_999):
        alone = expected_improvement(mean[row : row + 1], deviation[:1], boxes)
        assert together[row] == pytest.approx(alone[0])
    assert expected_improvement(mean[:0], deviation[:0], boxes).shape == (0,)


def test_expected_fall_against_many_draws():
    mean, deviation = np.array([0.0, 1.0, 3.0]), np.array([0.5, 2.0, 1.0])
    draws = np.random.default_rng(4).normal(mean, deviation, (200_000, 3))
    found = expected_fall(mean, deviation, 0.7)
    assert found == pytest.approx(np.maximum(0.7 - draws, 0).mean(axis=0), abs=0.01)


def test_how_probable_domination_is():
    normal = NormalDist()
    mean, deviation = np.array([[0.5, 1.0, 2.0], [-9.0, 0.0, 0.0]]), np.ones((2, 3))
    one = np.array([[0.0, 0.0, 0.0]])
    found = dominated_probability(mean, deviation, one, draws=20_000)
    assert found[0] == pytest.approx(math.prod(normal.cdf(z) for z in (0.5, 1.0, 2.0)), abs=0.015)
    assert found[1] == 0.0
    # Two members that trade the first objective for the second: either may dominate.
    two = np.array([[0.0, -99.0, -99.0], [-99.0, 0.0, -99.0]])
    found = dominated_probability(mean, deviation, two, draws=20_000)
    assert found[0] == pytest.approx(1 - (1 - normal.cdf(0.5)) * (1 - normal.cdf(1.0)), abs=0.015)
    assert dominated_probability(mean, deviation, one[:0]).tolist() == [0.0, 0.0]
    assert (dominated_probability(mean, deviation, two) == dominated_probability(mean, deviation, two)).all()


def test_the_normal_distribution_function():
    z = np.linspace(-9, 9, 1001)
    exact = [NormalDist().cdf(value) for value in z]
    assert np.abs(normal_cdf(z) - exact).max() < 1e-7
