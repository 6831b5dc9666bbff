"""How well two columns agree."""

from __future__ import annotations

import numpy as np

Array = np.ndarray


def relative_errors(ours: Array, theirs: Array) -> Array:
    """ours / theirs - 1."""
    result: Array = np.asarray(ours, dtype=np.float64) / np.asarray(theirs, dtype=np.float64) - 1
    return result


def error_summary(ours: Array, theirs: Array) -> dict[str, float]:
    """Mean, 95th percentile and maximum of the absolute relative error, and the largest excess, as fractions."""
    errors = relative_errors(ours, theirs)
    size = np.abs(errors)
    return {
        "mape": float(size.mean()),
        "p95": float(np.percentile(size, 95)),
        "max": float(size.max()),
        "worse_max": float(errors.max()),
    }


def ranks(values: Array) -> Array:
    """Ranks from 1; equal values share their mean rank."""
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = counts.cumsum()
    result: Array = (last - (counts - 1) / 2)[inverse]
    return result


def spearman(one: Array, other: Array) -> float | None:
    """Rank correlation; None where one side does not vary."""
    a, b = ranks(one), ranks(other)
    if len(a) < 2 or a.std() == 0 or b.std() == 0:
        return None
    return float(np.corrcoef(a, b)[0, 1])


def kendall(one: Array, other: Array) -> float | None:
    """Kendall's tau-b; None where one side does not vary."""
    a = np.sign(np.subtract.outer(one, one))
    b = np.sign(np.subtract.outer(other, other))
    scale = np.sqrt((a**2).sum() * (b**2).sum())
    return float((a * b).sum() / scale) if scale else None
