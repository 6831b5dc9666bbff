"""Designs are checked several at once, and none twice."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from study.checking import AHEAD, DesignChecks, Draws, Genes

NAMES = ("a", "b")


def designs_of(values: Sequence[int]) -> list[dict[str, int]]:
    return [{"a": value, "b": value % 3} for value in values]


class Counted:
    """Meets the constraints where `a` is even; keeps what it was asked."""

    def __init__(self) -> None:
        self.calls: list[list[int]] = []

    def __call__(self, designs: Sequence[Genes]) -> list[bool]:
        self.calls.append([genes["a"] for genes in designs])
        return [genes["a"] % 2 == 0 for genes in designs]


@given(st.lists(st.integers(0, 9), max_size=12), st.sets(st.integers(0, 9)))
def test_the_first_wanted_design_that_meets_the_constraints_is_found(values, unwanted):
    check, told = Counted(), []
    checks = DesignChecks(check, NAMES, lambda row, met: told.append((row, met)))
    found = checks.first(designs_of(values), lambda genes: genes["a"] not in unwanted)
    plain = [i for i, value in enumerate(values) if value not in unwanted and value % 2 == 0]
    assert found == (plain[0] if plain else None)
    asked = [value for call in check.calls for value in call]
    assert len(set(asked)) == len(asked)  # none twice
    assert not unwanted & set(asked)
    assert told == [((value, value % 3), value % 2 == 0) for value in asked]
    if found is not None:  # looked ahead, but no further than one call
        assert len(asked) <= len(set(values[: found + 1]) - unwanted) + AHEAD - 1


def test_designs_are_checked_in_one_call_and_remembered():
    check = Counted()
    checks = DesignChecks(check, NAMES, lambda row, met: None)
    checks.look_at(designs_of([1, 2, 3, 2]))
    assert check.calls == [[1, 2, 3]]
    assert [checks.meets(genes) for genes in designs_of([1, 2, 3])] == [False, True, False]
    checks.look_at(designs_of([3, 4]))
    assert check.calls == [[1, 2, 3], [4]]


def test_without_a_check_everything_is_met_and_nothing_is_looked_at_ahead():
    checks = DesignChecks(None, NAMES, lambda row, met: 1 / 0)
    assert checks.ahead == 1
    assert checks.first(designs_of([3, 5]), lambda genes: genes["a"] == 5) == 1


@given(st.lists(st.integers(0, 9), min_size=1, max_size=20), st.sets(st.integers(0, 9)), st.integers(1, 5))
def test_draws_end_and_the_latest_wanted_one_is_kept(values, unwanted, count):
    source = iter(designs_of(values))
    draws = Draws(lambda: next(source), lambda genes: genes["a"] not in unwanted, len(values))
    taken = []
    while found := draws.take(count):
        assert len(found) <= count
        taken += found
    assert taken == [genes for genes in designs_of(values) if genes["a"] not in unwanted]
    assert draws.latest == (taken[-1] if taken else designs_of(values)[-1])


def test_an_outcome_from_elsewhere_is_not_asked_for_again():
    check, told = Counted(), []
    checks = DesignChecks(check, NAMES, lambda row, met: told.append((row, met)))
    checks.take([3, 0], True)
    checks.take([3, 0], False)  # known already
    assert checks.meets({"a": 3, "b": 0})
    assert check.calls == []
    assert told == [((3, 0), True)]


def test_only_the_latest_outcomes_are_remembered(monkeypatch):
    monkeypatch.setattr("study.checking.MOST_KNOWN", 3)
    check = Counted()
    checks = DesignChecks(check, NAMES, lambda row, met: None)
    checks.look_at(designs_of(range(5)))
    assert [checks.meets(design) for design in designs_of(range(5))] == [True, False, True, False, True]
    assert len(checks._known) == 3
