from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from hwcost.errors import OfframpError
from models.predictions import ExitPredictions
from models.scores import SCORES, RunningScore, agreements, check_score, read_logits

LOGITS = hnp.arrays(
    np.float32,
    st.tuples(st.integers(1, 6), st.integers(1, 4), st.integers(2, 5)),
    elements=st.floats(-30, 30, width=32),
)


def predictions_of(logits, temperatures):
    readings = read_logits(logits, temperatures)
    return ExitPredictions(
        readings.confidence,
        np.ones(logits.shape[:2], bool),
        readings.entropy,
        readings.margin,
        readings.predicted,
    )


@given(logits=LOGITS, temperature=st.sampled_from([0.3, 1.0, 2.5]))
@settings(max_examples=60, deadline=None)
def test_readings_agree_with_a_plain_softmax(logits, temperature):
    readings = read_logits(logits, temperature)
    for index in np.ndindex(logits.shape[:2]):
        row = [float(v) / temperature for v in logits[index]]
        exps = [math.exp(v - max(row)) for v in row]
        probabilities = sorted((e / sum(exps) for e in exps), reverse=True)
        assert readings.confidence[index] == pytest.approx(probabilities[0], rel=1e-6)
        assert readings.margin[index] == pytest.approx(probabilities[0] - probabilities[1], abs=1e-6)
        entropy = -sum(p * math.log(p) for p in probabilities if p > 0)
        assert readings.entropy[index] == pytest.approx(entropy, rel=1e-5, abs=1e-9)
        assert readings.predicted[index] == row.index(max(row))


def test_a_surer_sample_has_the_larger_score_whatever_the_score():
    sure, unsure = read_logits([[5.0, 0.0, 0.0]]), read_logits([[1.0, 0.9, 0.8]])
    for name in ("max_softmax", "entropy", "margin"):
        scores = [
            ExitPredictions(
                r.confidence[None], np.ones((1, 1), bool), r.entropy[None], r.margin[None]
            ).scores(name)
            for r in (sure, unsure)
        ]
        assert scores[0] > scores[1]


def test_temperatures_belong_to_exits():
    logits = np.random.default_rng(0).normal(size=(5, 3, 4))
    together = read_logits(logits, [0.5, 1.0, 4.0])
    for k, temperature in enumerate([0.5, 1.0, 4.0]):
        np.testing.assert_array_equal(
            together.confidence[:, k], read_logits(logits[:, k], temperature).confidence
        )


def test_huge_logits_are_certain_and_not_nan():
    readings = read_logits(np.array([[1e30, -1e30], [-3e38, 3e38]], np.float32))
    np.testing.assert_array_equal(readings.confidence, 1)
    np.testing.assert_array_equal(readings.entropy, 0)
    np.testing.assert_array_equal(readings.predicted, [0, 1])


def test_agreements_count_the_exits_directly_before():
    classes = [[3, 3, 3, 3], [3, 1, 1, 1], [1, 1, 2, 1], [0, 1, 2, 3]]
    assert agreements(classes).tolist() == [[0, 1, 2, 3], [0, 0, 1, 2], [0, 1, 0, 0], [0, 0, 0, 0]]


@given(logits=LOGITS, name=st.sampled_from(SCORES), data=st.data())
@settings(max_examples=120, deadline=None)
def test_a_batch_that_shrinks_gives_the_scores_of_all_exits_at_once(logits, name, data):
    n_samples, n_exits, _ = logits.shape
    temperatures = np.linspace(0.5, 2.0, n_exits)
    at_once = predictions_of(logits, temperatures).scores(name)
    running = RunningScore(name, temperatures)
    there = np.arange(n_samples)
    for k in range(n_exits):
        np.testing.assert_array_equal(running.score(logits[there, k]), at_once[there, k])
        stays = np.array(
            data.draw(st.lists(st.booleans(), min_size=len(there), max_size=len(there))), dtype=bool
        )
        running.keep(stays)
        there = there[stays]


def test_more_exits_than_temperatures_are_refused():
    running = RunningScore("margin", [1.0])
    running.score(np.zeros((2, 3)))
    with pytest.raises(OfframpError, match="at most 1 exits"):
        running.score(np.zeros((2, 3)))


def test_unknown_score_is_refused():
    with pytest.raises(OfframpError, match=r"max_softmax, entropy, margin, patience, got 'confidence'"):
        check_score("confidence")
