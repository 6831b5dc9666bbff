from __future__ import annotations

import numpy as np
import pytest

from models.architecture import HEAD_KINDS
from models.predictions import ExitPredictions
from study.memo import TrainedNetwork
from study.reference import NO_LOSS, StaticReference, choose_reference
from tests.study.bench import bench_context

N = 1000


def network(accuracy: float, samples: int) -> TrainedNetwork:
    """A static network that is right this often."""
    correct = np.arange(N)[:, None] < accuracy * N
    predictions = ExitPredictions(np.full((N, 1), 0.9, dtype=np.float32), correct)
    return TrainedNetwork(predictions, predictions, training_samples=samples, seconds=float(samples))


def jointly(fc: float, other: float) -> dict[str, TrainedNetwork]:
    return {kind: network(fc if kind == "fc" else other, 20) for kind in HEAD_KINDS}


@pytest.fixture(scope="module")
def context(tmp_path_factory):
    return bench_context(tmp_path_factory.mktemp("reference"))


@pytest.mark.parametrize(
    ("alone", "joint", "better"), [(0.8, 0.7, "alone"), (0.7, 0.8, "jointly"), (0.8, 0.8, "alone")]
)
def test_the_better_of_the_two_trainings_counts(context, alone, joint, better):
    reference = choose_reference(network(alone, 10), jointly(joint, 0.1), context.evaluator)
    assert reference.trained == better
    assert (reference.accuracy_alone, reference.accuracy_jointly) == (alone, joint)
    assert reference.record.accuracy == max(alone, joint)
    # What it cost to train is said of it as of any trial.
    samples = {"alone": 10, "jointly": 20}[better]
    assert (reference.record.source, reference.record.training_samples) == ("proposed", samples)
    assert reference.record.seconds == samples


def test_the_reference_is_the_static_network_on_the_default_allocation(context):
    record = choose_reference(network(0.8, 10), jointly(0.8, 0.8), context.evaluator).record
    assert record.genome.architecture == context.hardware.static_architecture
    assert record.genome.allocation == context.space.allocations.canonical(context.space.allocations.default)
    static = context.hardware.static
    assert (record.mean_latency_cycles, record.mean_energy_pj) == (static.latency_cycles, static.energy_pj)
    assert record.violation == 0


def test_the_best_static_design_is_the_cheapest_that_is_as_accurate(context):
    as_good = choose_reference(network(0.8, 10), jointly(0.8, 0.8 - NO_LOSS), context.evaluator)
    worse = choose_reference(network(0.8, 10), jointly(0.8, 0.797), context.evaluator)
    assert as_good.best_static.genome.architecture.heads == ("gap",)  # fewest weights
    assert worse.best_static.genome.architecture.heads == ("fc",)
    assert (
        as_good.best_static.mean_edp_pj_cycles
        < worse.best_static.mean_edp_pj_cycles
        <= worse.record.mean_edp_pj_cycles
    )


def test_it_survives_json(context):
    reference = choose_reference(network(0.8, 10), jointly(0.8, 0.8), context.evaluator)
    assert StaticReference.from_json(reference.to_json()) == reference
