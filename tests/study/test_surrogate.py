from __future__ import annotations

import numpy as np
import pytest

from study.surrogate import Choice, GeneEncoding, Kernel, ObjectiveModel, choose

COUNTS = {"bits": 4, "head": 3, "fixed": 1, "array": 5}
ENCODING = GeneEncoding(COUNTS, frozenset({"bits", "array"}))


def drawn(n: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(list(COUNTS.values()), size=(n, len(COUNTS)))


def agreement(one: np.ndarray, two: np.ndarray) -> np.ndarray:
    return ENCODING.features(one) @ ENCODING.features(two).T


def plain_agreement(one: np.ndarray, two: np.ndarray) -> float:
    """By the definition, gene by gene; a gene without a choice says nothing."""
    bits, head, array = (1 - abs(one[0] - two[0]) / 3, float(one[1] == two[1]), 1 - abs(one[3] - two[3]) / 4)
    return (bits + head + array) / 3


def test_inner_products_are_the_share_of_genes_that_agree():
    designs = drawn(30)
    found = agreement(designs, designs)
    for i in range(30):
        assert found[i] == pytest.approx([plain_agreement(designs[i], d) for d in designs], abs=1e-5)
    named = [dict(zip(COUNTS, row.tolist(), strict=True)) for row in designs]
    assert ENCODING.matrix(named).tolist() == designs.tolist()


def test_a_space_without_choices_has_one_design():
    encoding = GeneEncoding({"a": 1, "b": 1}, frozenset())
    assert encoding.features(np.zeros((3, 2), dtype=int)).shape == (3, 0)


@pytest.mark.parametrize("kernel", [Kernel(0.02, 0.05, 0.0), Kernel(0.7, 0.4, 0.0), Kernel(0.95, 1.0, 0.0)])
def test_kernels_are_covariances(kernel):
    designs = drawn(60)
    values = kernel.of(agreement(designs, designs), 3).astype(float)
    assert np.diag(values) == pytest.approx(1.0, abs=1e-5)
    assert np.linalg.eigvalsh(values).min() > -1e-4


def test_the_posterior_is_that_of_the_textbook():
    designs, new, kernel = drawn(25), drawn(8, seed=1), Kernel(0.5, 0.3, 0.05)
    values = np.random.default_rng(2).normal(size=25)
    model = ObjectiveModel(Choice(kernel, "as_is"), agreement(designs, designs), values, 3)
    mean, deviation = model.predict(agreement(new, designs))
    target = (values - values.mean()) / values.std()
    covariance = kernel.of(agreement(designs, designs).astype(float), 3) + 0.05 * np.eye(25)
    variance = target @ np.linalg.solve(covariance, target) / 25
    for row in range(8):
        cross = kernel.of(agreement(new[row : row + 1], designs)[0].astype(float), 3)
        assert mean[row] == pytest.approx(cross @ np.linalg.solve(covariance, target), abs=1e-3)
        left = variance * (1 - cross @ np.linalg.solve(covariance, cross))
        assert deviation[row] ** 2 == pytest.approx(left, abs=1e-3)
    assert model.scale(values) == pytest.approx(target)
    assert model.noise_deviation == pytest.approx(np.sqrt(0.05 * variance), rel=1e-3)


def test_a_sum_over_genes_is_learned_from_few_designs():
    def cost(designs: np.ndarray) -> np.ndarray:
        return 3.0 * designs[:, 0] + 2.0 * (designs[:, 1] == 1) + designs[:, 3]

    designs, new = drawn(40), drawn(100, seed=1)
    seen = agreement(designs, designs)
    (choice,) = choose(seen, cost(designs)[:, None], 3)
    assert choice.kernel.noise <= 1e-3
    model = ObjectiveModel(choice, seen, cost(designs), 3)
    mean, deviation = model.predict(agreement(new, designs))
    truth = model.scale(cost(new))
    assert np.corrcoef(mean, truth)[0, 1] > 0.98
    assert np.abs(mean - truth).mean() < 0.2
    assert np.median(deviation) < 0.2


def test_outliers_are_ranked_and_sums_are_taken_as_they_are():
    rng = np.random.default_rng(3)
    designs = drawn(80)
    smooth = designs[:, 0] + 0.5 * designs[:, 3] + 0.3 * designs[:, 1]
    wild = np.where(rng.random(80) < 0.15, 1e4 * rng.random(80), np.exp(smooth))
    choices = choose(agreement(designs, designs), np.stack([smooth, wild], axis=1), 3)
    assert choices[0].scale == "as_is"
    assert choices[1].scale == "ranked"


@pytest.mark.parametrize("scale", ["as_is", "ranked"])
def test_scales_keep_the_order_also_beyond_what_was_measured(scale):
    designs = drawn(30)
    values = np.random.default_rng(4).lognormal(size=30)
    model = ObjectiveModel(Choice(Kernel(0.3, 0.3, 0.01), scale), agreement(designs, designs), values, 3)
    better = np.linspace(values.min() - 1.0, values.min(), 20)
    line = np.unique(np.concatenate([better, values]))
    assert (np.diff(model.scale(line)) > 0).all()


def test_equal_values_are_no_trouble():
    designs = drawn(12)
    seen = agreement(designs, designs)
    (choice,) = choose(seen, np.full((12, 1), 2.0), 3)
    mean, deviation = ObjectiveModel(choice, seen, np.full(12, 2.0), 3).predict(seen)
    assert np.isfinite(mean).all()
    assert np.isfinite(deviation).all()
