from __future__ import annotations

from dataclasses import replace

import moocore
import numpy as np
import pytest

from study.costing import Costed
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


def fitted(n: int = 80, **settings) -> tuple[DesignPredictor, np.ndarray]:
    predictor = DesignPredictor(ENCODING, PredictorSettings(**settings))
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


def test_every_trial_counts_where_the_designs_that_follow_get_fewer():
    """Of 500 designs 56 trials leave room for seven more of each network, 55 for eight: 448 in all after 495."""
    predictor, designs = DesignPredictor(ENCODING), drawn(600)
    values, none = objectives(designs), designs[:0]
    fits = []
    for trials in range(50, 120):
        count = trials + trials * min(8, predictor.room(trials) // trials)
        assert predictor.update(designs[:count], values[:count], none, trials=trials)
        predictor._queue = [designs[0]]  # what was ranked is not used up
        fits.append(predictor._fit)
    assert len({id(fit) for fit in fits}) == len(fits)


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


def costs(designs: np.ndarray) -> Costed:
    """The second objective is known; the third is a mean over three slots, of which designs have two or three."""
    exact, at_exits = np.full((len(designs), 3), np.nan), np.full((len(designs), 3, 3), np.nan)
    exact[:, 1] = objectives(designs)[:, 1]
    at_exits[:, :, 2] = 1.0 + designs[:, :1] + np.array([0.0, 5.0, 20.0]) * (1 + designs[:, 5:])
    at_exits[designs[:, 1] == 0, 0] = np.nan
    return Costed(np.ones(len(designs), dtype=bool), exact, at_exits)


def shares(designs: np.ndarray) -> np.ndarray:
    """What leaves at each slot, NaN where there is no exit: as smooth in the genes as the costs are not."""
    first = np.where(designs[:, 1] == 0, np.nan, 0.1 + 0.1 * designs[:, 2])
    second = (1 - np.nan_to_num(first)) * 0.5
    return np.stack([first, second, 1 - np.nan_to_num(first) - second], axis=1)


def mean_cost(designs: np.ndarray) -> np.ndarray:
    return np.nansum(shares(designs) * costs(designs).at_exits[:, :, 2], axis=1)


def with_costs(n: int, **settings) -> tuple[DesignPredictor, np.ndarray, np.ndarray]:
    predictor = DesignPredictor(ENCODING, PredictorSettings(**settings), costs)
    designs = drawn(n)
    values = objectives(designs)
    values[:, 2] = mean_cost(designs)
    assert predictor.update(designs, values, designs[:0], leaving=shares(designs))
    return predictor, designs, values


def test_objectives_that_hardware_decides_are_not_predicted():
    predictor, designs, _ = with_costs(80)
    new = _without(drawn(200, seed=4), designs)
    mean, deviation = predictor.predict(new, costs(new))
    assert mean[:, 1] == pytest.approx(predictor._fit.models[1].scale(objectives(new)[:, 1]))
    assert deviation[:, 1].max() < 1e-3 < deviation[:, 0].min()


def test_means_over_inputs_follow_from_shares_and_costs():
    predictor, designs, _ = with_costs(60)
    new = _without(drawn(300, seed=4), designs)
    truth = predictor._fit.models[2].scale(mean_cost(new))
    direct, _ = predictor.predict(new)
    by_exit, deviation = predictor.predict(new, costs(new))
    assert np.abs(by_exit[:, 2] - truth).mean() < 0.25 * np.abs(direct[:, 2] - truth).mean()
    assert (np.abs(by_exit[:, 2] - truth) <= 2 * deviation[:, 2]).mean() > 0.9
    assert np.array_equal(by_exit[:, 0], direct[:, 0])


def test_what_breaks_a_constraint_for_certain_is_not_ranked_first():
    predictor, designs, values = with_costs(60, costed=32)
    asked: list[np.ndarray] = []

    def strict(rows: np.ndarray) -> Costed:
        asked.append(rows)
        return replace(costs(rows), meets=rows[:, 4] == 1)

    predictor._cost = strict
    front = designs[moocore.is_nondominated(values)]
    beside = drawn(3, seed=9)
    ranked = predictor.ranked(front, np.zeros(len(front)), np.random.default_rng(1), beside)
    assert len(asked[0]) == 32 + len(beside)
    looked_at = {row.tobytes(): bool(row[4] == 1) for row in asked[0][:32]}
    assert 0 < sum(looked_at.values()) < 32
    places = [i for i, row in enumerate(ranked) if row.tobytes() in looked_at]
    assert places == list(range(len(places)))  # before all that were not looked at
    assert all(looked_at[ranked[i].tobytes()] for i in places)
    assert len(places) == sum(looked_at.values())
    predictor.ranked(front, np.zeros(len(front)), np.random.default_rng(1), beside)
    assert len(asked) == 1  # nothing new to ask


@pytest.mark.parametrize(
    ("met", "calls"), [(lambda rows: rows[:, 4] == 1, 2), (lambda rows: rows[:, 4] > 3, 3)]
)
def test_where_all_that_promised_most_break_a_constraint_others_are_ranked_by_what_was_learned(met, calls):
    predictor, designs, values = with_costs(60, costed=32)
    asked: list[np.ndarray] = []

    def strict(rows: np.ndarray) -> Costed:
        # As if the first call had met the forbidden half of the space alone.
        rows_met = met(rows) if asked else np.zeros(len(rows), dtype=bool)
        asked.append(rows)
        for row, meets in zip(rows, rows[:, 4] == 1, strict=True):
            predictor.feasibility.note(row, bool(meets))
        return replace(costs(rows), meets=rows_met)

    predictor._cost = strict
    front = designs[moocore.is_nondominated(values)]
    ranked = predictor.ranked(front, np.zeros(len(front)), np.random.default_rng(1), drawn(3, seed=9))
    assert [len(rows) for rows in asked] == [35, *([32] * (calls - 1))]
    assert not {row.tobytes() for row in asked[0]} & {row.tobytes() for row in asked[1]}
    # The first outcomes said that gene 4 decides: of what is asked next more meet it.
    assert (asked[1][:, 4] == 1).mean() > 1.5 * (asked[0][:32, 4] == 1).mean()
    if calls == 3:  # nothing is left that is worth the rest of the list
        assert not ranked
    else:
        assert ranked
        assert ranked[0][4] == 1


def test_of_a_network_the_placement_is_proposed_that_promises_most():
    """The sixth gene is where it runs, and decides what it costs."""
    predictor, designs, values = with_costs(60, costed=32, placements=3)
    placement = np.arange(6) == 5
    predictor._placement = placement
    asked: list[np.ndarray] = []
    predictor._cost = lambda rows: asked.append(rows) or costs(rows)
    front = designs[moocore.is_nondominated(values)]
    ranks = np.zeros(len(front))
    ranked = np.array(predictor.ranked(front, ranks, np.random.default_rng(1), drawn(3, seed=9)))
    tried = asked[0][:-3]
    assert len(tried) > 32
    assert not len(_without(tried[32:, placement], front[-3:, placement]))
    networks = [row.tobytes() for row in tried[:, ~placement]]
    assert set(networks[32:]) <= set(networks[:32])
    gains = predictor._gains(tried, costs(tried))
    expected: dict[bytes, float] = {}
    for network, gain in zip(networks, gains.tolist(), strict=True):
        expected[network] = max(gain, expected.get(network, 0.0))
    promising = {network for network, gain in expected.items() if gain > 0}
    proposed = [row.tobytes() for row in ranked[: len(promising), ~placement]]
    assert set(proposed) == promising
    best = predictor._gains(ranked[: len(promising)], costs(ranked[: len(promising)]))
    assert best == pytest.approx([expected[network] for network in proposed], rel=1e-2)
    assert (np.diff(best) <= 1e-3 * best[0]).all()


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
