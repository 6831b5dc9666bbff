"""The figure of refined designs against `refined.csv`."""

from __future__ import annotations

import dataclasses

import numpy as np
import pandas as pd
import pytest

from dashboards.figures import refined
from dashboards.members import report_data
from dashboards.numbers import report_numbers
from hwcost.errors import OfframpError
from study.results import load_run
from tests.dashboards.synthetic_run import write_run


def test_points_and_bars_are_those_of_the_table(data, run_folder):
    table = pd.read_csv(run_folder / "refined.csv", dtype={"design": str})
    figures = refined.view(data, []).figures
    for variant, column in (("accuracy", "accuracy"), ("drop", "accuracy_drop")):
        traces = figures[variant]["data"]
        drawn = sorted((x, y) for trace in traces for x, y in zip(trace["x"], trace["y"], strict=True))
        wanted = sorted(zip(table["edp_relative"], 100 * table[column], strict=True))
        np.testing.assert_allclose(drawn, wanted)
        above = [bar for trace in traces for bar in trace["error_y"]["array"]]
        assert above == pytest.approx([0.2 if variant == "accuracy" else 0.3] * len(table))


def test_the_static_designs_and_the_front_are_told_apart(data):
    names = [trace["name"] for trace in refined.view(data, []).figures["drop"]["data"]]
    assert names[-3:] == ["refined front", "static reference", "best static design"]


def test_a_single_seed_has_no_spread(tmp_path):
    run = write_run(tmp_path / "run", trials=6)
    table = pd.read_csv(run / "refined.csv", dtype={"design": str})
    table.assign(seeds=1, accuracy_std=None).to_csv(run / "refined.csv", index=False)
    view = refined.view(report_data(load_run(run)), [])
    assert "1 seed," in view.note
    assert {bar for t in view.figures["accuracy"]["data"] for bar in t["error_y"]["array"]} == {0.0}


def test_a_table_without_a_column_is_refused_by_name(data):
    short = dataclasses.replace(data.results, refined=data.results.refined.drop(columns=["accuracy_std"]))
    with pytest.raises(OfframpError, match=r"accuracy_std in refined\.csv.*study\.refine"):
        report_data(short)


def test_numbers_for_programs_have_the_refined_designs(data, run_folder):
    table = pd.read_csv(run_folder / "refined.csv", dtype={"design": str})
    rows = report_numbers(data)["refined"]
    assert [row["design"] for row in rows] == table["design"].tolist()
    assert [row["accuracy_drop_high"] for row in rows] == pytest.approx(table["accuracy_drop_high"].tolist())
