from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from models.architecture import Architecture
from models.calibration_error import calibration_errors
from models.predictions import ExitPredictions
from study.genome import Genome
from study.memo import PredictionMemo, TrainedNetwork
from study.reliability import COLUMNS, exit_bins, reliability
from study.tables import Design
from tests.study.spaces import record


def predictions(n=300, seed=0):
    rng = np.random.default_rng(seed)
    confidence = rng.uniform(0.1, 1.0, (n, 2)).astype(np.float32)
    return ExitPredictions(confidence, rng.random((n, 2)) < confidence)


def test_bins_hold_every_sample_once_by_rising_confidence():
    given = predictions()
    bins = exit_bins(given, 1)
    assert sum(b["samples"] for b in bins) == 300
    assert max(b["samples"] for b in bins) - min(b["samples"] for b in bins) <= 1
    assert [b["confidence"] for b in bins] == sorted(b["confidence"] for b in bins)
    right = sum(b["samples"] * b["accuracy"] for b in bins)
    assert right == pytest.approx(given.correct[:, 1].sum())


def test_bins_give_the_calibration_error_that_is_reported():
    given = predictions(seed=3)
    for k, error in enumerate(calibration_errors(given.confidence, given.correct)):
        bins = exit_bins(given, k)
        by_hand = sum(b["samples"] * abs(b["accuracy"] - b["confidence"]) for b in bins) / 300
        assert by_hand == pytest.approx(error)


def test_fewer_samples_than_bins():
    assert [b["samples"] for b in exit_bins(predictions(4), 0)] == [1, 1, 1, 1]


def test_one_entry_a_network_of_the_front(tmp_path):
    memo = PredictionMemo(tmp_path, {})
    static = Architecture.static(5)
    early = replace(static, exits=(1,), heads=("fc", "fc"))
    lost = replace(static, exits=(3,), heads=("fc", "fc"))
    memo.store(early, TrainedNetwork(predictions(seed=1), predictions(seed=2), 1, 1.0))
    memo.store(static, TrainedNetwork(predictions().select([1]), predictions().select([1]), 1, 1.0))
    designs = [
        Design(replace(record(), genome=Genome(network, (1, 1, core), 0.0, 0)), 0)
        for network in (early, static, lost)
        for core in (0, 1)
    ]
    frame = reliability(designs, memo.find)
    assert tuple(frame.columns) == COLUMNS
    assert set(frame["architecture"]) == {early.key()[:12], static.key()[:12]}
    # The static design again, of the network whose early exit was left out: rows of its own.
    again = Design(replace(designs[2].record, trained_as=early), 0)
    both = reliability([designs[2], again], memo.find)
    assert set(zip(both["architecture"], both["network"], strict=True)) == {
        (static.key()[:12], static.key()[:12]), (static.key()[:12], early.key()[:12]),
    }  # fmt: skip
    of_early = both[both["network"] == early.key()[:12]]
    expected = exit_bins(predictions(seed=2), 1)
    assert of_early["accuracy"].tolist() == [row["accuracy"] for row in expected]
    assert not frame.duplicated(["architecture", "exit", "bin"]).any()
    rows = frame[frame["architecture"] == early.key()[:12]]
    assert rows.drop_duplicates("exit")["block"].tolist() == [1, 4]
    assert rows[rows["exit"] == 0]["accuracy"].tolist() == [
        b["accuracy"] for b in exit_bins(predictions(seed=2), 0)
    ]
