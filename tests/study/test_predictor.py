from __future__ import annotations

import moocore
import numpy as np
import pytest

from study.predictor import DesignPredictor, PredictorSettings, _thinned, _without
from study.surrogate import GeneEncoding

COUNTS = {f"gene{index}": 4 for index in range(6)}
ENCODING = GeneEncoding(COUNTS, frozenset({"gene0", "gene1", "gene2"}))


def drawn(n: int, seed: int = 0) -> np.ndarray:
    return np.unique(np.random.default_rng(seed).integers(4, size=(n, 6)), axis=0)


def objectives(designs: np.ndarray) -> np.ndarray:
    """Error falls with what latency and size rise with, and with how two genes act together."""
    spent = designs[:, :3].sum(axis=1)
    error = 1.0 / (1.0 + spent) + 0.05 * (designs[:, 3] != designs[:, 4])
    return np.stack([error, spent + 0.5 * (designs[:, 5] == 2), 2.0 * spent + designs[:, 3]], axis=1)


def fitted(n: int = 80, known=None, **settings) -> tuple[DesignPredictor, np.ndarray]:
    predictor = DesignPredictor(ENCODING, PredictorSettings(**settings), known)
    designs = drawn(n)
    assert predictor.update(designs, objectives(designs), designs[:0])
    return predictor, designs


def volume(values: np.ndarray) -> float:
    return float(moocore.hypervolume(values, ref=[1.2, 12.0, 24.0]))


def test_nothing_is_predicted_from_too_few_trials_or_equal_ones():
    predictor, designs = DesignPredictor(ENCODING, PredictorSettings(least=10)), drawn(20)
    values = objectives(designs)
    none = designs[:0]
    assert not predictor.update(none, values[:0], none)
    assert not predictor.update(designs[:9], values[:9], none)
    assert not predictor.update(designs, np.ones((len(designs), 3)), none)
    with pytest.raises(RuntimeError, match="expected a fit"):
        predictor.predict(designs)
    assert predictor.update(designs[:10], values[:10], none)


def test_designs_are_ranked_by_what_they_will_add():
    predictor, designs = fitted()
    values = objectives(designs)
    front = designs[moocore.is_nondominated(values)]
    rng = np.random.default_rng(1)
    ranked = predictor.ranked(front, np.zeros(len(front)), rng)
    new = _without(drawn(400, seed=2), designs)

    def gains(candidates) -> list[float]:
        return [volume(np.vstack([values, objectives(row[None])])) - volume(values) for row in candidates]

    assert np.mean(gains(ranked[:5])) > 4 * np.mean(gains(new)) > 0
    # What was proposed is taken off; the others stay for the next proposal.
    first = ranked.pop(0)
    again = predictor.ranked(front, np.zeros(len(front)), rng)
    assert not any((row == first).all() for row in again)


def test_a_fit_serves_so_many_proposals():
    predictor, designs = fitted(n=120, refits=10)
    values, none = objectives(designs), designs[:0]
    front = predictor.ranked(designs, np.zeros(len(designs)), np.random.default_rng(0))
    assert front
    fit, count = predictor._fit, len(designs)
    more = _without(drawn(60, seed=5), designs)[:12]
    for extra in (1, 5, 11, 12):
        grown = np.vstack([designs, more[:extra]])
        predictor.update(grown, np.vstack([values, objectives(more[:extra])]), none)
        assert (predictor._fit is fit) == (extra < (count + extra) // 10)


def test_a_design_in_progress_elsewhere_promises_nothing_more():
    predictor, designs = fitted()
    values, parents = objectives(designs), np.zeros(len(designs))
    best = predictor.ranked(designs, parents, np.random.default_rng(3))[0]
    gain = predictor._gains(best[None])[0]
    alone = DesignPredictor(ENCODING)
    alone.update(designs, values, best[None])
    assert alone._gains(best[None])[0] < 0.5 * gain


def test_every_fifth_fit_looks_for_the_end_of_one_objective():
    predictor, designs = DesignPredictor(ENCODING), drawn(60)
    values, goals = objectives(designs), []
    for count in range(20, 51):
        predictor.update(designs[:count], values[:count], designs[:0])
        goals.append(predictor._fit.goal)
    assert [goal for goal in goals if goal is not None] == [1, 2, 0, 1, 2, 0]
    assert goals[4::5] == [1, 2, 0, 1, 2, 0]
    while predictor._fit.goal != 1:
        count += 1
        predictor.update(designs[:count], values[:count], designs[:0])
    best = predictor.ranked(designs, np.zeros(len(designs)), np.random.default_rng(0))[0]
    assert objectives(best[None])[0, 1] <= values[:count, 1].min()


def test_known_objectives_are_not_predicted():
    def known(designs: np.ndarray) -> np.ndarray:
        values = np.full((len(designs), 3), np.nan)
        values[:, 1] = objectives(designs)[:, 1]
        return values

    predictor, designs = fitted(known=known)
    new = _without(drawn(200, seed=4), designs)
    mean, deviation = predictor.predict(new)
    assert mean[:, 1] == pytest.approx(predictor._fit.models[1].scale(objectives(new)[:, 1]))
    assert deviation[:, 1].max() < 1e-3 < deviation[:, 0].min()


def test_the_worst_is_dominated_for_sure_and_the_best_is_not():
    predictor, designs = fitted(n=200)
    everything = np.stack(np.meshgrid(*[np.arange(4)] * 6), axis=-1).reshape(-1, 6)
    new = _without(everything, designs)
    probability = predictor.dominated(new[::40])
    front = objectives(everything)[moocore.is_nondominated(objectives(everything))]
    truly = np.array(
        [
            (front <= row).all(axis=1).any() and not (front == row).all(axis=1).any()
            for row in objectives(new[::40])
        ]
    )
    assert (probability >= 0.95).sum() > 10
    assert truly[probability >= 0.95].mean() >= 0.9


def test_the_front_stays_when_trials_are_thinned_out():
    values = np.random.default_rng(0).uniform(size=(400, 3))
    kept = _thinned(values, 200)
    assert len(set(kept.tolist())) == 200
    assert set(np.flatnonzero(moocore.is_nondominated(values))) <= set(kept.tolist())
    assert kept.tolist() == sorted(kept.tolist())
    assert _thinned(values, 400).tolist() == list(range(400))


def test_the_same_trials_and_seed_rank_the_same():
    def order() -> list:
        predictor, designs = fitted()
        ranked = predictor.ranked(designs, np.zeros(len(designs)), np.random.default_rng(7))
        return [row.tolist() for row in ranked]

    assert order() == order()


def test_what_derived_designs_have_is_no_gain():
    predictor, designs = fitted()
    values, none = objectives(designs), designs[:0]
    best = designs[np.argmin(values[:, 0])]
    assert predictor.dominated(best[None])[0] < 0.6
    everything = values.min(axis=0) - 1.0
    assert predictor.update(
        np.vstack([designs, best]), np.vstack([values, values[:1]]), none, None, everything[None]
    )
    assert predictor.dominated(best[None])[0] > 0.95
