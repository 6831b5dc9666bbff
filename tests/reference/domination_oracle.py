"""Constrained domination by a loop over all pairs."""

from __future__ import annotations


def plain_rank(trials) -> list[int]:
    """Number of trials that go before each one, by a loop over all pairs."""

    def before(one, two) -> bool:
        a, b = (sum(max(0.0, v) for v in t.constraints.values()) for t in (one, two))
        if a == 0 and b == 0:
            no_worse = all(x <= y for x, y in zip(one.values, two.values, strict=True))
            return no_worse and one.values != two.values
        return a < b

    return [sum(before(other, trial) for other in trials) for trial in trials]
