from __future__ import annotations

import json

import numpy as np
import pytest

from hwcost.errors import OfframpError
from models.exit_policy import ExitPolicy


@pytest.mark.parametrize("score", ["max_softmax", "patience"])
def test_survives_json_exactly(score):
    policy = ExitPolicy([0.1 + 0.2, np.inf, 1e-300, -np.inf], score, [1 / 3, 1.0, 2.0, 5.0])
    text = json.dumps(policy.to_dict(), allow_nan=False)
    again = ExitPolicy.from_dict(json.loads(text))
    np.testing.assert_array_equal(again.thresholds, policy.thresholds)
    np.testing.assert_array_equal(again.temperatures, policy.temperatures)
    assert again.score == score


def test_an_early_exit_everybody_takes_survives_json():
    again = ExitPolicy.from_dict(
        json.loads(json.dumps(ExitPolicy([-np.inf, -np.inf]).to_dict(), allow_nan=False))
    )
    assert again.thresholds[0] <= -1e300


def test_one_temperature_serves_every_exit_and_none_is_one():
    assert ExitPolicy([0.5, -np.inf], temperatures=2.0).temperatures.tolist() == [2, 2]
    assert ExitPolicy([0.5, -np.inf]).temperatures.tolist() == [1, 1]


def test_arrays_are_copied_and_read_only():
    thresholds = np.array([0.5, -np.inf])
    policy = ExitPolicy(thresholds)
    thresholds[0] = 0.9
    assert policy.thresholds[0] == 0.5
    for array in (policy.thresholds, policy.temperatures):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 0.0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([0.5, 0.5],), "-inf as threshold of the last exit"),
        (([np.nan, -np.inf],), "without NaN"),
        (([],), "shape"),
        (([0.5, -np.inf], "loudness"), "expected a score out of max_softmax"),
        (([0.5, -np.inf], "margin", [1.0]), "2 temperatures"),
        (([0.5, -np.inf], "margin", [1.0, 0.0]), "above 0"),
        (([0.5, -np.inf], "margin", [1.0, np.nan]), "above 0"),
    ],
)
def test_wrong_values_are_refused(arguments, message):
    with pytest.raises(OfframpError, match=message):
        ExitPolicy(*arguments)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"score": "loudness"}, "score out of"),
        ({"thresholds": ["x"]}, "expected numbers"),
        ({"thresholds": 3}, "expected numbers"),
        ({"temperatures": [1.0]}, "2 temperatures"),
        ({"extra": 1}, "expected an exit policy with score, temperatures, thresholds"),
    ],
)
def test_wrong_json_is_refused(change, message):
    good = ExitPolicy.shared(0.8, 2).to_dict()
    with pytest.raises(OfframpError, match=message):
        ExitPolicy.from_dict({**good, **change})
