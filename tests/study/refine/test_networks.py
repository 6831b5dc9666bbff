from __future__ import annotations

import dataclasses
from dataclasses import replace
from pathlib import Path

import pytest

from models.checkpoint import read_checkpoint
from study.refine.networks import RefinedNetworks, Training
from study.setup import load_data
from tests.study.refine.runs import networks_of


@pytest.fixture
def refined(run: Path, cache: Path) -> tuple[RefinedNetworks, list[Training]]:
    networks, trainings, _ = networks_of(run, cache)
    return networks, trainings


def test_every_network_is_trained_with_every_seed_and_the_reference_both_ways(refined) -> None:
    networks, trainings = refined
    static = networks.context.hardware.static_architecture.key()
    assert len(set(trainings)) == len(trainings)
    assert [(t.replicate, t.jointly) for t in trainings[:4]] == [(0, True), (1, True), (0, False), (1, False)]
    assert {t.architecture.key() for t in trainings[:4]} == {static}
    assert [t.alone for t in trainings[:4]] == [False, False, True, True]
    designs = [t for t in trainings if not t.jointly and not t.alone]
    for key in {t.architecture.key() for t in designs}:
        assert [t.replicate for t in designs if t.architecture.key() == key] == [0, 1]
    assert all(networks.done(training) for training in trainings)


def test_equal_seeds_give_equal_networks_and_others_do_not(refined, tmp_path: Path) -> None:
    """The same training again, elsewhere and after others, gives the same predictions bit by bit."""
    networks, trainings = refined
    first, second = trainings[-2:]
    assert first.architecture == second.architecture
    paths = dataclasses.replace(networks.context.paths, out=tmp_path / "other")
    again = replace(networks, context=replace(networks.context, paths=paths))
    assert again.find(second) is None
    again.train(second)
    one, two, repeated = networks.find(first), networks.find(second), again.find(second)
    assert one is not None
    assert two is not None
    assert repeated is not None
    assert repeated.validation.equals(two.validation)
    assert repeated.calibration.equals(two.calibration)
    assert not one.validation.equals(two.validation)
    weights = [read_checkpoint(n.checkpoint(second)).tensors for n in (networks, again)]
    assert all((weights[0][name] == weights[1][name]).all() for name in weights[0])


def test_seeds_know_rung_and_budget(refined) -> None:
    networks, trainings = refined
    other = replace(networks, recipe=replace(networks.recipe, epochs=2 * networks.recipe.epochs))
    assert not any(other.done(training) for training in trainings)
    assert networks.rung == 1
    found = networks.find(trainings[-1])
    assert found is not None
    assert found.rung == 1
    n_train = len(networks.context.data.train_images)
    assert found.training_samples == networks.recipe.training_samples(n_train)
    # The search's own training of this architecture is another one.
    searched = networks.context.evaluator.memo.find(trainings[-1].architecture)
    assert searched is not None
    assert not searched.validation.equals(found.validation)


def test_a_training_without_its_weights_is_not_done(refined) -> None:
    networks, trainings = refined
    alone, joint = trainings[-1], trainings[0]
    networks.checkpoint(alone).unlink()
    assert not networks.done(alone)
    gap = replace(joint, architecture=networks.joint_architectures()["gap"])
    assert networks.done(joint)
    networks.checkpoint(gap).unlink()
    assert networks.find(joint) is not None
    assert not networks.done(joint)


def test_a_divergence_is_remembered(refined) -> None:
    networks, trainings = refined
    training = replace(trainings[-1], replicate=7)
    assert networks.failure(training) is None
    networks.note_failure(training, "the loss became NaN")
    assert networks.failure(training) == "the loss became NaN"
    assert networks.done(training)
    assert not networks.done(replace(training, replicate=8))


def test_the_parts_of_a_joint_training_are_networks_of_their_own(refined) -> None:
    """What is measured on test images is what was measured on validation: here on the same images."""
    from models.training_data import TestSplit
    from models.unseen import unseen_predictions

    networks, trainings = refined
    context = networks.context
    data = load_data(context.config, context.paths.cache)
    validation = TestSplit(data.validation_images, data.validation_labels, data.mean, data.std)
    for kind, architecture in networks.joint_architectures().items():
        training = replace(trainings[0], architecture=architecture)
        network = networks.find(training)
        assert network is not None
        again = unseen_predictions(
            networks.checkpoint(training), context.spec, validation, network.calibration.temperatures
        )
        assert (again.correct == network.validation.correct).all(), kind
        assert abs(again.confidence - network.validation.confidence).max() < 1e-6
