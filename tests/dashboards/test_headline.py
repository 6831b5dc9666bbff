from __future__ import annotations

import csv

import pytest

from dashboards.headline import savings


@pytest.fixture
def rows(run_folder):
    with (run_folder / "designs.csv").open(encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


@pytest.mark.parametrize("drop", [0.0, 0.01, 0.02, 0.05])
def test_equals_a_walk_through_the_file(data, rows, drop):
    best = None
    for row in rows:
        near = float(row["accuracy_drop"]) <= drop + 1e-9
        if row["feasible"] == "True" and near and (best is None or float(row["edp_relative"]) < best[0]):
            best = (float(row["edp_relative"]), row["design"])
    (saving,) = savings(data, (drop,))
    if best is None:
        assert saving.design is None
        assert saving.edp_change is None
    else:
        assert (saving.design, saving.edp_change) == (best[1], pytest.approx(best[0] - 1))


def test_the_case_has_both_a_saving_and_none(data):
    assert savings(data, (0.05,))[0].design is not None
    assert savings(data, (-1.0,))[0].design is None
