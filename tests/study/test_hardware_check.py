"""Constraints of many designs in one call."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from hwcost import cost_model
from hwcost.errors import OfframpError
from study.bounds import Bound, Bounds
from study.metrics import metric_named
from tests.study.bench import bench_context
from tests.study.test_hardware import random_genomes


@pytest.fixture(scope="module")
def context(tmp_path_factory):
    return bench_context(tmp_path_factory.mktemp("study"))


def test_constraints_of_many_genomes(context):
    genomes = random_genomes(context, 25, seed=1)
    allocations = np.array([genome.allocation for genome in genomes])
    together = context.hardware.stage_costs_of([g.architecture for g in genomes], allocations)
    view = context.hardware.view(together, allocations)
    met = context.evaluator.bounds.met_before_training(view)
    assert met.tolist() == [context.evaluator.check.one(genome) for genome in genomes]
    assert met.tolist() == context.evaluator.check.many(genomes)
    assert 0 < met.sum() < 25


def test_a_design_on_a_bound_meets_it_among_others_too(context):
    """Its cost among others differs from that alone in last digits, which must not decide."""
    genomes = random_genomes(context, 12, seed=2)
    evaluator = context.evaluator
    for genome in genomes:
        limit = float(context.hardware.cost_of(genome).worst_latency_cycles[0])
        seconds = limit / context.hardware.static.clock_hz
        metric = metric_named("worst_latency")
        for value, met in ((seconds, True), (seconds * (1 - 1e-12), True), (seconds * (1 - 1e-8), False)):
            strict = replace(evaluator, bounds=Bounds((Bound(metric, value),)))
            assert strict.check.one(genome) is met
            assert strict.check.many([genome, *genomes])[0] is met


def test_layers_that_were_foreseen_are_not_mapped_again(context, tmp_path, monkeypatch):
    space, check = context.space, bench_context(tmp_path).evaluator.check
    rng = np.random.default_rng(3)
    genomes = [space.decode(space.random(rng)) for _ in range(40)]
    expected = context.evaluator.check.many(genomes)
    check.foresee(space, np.random.default_rng(3), count=40)
    monkeypatch.setattr(cost_model, "map_layers", lambda *_, **__: pytest.fail("mapped again"))
    assert check.many(genomes) == expected


def test_what_cannot_be_costed_is_not_told_before_a_design_needs_it(context, monkeypatch):
    def refuse(*_: object, **__: object) -> None:
        raise OfframpError("layer 'x' can run on no core")

    check = context.evaluator.check
    monkeypatch.setattr(type(check.hardware), "stage_costs_of", refuse)
    genomes = random_genomes(context, 2, seed=4)
    check.foresee(context.space, np.random.default_rng(4))
    with pytest.raises(OfframpError, match="on no core"):
        check.look_at(genomes)
