"""A table as JSON rows that keep every digit."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd


def json_rows(table: pd.DataFrame) -> list[dict[str, Any]]:
    """One mapping a row of plain JSON values; what is missing, NaN or infinite is None.

    `DataFrame.to_json` keeps ten decimal places, of which a product in joule seconds has few or none.
    """
    return [{str(key): _plain(value) for key, value in row.items()} for row in table.to_dict("records")]


def _plain(value: Any) -> Any:
    if isinstance(value, np.generic):
        value = value.item()
    if value is pd.NA or value is pd.NaT or (isinstance(value, float) and not math.isfinite(value)):
        return None
    return value
