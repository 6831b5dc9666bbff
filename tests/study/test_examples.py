from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from models.architecture import Architecture
from study.derived import DerivedDesigns, write_derived
from study.examples import Examples
from study.leaving_out import derive_keeping, sets_to_derive
from tests.study.bench import bench_context

WIDE = Architecture((1, 4, 7), ("fc",) * 4, (4,) * 12, (4,) * 12)
NARROW = Architecture((), ("gap",), (6,) * 12, (6,) * 12)


@pytest.fixture(scope="module")
def context(tmp_path_factory):
    found = bench_context(tmp_path_factory.mktemp("examples"), space={"allocation": False})
    return replace(found, evaluator=replace(found.evaluator, leave_out=8))


def derived(context, architecture):
    evaluator = context.evaluator
    network, _ = evaluator.memo.get_or_train(architecture, lambda: evaluator.train(architecture))
    return derive_keeping(
        evaluator, architecture, network, sets_to_derive(evaluator, architecture, [network])
    )


def examples_of(context, most: int = 8) -> Examples:
    space, evaluator = context.space, context.evaluator
    return Examples(list(space.genes()), space.encode, evaluator.objectives, evaluator.costing, most)


def test_an_example_is_what_a_trial_of_its_genes_would_say_of_the_network(context):
    records = derived(context, WIDE)
    examples = examples_of(context)
    examples.add(records)
    found = examples.take(100)
    assert 2 < len(found.genes) <= 8
    names, evaluator = list(context.space.genes()), context.evaluator
    by_key = {record.genome.key(): record for record in records}
    fewer_exits = 0
    for genes, values, excess, leaving in zip(
        found.genes.tolist(), found.values, found.excess, found.leaving, strict=True
    ):
        genome = context.space.decode(dict(zip(names, genes, strict=True)))
        record = by_key[genome.key()]
        assert tuple(values) == evaluator.objectives.values(record)
        assert excess == max(record.violations.values())
        assert excess <= 0
        slots = [*(context.space.mounting_points.index(b) for b in genome.architecture.exits), -1]
        assert leaving[slots].tolist() == list(record.exit_ratios)
        assert np.isnan(np.delete(leaving, slots)).all()
        fewer_exits += record.trained_as is not None
    assert fewer_exits
    for value in found.values:  # none that another design of the network beats
        assert not any(
            np.less_equal(evaluator.objectives.values(r), value).all()
            and np.less(evaluator.objectives.values(r), value).any()
            for r in records
            if r.may_lead
        )


def test_networks_share_the_room_alike_and_a_later_word_replaces_an_earlier_one(context):
    wide, narrow = derived(context, WIDE), derived(context, NARROW)
    examples = examples_of(context)
    examples.add([*wide, *narrow])
    everything = examples.take(100)
    strict = [record for record in wide if record.genome.policy_target == 0.0]
    examples.add(strict)
    targets = list(context.space.genes()).index("policy_target")
    replaced = examples.take(100)
    assert set(replaced.genes[:, targets].tolist()) == {0}
    assert set(everything.genes[:, targets].tolist()) > {0}
    examples.add(wide)
    assert np.array_equal(examples.take(100).genes, everything.genes)
    few = examples.take(5)  # two of the wide one; the narrow one, static on one allocation, has one design
    assert len(few.genes) <= 4
    assert {tuple(row) for row in few.genes.tolist()} <= {tuple(row) for row in everything.genes.tolist()}
    errors = everything.values[:, 0]
    assert few.values[0, 0] == errors[: len(everything.genes) - 1].min()  # both ends of the wide one
    assert examples.take(1).genes.shape == (0, len(context.space.genes()))


def test_none_are_kept_where_none_are_wanted(context):
    examples = examples_of(context, most=0)
    examples.add(derived(context, WIDE))
    found = examples.take(100)
    assert found.genes.shape == (0, len(context.space.genes()))
    assert found.values.shape == (0, 3)
    assert found.leaving.shape == (0, context.evaluator.costing.n_slots)


def test_a_runs_folder_is_read_as_its_files_come(context):
    evaluator = context.evaluator
    followed = DerivedDesigns(context)
    assert len(followed.examples(100).genes) == 0
    for architecture in (WIDE, NARROW):
        evaluator.memo.get_or_train(architecture, lambda a=architecture: evaluator.train(a))
        write_derived(context, architecture)
        examples = examples_of(context)
        examples.add(derived(context, WIDE))
        if architecture == NARROW:
            examples.add(derived(context, NARROW))
        assert np.array_equal(followed.examples(100).genes, examples.take(100).genes)
