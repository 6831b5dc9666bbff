"""The numbers for programs: plain values, and null where there is none."""

from __future__ import annotations

import json

import pytest

from dashboards.members import report_data
from dashboards.numbers import report_numbers
from study.results import load_run
from tests.dashboards.synthetic_run import write_gaps, write_run


def test_what_is_missing_is_null_and_the_rest_are_numbers(tmp_path):
    write_gaps(write_run(tmp_path, trials=8))
    text = json.dumps(report_numbers(report_data(load_run(tmp_path))), allow_nan=False)
    values = json.loads(text)
    trials = [row["trial"] for row in values["refined"]]
    assert trials == [None, None, *range(2, len(trials))]
    assert all(isinstance(trial, int) for trial in trials[2:])  # 3, not 3.0
    assert [row["batch_size"] for row in values["refined"]] == [None, *[64] * (len(trials) - 1)]
    assert {row["rung"] for row in values["refined"]} == {0}
    points = [point for member in values["front"] for point in member["exit_points"]]
    for name in ("calibration_error", "raw_calibration_error"):
        found = [point[name] for point in points]
        assert found.count(None) == 1
        assert all(isinstance(value, float) for value in found if value is not None)
    assert sum(point["ratio"] for point in values["front"][0]["exit_points"]) == pytest.approx(1)
