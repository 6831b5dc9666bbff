"""Shares of inputs that leave at exits, and the means that follow."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from study.leaving import LeavingModels
from study.surrogate import GeneEncoding

ENCODING = GeneEncoding({f"gene{index}": 4 for index in range(5)}, frozenset({"gene0", "gene1"}))


def drawn(n: int, seed: int) -> np.ndarray:
    return np.unique(np.random.default_rng(seed).integers(4, size=(n, 5)), axis=0)


def shares(designs: np.ndarray) -> np.ndarray:
    """No exit at the first slot where gene 2 is 0, none at the second where gene 3 is."""
    first = np.where(designs[:, 2] > 0, 0.1 + 0.08 * designs[:, 0], np.nan)
    second = np.where(designs[:, 3] > 0, 0.2 + 0.05 * designs[:, 1], np.nan)
    rest = 1 - np.nan_to_num(first) - np.nan_to_num(second)
    return np.stack([first, second, rest], axis=1)


def models(designs: np.ndarray, leaving: np.ndarray) -> LeavingModels:
    return LeavingModels(ENCODING.features(designs), leaving, 5, {})


def test_shares_are_predicted_where_there_are_exits() -> None:
    designs, new = drawn(80, seed=0), drawn(60, seed=1)
    truth = shares(new)
    mean, deviation = models(designs, shares(designs)).shares(ENCODING.features(new), ~np.isnan(truth))
    assert mean.sum(axis=1) == pytest.approx(1.0)
    assert (mean[np.isnan(truth)] == 0).all()
    assert (deviation[np.isnan(truth)] == 0).all()
    there = ~np.isnan(truth)
    assert np.abs(mean - truth)[there].mean() < 0.02
    assert np.corrcoef(mean[there], truth[there])[0, 1] > 0.95


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10_000), count=st.integers(1, 30))
def test_means_are_sums_over_exits(seed: int, count: int) -> None:
    """Against a plain loop, also from so few designs that some slots have no model."""
    rng = np.random.default_rng(seed)
    designs, new = drawn(count, seed), drawn(8, seed + 1)
    found = models(designs, shares(designs))
    there = ~np.isnan(shares(new))
    at_exits = np.where(there[:, :, None], rng.uniform(1, 9, size=(len(new), 3, 2)), np.nan)
    mean, deviation = found.means(ENCODING.features(new), at_exits)
    share, spread = found.shares(ENCODING.features(new), there)
    for row in range(len(new)):
        for column in range(2):
            costs = [at_exits[row, slot, column] for slot in range(3) if there[row, slot]]
            parts = [share[row, slot] for slot in range(3) if there[row, slot]]
            spreads = [spread[row, slot] for slot in range(3) if there[row, slot]]
            expected = sum(p * c for p, c in zip(parts, costs, strict=True))
            assert mean[row, column] == pytest.approx(expected)
            assert min(costs) - 1e-9 <= mean[row, column] <= max(costs) + 1e-9
            variance = sum((s * (c - expected)) ** 2 for s, c in zip(spreads, costs, strict=True))
            assert deviation[row, column] == pytest.approx(variance**0.5)


def test_a_network_with_one_exit_costs_what_that_costs() -> None:
    designs = drawn(40, seed=3)
    at_exits = np.full((5, 3, 1), np.nan)
    at_exits[:, 2, 0] = np.arange(5.0)
    mean, deviation = models(designs, shares(designs)).means(ENCODING.features(designs[:5]), at_exits)
    assert mean[:, 0] == pytest.approx(np.arange(5.0))
    assert (deviation == 0).all()


def test_kernels_are_chosen_once() -> None:
    designs, kernels = drawn(40, seed=4), {}
    features, leaving = ENCODING.features(designs), shares(designs)
    LeavingModels(features, leaving, 5, kernels)
    assert sorted(kernels) == [0, 1, 2]
    kept = dict(kernels)
    LeavingModels(features[:20], leaving[:20], 5, kernels)
    assert kernels == kept
