"""Designs of a trained network with fewer exits."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from models.architecture import Architecture
from study.derived import read_derived, write_derived
from study.exit_sets import keeping
from study.leaving_out import derive_keeping, network_of, sets_to_derive
from study.record import DesignRecord
from tests.study.bench import bench_context, predictions

EXITS = (1, 4, 5, 7)


@pytest.fixture
def context(tmp_path):
    found = bench_context(tmp_path, constraints={"worst_latency": 9.0, "weight_memory": 9.0})
    return replace(found, evaluator=replace(found.evaluator, leave_out=8))


@pytest.fixture
def whole():
    return Architecture(EXITS, ("gap",) * 5, (8,) * 12, (8,) * 12).canonical()


def derived(evaluator, whole, trained):
    return derive_keeping(evaluator, whole, trained, sets_to_derive(evaluator, whole, [trained]))


def test_a_design_with_fewer_exits_is_what_training_that_network_to_the_same_answers_would_give(
    context, whole
):
    trained = predictions(whole)
    found = derive_keeping(context.evaluator, whole, trained, [(4, 7), ()])
    assert {r.genome.architecture.exits for r in found} == {(4, 7), ()}
    for record in found:
        assert record.network == whole
        alone = context.evaluator.measured(record.genome, network_of(record, trained))
        assert alone.accuracy == record.accuracy
        assert alone.mean_edp_pj_cycles == record.mean_edp_pj_cycles
        assert alone.exit_ratios == record.exit_ratios
    static = [r for r in found if not r.genome.architecture.exits]
    assert {r.accuracy for r in static} == {float(trained.validation.accuracies[-1])}


def test_the_heads_that_are_left_out_cost_nothing(context, whole):
    trained = predictions(whole)
    part = keeping(whole, (7,))
    one = derive_keeping(context.evaluator, whole, trained, [(7,)])[0]
    costs = context.hardware.stage_costs(part, np.array([one.genome.allocation]))
    ratios = np.array(one.exit_ratios)
    assert one.mean_energy_pj == pytest.approx(float(ratios @ costs.energy_pj[0]))
    assert one.weight_memory_bits == int(costs.weight_memory_bits)


def test_the_network_itself_comes_first_and_the_others_say_what_was_trained(context, whole):
    trained = predictions(whole)
    found = derived(context.evaluator, whole, trained)
    own = context.evaluator.derive(whole, trained)
    assert [r.genome for r in found[: len(own)]] == [r.genome for r in own]
    assert all(r.trained_as is None for r in found[: len(own)])
    fewer = found[len(own) :]
    assert fewer
    assert all(r.network == whole and set(r.genome.architecture.exits) < set(EXITS) for r in fewer)
    switched_off = replace(context.evaluator, leave_out=0)
    assert len(derived(switched_off, whole, trained)) == len(own)


def test_a_record_keeps_what_was_trained(context, whole):
    record = derived(context.evaluator, whole, predictions(whole))[-1]
    assert record.trained_as == whole
    assert DesignRecord.from_json(json.loads(json.dumps(record.to_json()))) == record


def test_records_of_earlier_versions_are_their_own_network(context, whole):
    values = context.evaluator.derive(whole, predictions(whole))[0].to_json()
    del values["trained_as"]
    assert DesignRecord.from_json(json.loads(json.dumps(values))).network == whole


def test_a_studys_derived_designs_have_fewer_exits_too(context, whole):
    context.evaluator.memo.get_or_train(whole, lambda: predictions(whole))
    written = write_derived(context, whole)
    assert any(r.trained_as == whole for r in written)
    assert read_derived(context, whole) == written
