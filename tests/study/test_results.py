"""Tables with gaps, as they are read."""

from __future__ import annotations

import pandas as pd

from study.results import as_read, load_run
from tests.dashboards.synthetic_run import write_gaps, write_run


def test_columns_with_gaps_are_numbers(tmp_path):
    write_gaps(write_run(tmp_path, trials=8))
    run = load_run(tmp_path)
    assert run.refined["trial"].tolist()[2:] == list(range(2, len(run.refined)))
    assert run.refined["trial"].isna().tolist()[:3] == [True, True, False]
    calibration = [(run.exits, name) for name in ("calibration_error", "raw_calibration_error")]
    for table, column in ((run.refined, "batch_size"), *calibration):
        assert pd.api.types.is_numeric_dtype(table[column])
        assert table[column].isna().sum() == 1
    assert pd.api.types.is_integer_dtype(run.designs["trial"])  # no gaps there


def test_a_table_that_was_just_made_is_as_it_would_be_read():
    rungs = pd.array([0, None], dtype="Int64")
    made = pd.DataFrame({"trial": [1, 2], "rung": rungs, "calibration_error": [None, 0.1]})
    read = as_read(made)
    assert read["trial"].dtype == made["trial"].dtype
    assert read["rung"].tolist()[0] == 0
    assert read[["rung", "calibration_error"]].isna().to_numpy().sum() == 2
    assert {str(read[name].dtype) for name in ("rung", "calibration_error")} == {"float64"}
