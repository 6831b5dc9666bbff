from __future__ import annotations

import json

import numpy as np
import pandas as pd

from study.json_rows import json_rows


def test_small_numbers_keep_every_digit():
    table = pd.DataFrame({"mean_edp_joule_seconds": [4.844802157943519e-08, 4.4e-12, 0.1]})
    found = [row["mean_edp_joule_seconds"] for row in json.loads(json.dumps(json_rows(table)))]
    assert found == table["mean_edp_joule_seconds"].tolist()


def test_what_is_missing_is_null_and_types_are_plain():
    table = pd.DataFrame(
        {
            "count": pd.array([3, None], dtype="Int64"),
            "share": [np.inf, np.nan],
            "name": ["a", None],
            "good": [True, False],
        }
    )
    text = json.dumps(json_rows(table), allow_nan=False)
    assert json.loads(text) == [
        {"count": 3, "share": None, "name": "a", "good": True},
        {"count": None, "share": None, "name": None, "good": False},
    ]
