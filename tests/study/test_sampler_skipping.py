"""Children that the sampler skips: which ones, and what the storage says of them."""

from __future__ import annotations

import numpy as np
import optuna

from study.domination import total_violation
from study.genome import SearchSpace
from study.sampler import GenomeNSGAIISampler
from study.skipping import SKIP_KEY, SkipReport, SkipRule
from tests.study.test_sampler import POPULATION, evaluate, new_study, objectives, run, sampler, small_space


def skipping_studies(space: SearchSpace, rule: SkipRule) -> list[optuna.Study]:
    """Several, as a short study may have no child worth skipping."""
    return [run(new_study(sampler(space, seed, skip=rule)), space, 10 * POPULATION) for seed in range(8)]


def test_predictions_stay_out_of_the_storage():
    """One packed attribute on a trial in whose place a child was skipped; nothing else but what was measured."""
    space = small_space()
    trials = [trial for study in skipping_studies(space, SkipRule(0.5)) for trial in study.trials]
    marked = [t for t in trials if SKIP_KEY in t.user_attrs]
    assert marked
    assert all(t.number >= POPULATION for t in marked)
    for trial in trials:
        assert trial.user_attrs.keys() <= {"feasible", "result", SKIP_KEY}
        assert trial.values == list(objectives(evaluate(space.decode(trial.params))))
        assert not any("predict" in key for key in trial.system_attrs)
    for trial in marked:
        assert trial.user_attrs[SKIP_KEY].keys() == {"probability", "trained"}
        assert 0.5 <= trial.user_attrs[SKIP_KEY]["probability"] <= 1.0


def test_nothing_is_skipped_on_the_word_of_few_measurements():
    space = small_space()
    for least in (20, 40):
        studies = skipping_studies(space, SkipRule(0.5, least=least))
        marked = [t.number for study in studies for t in study.trials if SKIP_KEY in t.user_attrs]
        assert all(number >= least for number in marked)
        assert marked or least > 20


def test_a_share_of_skipped_children_is_trained_and_can_be_counted_from_the_storage():
    space = small_space()
    reports = [SkipReport.of(s.trials, s.directions) for s in skipping_studies(space, SkipRule(0.5, 0.5))]
    skipped, trained = sum(r.skipped for r in reports), sum(r.trained for r in reports)
    assert skipped >= 5
    assert 0 < trained < skipped
    always = [SkipReport.of(s.trials, s.directions) for s in skipping_studies(space, SkipRule(0.5, 1.0))]
    assert all(report.trained == report.skipped for report in always)
    assert sum(report.skipped for report in always) > 0


def test_a_child_is_tried_with_the_placements_of_leading_designs_before_it_is_skipped():
    """Where all placements come with a network, a bad one of a good network is no reason to skip it."""
    space = small_space()
    placement = space.placement_genes()
    asked = []

    def probabilities(using: GenomeNSGAIISampler) -> None:
        dominated = using.predictor.dominated
        using.predictor.dominated = lambda rows: asked.append(rows) or dominated(rows)

    using = sampler(space, skip=SkipRule(0.5, least=10), identify=lambda design: design.architecture.key())
    probabilities(using)
    study = run(new_study(using), space, 8 * POPULATION)
    names = list(space.genes())
    own = np.array([name in placement for name in names])
    tried = [(asked[i - 1][0], rows) for i, rows in enumerate(asked) if i and len(rows) > 1]
    assert tried
    for child, rows in tried:
        assert (rows[:, ~own] == child[~own]).all()
        assert len(rows) <= 16
    leading = [t for t in study.trials if total_violation(t) == 0]
    placements = {tuple(t.params[n] for n in names if n in placement) for t in leading}
    assert {tuple(row[own].tolist()) for _, rows in tried for row in rows} <= placements
