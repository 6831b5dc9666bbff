from __future__ import annotations

from dataclasses import replace

import optuna
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from study.derived import DerivedDesigns, read_derived, write_derived
from study.rising import RisesUndominated
from study.rungs import always_rises, may_rise
from study.storage import record_of, store_result
from tests.reference import pareto_oracle
from tests.study.bench import run_trials
from tests.study.ladder import feasible, finished, with_rungs
from tests.study.spaces import OBJECTIVES, record

steps = st.lists(st.tuples(*[st.integers(0, 3)] * 3), min_size=1, max_size=3)


@pytest.fixture(scope="module")
def proposals_alone(tmp_path_factory):
    """A context that derives nothing."""
    context, _ = with_rungs(tmp_path_factory.mktemp("alone"), always_rises, derive=False)
    return context


@given(st.lists(steps, max_size=6), st.integers(0, 1))
@settings(max_examples=100, deadline=None)
def test_proposals_alone_against_a_plain_loop(proposals_alone, trials, rung):
    own = record()
    scaled = [
        [tuple(f * v for f, v in zip(factors, OBJECTIVES.values(own), strict=True)) for factors in rungs]
        for rungs in trials
    ]
    study = optuna.create_study(directions=["minimize"] * 3)
    study.add_trials([finished(rungs) for rungs in scaled])
    known = [rungs[rung] for rungs in scaled if len(rungs) > rung]
    beaten = any(pareto_oracle.beats(point, OBJECTIVES.values(own)) for point in known)
    assert RisesUndominated(study, proposals_alone, None)(rung, own) == (not beaten)


@pytest.mark.parametrize(
    ("excess", "rises"),
    [({"error": 0.1}, True), ({"mean_latency": 0.1}, False), ({"mean_latency": 0.0}, True)],
)
def test_a_bound_on_the_error_may_still_be_met_and_one_on_a_cost_not(proposals_alone, excess, rises):
    study = optuna.create_study(directions=["minimize"] * 3)
    assert (
        RisesUndominated(study, proposals_alone, None)(
            0, replace(record(), violations=excess, feasible=False)
        )
        == rises
    )


def run_ladder(context, count: int):
    """A study with so many proposals, evaluated as a worker does."""
    study = run_trials(context, 0)
    derived = DerivedDesigns(context) if context.config.search.derive else None
    evaluator = replace(context.evaluator, rises=RisesUndominated(study, context, derived))
    for genome in feasible(context)[:count]:
        asked = study.ask(context.space.distributions())
        result = evaluator.evaluate(genome)
        store_result(asked, result)
        study.tell(asked, OBJECTIVES.values(result))
        if result.longest:
            write_derived(context, genome.architecture)
    return [record_of(trial) for trial in study.trials]


@pytest.mark.parametrize("derive", [False, True])
def test_whatever_stays_below_is_dominated_there_by_a_design_of_a_network_that_rose(tmp_path, derive):
    """What the comparison of rungs rests on, on a real run of the ladder."""
    context, _ = with_rungs(tmp_path, always_rises, derive=derive)
    records = run_ladder(context, 12)
    assert {0, 2} <= {r.rung for r in records}

    def designs(one, rung):
        """Objectives of all designs of a record's network at a rung it reached."""
        proposed = [[*one.lower_rungs, OBJECTIVES.values(one)][rung]]
        if not derive:
            return proposed
        own = read_derived(context, one.genome.architecture, rung)
        assert {r.rung for r in own} == {rung}
        return proposed + [OBJECTIVES.values(r) for r in own if may_rise(r)]

    for one in records:
        if one.rung < 2:
            risen = [v for r in records if r.rung > one.rung for v in designs(r, one.rung)]
            for values in designs(one, one.rung):
                assert any(pareto_oracle.beats(other, values) for other in risen)


def test_a_network_rises_for_any_of_its_designs(tmp_path):
    """A proposal that is dominated, of a network that another placement or target leads with."""
    context, _ = with_rungs(tmp_path, always_rises)
    genome = feasible(context)[0]
    low = replace(context.evaluator, rises=lambda rung, record: False).evaluate(genome)
    better = finished([tuple(0.999 * v for v in OBJECTIVES.values(low))])
    study = optuna.create_study(directions=["minimize"] * 3)
    study.add_trial(better)
    assert not RisesUndominated(study, context, None)(0, low)
    own = write_derived(context, genome.architecture, 0)
    assert any(not pareto_oracle.beats(better.values, OBJECTIVES.values(r)) for r in own)
    assert RisesUndominated(study, context, DerivedDesigns(context))(0, low)


def test_what_is_learned_of_derived_designs_is_of_the_training_that_all_have(tmp_path):
    context, _ = with_rungs(tmp_path, always_rises)
    run_ladder(context, 4)
    short = [
        OBJECTIVES.values(r)
        for genome in feasible(context)[:4]
        for r in read_derived(context, genome.architecture, 0)
        if r.feasible
    ]
    front = DerivedDesigns(context).front()
    assert sorted(map(tuple, front.tolist())) == sorted(set(pareto_oracle.front(short)))
    examples = DerivedDesigns(context).examples(1000)
    assert len(examples.values)
    assert set(map(tuple, examples.values.tolist())) <= set(short)
