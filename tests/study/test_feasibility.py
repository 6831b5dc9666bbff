from __future__ import annotations

import numpy as np

from study.feasibility import FeasibilityModel
from study.surrogate import GeneEncoding

ENCODING = GeneEncoding({f"bits{i}": 5 for i in range(8)}, frozenset(f"bits{i}" for i in range(8)))


def drawn(n: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(5, size=(n, 8))


def meets(design: np.ndarray) -> bool:
    return bool(design.sum() <= 16)


def test_as_long_as_all_checks_end_alike_everything_is_possible():
    model, designs = FeasibilityModel(ENCODING, 8), drawn(20, 0)
    model.fit()
    assert model.probability(designs).tolist() == [1.0] * 20
    for design in designs:
        model.note(design, False)
    model.fit()
    assert model.probability(designs).tolist() == [1.0] * 20


def test_a_bound_on_a_sum_is_learned_from_checks():
    model = FeasibilityModel(ENCODING, 8)
    for design in drawn(400, 1):
        model.note(design, meets(design))
    model.fit()
    new = drawn(500, 2)
    probability, truth = model.probability(new), np.array([meets(design) for design in new])
    assert ((probability > 0.5) == truth).mean() > 0.9
    assert truth[probability > 0.9].mean() > 0.97
    assert truth[probability < 0.1].mean() < 0.03
