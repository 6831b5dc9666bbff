"""Rounding up quotients of averages."""

from __future__ import annotations

import numpy as np

# Averages such as 23 / 5 are not exact: five of them can come to a little more than 23. What is left above a
# whole number by such errors is far below this share of it.
_SHARE = 1e-12


def round_up(values: np.ndarray | float) -> np.ndarray:
    """The next whole number, where a value that is whole but for floating-point errors counts as whole."""
    result: np.ndarray = np.ceil(np.asarray(values) * (1.0 - _SHARE))
    return result
