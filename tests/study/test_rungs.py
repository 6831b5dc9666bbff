from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np
import optuna
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from optuna.trial import TrialState, create_trial

from hwcost.errors import OfframpError
from study.config_io import load_preset, resolve
from study.derived import read_derived, write_derived
from study.export.run_tables import evaluated_designs
from study.front import headline_front, hypervolume, objective_front
from study.genome import Genome
from study.memo import PredictionMemo
from study.rungs import RisesUndominated, Rung, first_rung_values, known_at
from study.sampler import GenomeNSGAIISampler
from study.skipping import SKIP_KEY, SkipNote, SkipReport
from study.storage import RESULT_KEY, record_of, store_result
from tests.reference import pareto_oracle
from tests.study.bench import bench_context, predictions, run_trials
from tests.study.spaces import OBJECTIVES, record


def with_rungs(folder, rises):
    """A context of three rungs whose trainings are made up and counted per rung."""
    context = bench_context(folder, search={"rungs": [1.0, 2.0, 6.0]})
    done: list[list[str]] = [[], [], []]

    def train(rung, architecture):
        done[rung].append(architecture.key())
        made = predictions(replace(architecture, head_weight_bits=8), 200)
        return replace(made, training_samples=10**rung, rung=rung)

    first, *longer = (
        Rung(PredictionMemo(context.paths.predictions, {"rung": rung}), partial(train, rung))
        for rung in range(3)
    )
    evaluator = replace(
        context.evaluator, memo=first.memo, train=first.train, longer=tuple(longer), rises=rises
    )
    return replace(context, evaluator=evaluator), done


def feasible(context) -> list[Genome]:
    rng = np.random.default_rng(0)
    drawn = (context.space.decode(context.space.random(rng)) for _ in range(60))
    return [genome for genome in drawn if context.evaluator.check.one(genome)]


@pytest.mark.parametrize("reached", [0, 1, 2])
def test_a_design_is_trained_as_long_as_it_earns(tmp_path, reached):
    asked = []

    def rises(rung, objectives):
        asked.append((rung, objectives))
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
    context, done = with_rungs(tmp_path, lambda rung, objectives: allowed[0])
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
    context, _ = with_rungs(tmp_path, lambda rung, objectives: allowed[0])
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


steps = st.lists(st.tuples(*[st.integers(0, 3)] * 3), min_size=1, max_size=3)


def finished(rungs, result: bool = True, **changes):
    values = [float(v) for v in rungs[-1]]
    kept = replace(record(), lower_rungs=tuple(tuple(map(float, step)) for step in rungs[:-1]), **changes)
    attributes = {RESULT_KEY: kept.to_json()} if result else {}
    return create_trial(state=TrialState.COMPLETE, values=values, user_attrs=attributes)


@given(st.lists(steps, max_size=6), st.tuples(*[st.integers(0, 3)] * 3), st.integers(0, 2))
@settings(max_examples=150, deadline=None)
def test_rising_against_a_plain_loop(trials, objectives, rung):
    study = optuna.create_study(directions=["minimize"] * 3)
    study.add_trials([finished(rungs) for rungs in trials])
    known = [rungs[rung] for rungs in trials if len(rungs) > rung]
    rises = RisesUndominated(study)(rung, tuple(map(float, objectives)))
    assert rises == (not any(pareto_oracle.beats(point, objectives) for point in known))


def test_whoever_stays_below_is_dominated_there_by_one_that_rose(tmp_path):
    """What the comparison of rungs rests on, on a real run of the ladder."""
    context, _ = with_rungs(tmp_path, lambda rung, objectives: True)
    study = run_trials(context, 0)
    evaluator = replace(context.evaluator, rises=RisesUndominated(study))
    for genome in feasible(context)[:25]:
        asked = study.ask(context.space.distributions())
        result = evaluator.evaluate(genome)
        store_result(asked, result)
        study.tell(asked, OBJECTIVES.values(result))
    records = [record_of(t) for t in study.trials]
    reached = {r.rung for r in records}
    assert {0, 2} <= reached
    for one in records:
        if one.rung < 2:
            risen = [[*r.lower_rungs, OBJECTIVES.values(r)][one.rung] for r in records if r.rung > one.rung]
            assert any(pareto_oracle.beats(other, OBJECTIVES.values(one)) for other in risen)


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
    sampler = GenomeNSGAIISampler(context.space, 4, np.random.default_rng(1))
    update = sampler.predictor.update
    sampler.predictor.update = lambda designs, values, *others: (
        seen.append(values) or update(designs, values, *others)
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
    assert (seen[-1][:, :2] == [9.0, 8.0]).all()


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
