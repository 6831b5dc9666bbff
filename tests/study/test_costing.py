"""What is known of designs without a trial."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from study.config import SearchConfig
from study.costing import Costed, SimulatedCosting
from study.metrics import METRIC_NAMES, Objectives
from study.samplers import make_sampler
from study.storage import store_result
from tests.study.bench import bench_context, run_trials


@pytest.fixture(scope="module")
def context(tmp_path_factory):
    return bench_context(tmp_path_factory.mktemp("study"))


def rows(context, n: int, seed: int = 0) -> tuple[np.ndarray, list[dict[str, int]]]:
    rng = np.random.default_rng(seed)
    genes = [context.space.random(rng) for _ in range(n)]
    return np.array([[g[name] for name in context.space.genes()] for g in genes]), genes


@pytest.mark.parametrize("seconds", [False, True])
def test_means_of_measured_shares_are_the_measured_means(context, seconds):
    """Whatever the unit: what a record says follows from its shares and what its exits cost."""
    names = tuple(name for name in METRIC_NAMES if name not in ("error", "area"))
    objectives = Objectives.named(names, seconds)
    costing = replace(context.evaluator.costing, objectives=objectives)
    designs, genes = rows(context, 6)
    costed = costing.cost(designs)
    for row, design in enumerate(genes):
        genome = context.space.decode(design)
        if not costed.meets[row]:
            continue
        record = context.evaluator.evaluate(genome)
        slots = costing.slots(design)
        for column, value in enumerate(objectives.values(record)):
            at_exits = costed.at_exits[row, :, column]
            if np.isnan(at_exits).all():
                assert costed.exact[row, column] == pytest.approx(value, rel=1e-9)
                continue
            assert np.isnan(costed.exact[row, column])
            assert sorted(np.flatnonzero(~np.isnan(at_exits)).tolist()) == slots
            assert float(np.dot(record.exit_ratios, at_exits[slots])) == pytest.approx(value, rel=1e-9)
    assert costed.meets.any()


def test_constraints_are_those_of_the_check(context):
    designs, genes = rows(context, 20, seed=5)
    genomes = [context.space.decode(design) for design in genes]
    costed = context.evaluator.costing.cost(designs)
    assert costed.meets.tolist() == [context.evaluator.check.one(genome) for genome in genomes]
    assert 0 < costed.meets.sum() < 20
    first = costed.first(3)
    assert first.meets.tolist() == costed.meets[:3].tolist()
    assert first.at_exits.shape == (3, *costed.at_exits.shape[1:])


def test_the_error_is_not_known(context):
    costing: SimulatedCosting = context.evaluator.costing
    costed = costing.cost(rows(context, 2)[0])
    column = costing.objectives.columns.index("error")
    assert np.isnan(costed.exact[:, column]).all()
    assert np.isnan(costed.at_exits[..., column]).all()


class Watched:
    """The costing of a study; keeps what it was asked."""

    def __init__(self, costing: SimulatedCosting) -> None:
        self.costing, self.n_slots, self.slots = costing, costing.n_slots, costing.slots
        self.costed: list[set[tuple[int, ...]]] = []
        self.checked: list[set[tuple[int, ...]]] = []

    def cost(self, designs: np.ndarray) -> Costed:
        self.costed.append({tuple(row) for row in designs.tolist()})
        return self.costing.cost(designs)

    def meet(self, designs) -> list[bool]:
        self.checked.append({tuple(genes[name] for name in self.costing.names) for genes in designs})
        return self.costing.meet(designs)


@pytest.mark.parametrize(("exit_costs", "hardware_first"), [(True, True), (True, False), (False, True)])
def test_a_search_asks_for_costs_once_and_proposes_what_meets_the_constraints(
    tmp_path, exit_costs, hardware_first
):
    context = bench_context(tmp_path)
    study = run_trials(context, 12)
    watched = Watched(context.evaluator.costing)
    config = SearchConfig(exit_costs=exit_costs, hardware_first=hardware_first, skip=False)
    study.sampler = make_sampler(config, context.space, 4, 1, watched)
    for _ in range(6):
        trial = study.ask(context.space.distributions())
        genome = context.space.decode(trial.params)
        assert context.evaluator.check.one(genome) or not hardware_first
        record = context.evaluator.evaluate(genome)
        store_result(trial, record)
        study.tell(trial, context.evaluator.objectives.values(record))
    assert bool(watched.costed) is exit_costs
    assert hardware_first or not watched.checked
    assert watched.checked or exit_costs  # one of the two says what meets the constraints
    for costed in watched.costed:
        assert len(costed) > 5
        assert not any(costed & checked for checked in watched.checked)
