from __future__ import annotations

from dataclasses import replace

import numpy as np
import optuna
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from optuna.trial import create_trial

from hwcost.errors import OfframpError
from study.config_io import load_preset, resolve
from study.derived import read_derived, write_derived
from study.export.run_tables import evaluated_designs
from study.front import headline_front, hypervolume, objective_front
from study.rungs import first_rung_values, known_at, leads
from study.sampler import GenomeNSGAIISampler
from study.skipping import SKIP_KEY, SkipNote, SkipReport
from study.storage import RESULT_KEY, store_result
from tests.reference import pareto_oracle
from tests.study.bench import bench_context, run_trials
from tests.study.ladder import feasible, finished, with_rungs
from tests.study.spaces import OBJECTIVES


@pytest.mark.parametrize("reached", [0, 1, 2])
def test_a_design_is_trained_as_long_as_it_earns(tmp_path, reached):
    asked = []

    def rises(rung, record):
        assert record.rung == rung
        asked.append((rung, OBJECTIVES.values(record)))
        return rung < reached

    context, done = with_rungs(tmp_path, rises)
    genome = feasible(context)[0]
    result = context.evaluator.evaluate(genome)
    assert [len(keys) for keys in done] == [1] * (reached + 1) + [0] * (2 - reached)
    assert (result.rung, result.longest, result.may_lead) == (reached, reached == 2, reached == 2)
    assert result.training_samples == sum(10**rung for rung in range(reached + 1))
    assert result.source == "proposed"
    # What it is judged by at each rung is what it keeps of that rung.
    assert [rung for rung, _ in asked] == list(range(min(reached + 1, 2)))
    assert list(result.lower_rungs) == [objectives for _, objectives in asked][:reached]


def test_a_longer_training_that_is_known_counts_without_being_earned_again(tmp_path):
    allowed = [True]
    context, done = with_rungs(tmp_path, lambda rung, record: allowed[0])
    genome = feasible(context)[0]
    context.evaluator.evaluate(genome)
    allowed[0] = False
    again = context.evaluator.evaluate(replace(genome, policy_target=0.04))
    assert (again.rung, again.source, again.training_samples) == (2, "memo", 0)
    assert [len(keys) for keys in done] == [1, 1, 1]
    found = context.evaluator.longest_known(genome.architecture)
    assert found is not None
    assert found.rung == 2


def test_derived_designs_are_of_the_longest_training_and_the_short_ones_give_way(tmp_path):
    allowed = [False]
    context, _ = with_rungs(tmp_path, lambda rung, record: allowed[0])
    genome = feasible(context)[0]
    study = run_trials(context, 0)

    def trial(design):
        asked = study.ask(context.space.distributions())
        result = context.evaluator.evaluate(design)
        store_result(asked, result)
        study.tell(asked, OBJECTIVES.values(result))
        write_derived(context, design.architecture)

    trial(genome)
    short = evaluated_designs(study, context)
    assert {design.record.rung for design in short} == {0}
    assert (
        objective_front([d.record for d in short], OBJECTIVES)
        == headline_front([d.record for d in short])
        == []
    )
    assert hypervolume([d.record for d in short], OBJECTIVES, context.hardware.static, 10) == 0
    allowed[0] = True
    trial(genome)
    both = evaluated_designs(study, context)
    assert {design.record.rung for design in both} == {2}
    assert {d.record.genome.key() for d in both} == {d.record.genome.key() for d in short}
    assert objective_front([d.record for d in both], OBJECTIVES)
    # A design of before is still readable at the rung it was kept at.
    assert {r.rung for r in read_derived(context, genome.architecture, 0)} == {0}


points = st.lists(st.tuples(*[st.integers(0, 3)] * 3), max_size=6)


@given(points.filter(len), points)
@settings(max_examples=150, deadline=None)
def test_leading_against_a_plain_loop(values, known):
    found = leads(np.array(values, dtype=float), np.array(known, dtype=float).reshape(-1, 3))
    assert found == any(not any(pareto_oracle.beats(point, own) for point in known) for own in values)


def test_what_is_known_at_a_rung_leaves_out_the_untrained_and_the_infeasible():
    trials = [finished([(1, 1, 1), (2, 2, 2)]), finished([(3, 3, 3)]), finished([(0, 0, 0)], exit_ratios=())]
    assert known_at(trials, 0).tolist() == [[1, 1, 1], [3, 3, 3]]
    assert known_at(trials, 1).tolist() == [[2, 2, 2]]
    assert known_at(trials, 2).shape == (0, 3)
    assert first_rung_values(trials[0]) == [1, 1, 1]
    assert first_rung_values(finished([(5, 6, 7)], result=False)) == [5, 6, 7]


def test_predictions_are_made_of_the_training_that_all_have(tmp_path):
    """A ladder whose long trainings cost another scale must not show in what the predictor is given."""
    context = bench_context(tmp_path)
    study = run_trials(context, 24)
    seen = []
    costing = context.evaluator.costing
    sampler = GenomeNSGAIISampler(context.space, 4, np.random.default_rng(1), costing=costing)
    update = sampler.predictor.update
    sampler.predictor.update = lambda designs, values, running, excess, derived, leaving, **others: (
        seen.append((values, leaving)) or update(designs, values, running, excess, derived, leaving, **others)
    )
    study.sampler = sampler
    copy = optuna.create_study(directions=["minimize"] * 3, sampler=sampler)
    copy.add_trials(
        create_trial(
            state=t.state, values=t.values, params=t.params, distributions=t.distributions,
            user_attrs={
                RESULT_KEY: {**t.user_attrs[RESULT_KEY], "lower_rungs": [[9.0, 8.0, float(t.number)]]}
            },
            system_attrs=t.system_attrs,
        )
        for t in study.trials
    )  # fmt: skip
    copy.ask(context.space.distributions())
    assert seen
    values, leaving = seen[-1]
    assert (values[:, :2] == [9.0, 8.0]).all()
    assert leaving.shape[1] == costing.n_slots
    assert np.isnan(leaving).all()  # what left after the long training is not what leaves after the short one


def test_skipping_is_judged_by_the_training_that_all_have():
    """After short trainings the child is dominated; its long training must not make it look right to train it."""
    note = SkipNote(0.99, trained=True).to_json()
    before = finished([(1, 1, 1), (5, 5, 5)])
    child = finished([(2, 2, 2), (0, 0, 0)])
    child.user_attrs[SKIP_KEY] = note
    before.number, child.number = 0, 1
    report = SkipReport.of([before, child], [optuna.study.StudyDirection.MINIMIZE] * 3)
    assert (report.trained, report.right) == (1, 1)


@pytest.mark.parametrize("rungs", [[], [2.0], [1.0, 1.0], [1.0, 4.0, 2.0], [1.0, -1.0], [1.0, float("inf")]])
def test_rungs_are_ascending_and_begin_with_the_training_of_all(rungs):
    with pytest.raises(OfframpError, match=r"search\.rungs"):
        resolve([load_preset("quickstart"), {"search": {"rungs": rungs}}])
