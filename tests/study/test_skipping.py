from __future__ import annotations

import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState, create_trial

from hwcost.errors import OfframpError
from study.skipping import SKIP_KEY, SkipNote, SkipReport, SkipRule

MINIMIZE = [StudyDirection.MINIMIZE] * 3


def trial(number: int, values, note: SkipNote | None = None, violation: float = -1.0) -> FrozenTrial:
    attributes = {} if note is None else {SKIP_KEY: note.to_json()}
    made = create_trial(values=list(values), params={}, distributions={}, user_attrs=attributes)
    made.number = number
    made.system_attrs["constraints:c"] = violation
    return made


def test_a_skipped_child_was_rightly_skipped_when_an_earlier_trial_dominates_it():
    checked, replaced = SkipNote(0.97, True), SkipNote(0.99, False)
    trials = [
        trial(0, (1, 1, 1)),
        trial(1, (2, 2, 2), checked),  # dominated by 0
        trial(2, (0, 3, 3), checked),  # not
        trial(3, (9, 9, 9), replaced),  # another design: says nothing
        trial(4, (0, 2, 5), checked),  # dominated by a later one only
        trial(5, (0, 2, 4)),
        trial(6, (1, 1, 1), checked),  # as good as 0: nothing gained
    ]
    report = SkipReport.of(trials, MINIMIZE)
    assert (report.skipped, report.trained, report.right) == (5, 4, 2)
    assert report.hit_rate == 0.5
    low, high = report.interval
    assert json.loads(json.dumps(report.to_json())) == {
        "skipped": report.skipped,
        "trained": report.trained,
        "rightly_skipped": report.right,
        "hit_rate": 0.5,
        "hit_rate_interval": [low, high],
        "networks_without_gain": None,
        "networks_without_gain_interval": None,
    }
    assert json.dumps(SkipReport(3, 0, 0).to_json(), allow_nan=False)
    assert "5 children skipped, 4 of them trained to check: rightly skipped 2 (50 %" in report.text()


def test_a_network_brings_something_where_any_of_its_designs_leads():
    checked = SkipNote(0.97, True)
    trials = [trial(0, (1, 1, 1)), *(trial(n, (2, 2, 2), checked) for n in range(1, 6))]
    networks = {
        0: np.array([[1, 1, 1], [0, 3, 3]]),
        1: np.array([[2, 2, 2], [0, 4, 4]]),  # nothing leads
        2: np.array([[2, 2, 2], [0, 2, 9]]),  # the second one does
        3: np.array([[0, 2, 9]]),  # as good as one of trial 2
        5: np.array([[0.5, 0.5, 0.5]]),  # 4 has no design that meets the constraints: nothing leads
    }
    report = SkipReport.of(trials, MINIMIZE, networks)
    assert (report.trained, report.right, report.networks_right) == (5, 5, 3)
    assert "no design of its network led in 3 (60 %, 95 % interval 23 to 88 %)" in report.text()
    assert report.to_json()["networks_without_gain"] == 3
    more = {n: -values for n, values in networks.items()}
    assert SkipReport.of(trials, [StudyDirection.MAXIMIZE] * 3, more).networks_right == 3
    total = SkipReport.total([report, report])
    assert total == SkipReport(10, 10, 10, 6)
    assert SkipReport.total([report, SkipReport(1, 1, 1)]).networks_right is None


def test_only_feasible_and_finished_trials_count():
    checked = SkipNote(0.97, True)
    running = trial(3, (9, 9, 9), checked)
    running.state = TrialState.RUNNING
    trials = [trial(0, (1, 1, 1), violation=0.2), trial(1, (2, 2, 2), checked), running]
    assert SkipReport.of(trials, MINIMIZE) == SkipReport(1, 1, 0)


def test_more_can_be_better():
    trials = [trial(0, (5, 5, 5)), trial(1, (4, 4, 4), SkipNote(1.0, True))]
    assert SkipReport.of(trials, [StudyDirection.MAXIMIZE] * 3).right == 1
    assert SkipReport.of(trials, MINIMIZE).right == 0


def test_wilsons_interval():
    low, high = SkipReport(50, 10, 9).interval
    assert (low, high) == pytest.approx((0.5958, 0.9821), abs=1e-4)  # published worked value
    assert SkipReport(50, 10, 10).interval == pytest.approx((0.7225, 1.0), abs=1e-4)
    assert SkipReport(0, 0, 0).interval == (0.0, 1.0)
    assert math.isnan(SkipReport(3, 0, 0).hit_rate)
    assert SkipReport(0, 0, 0).text() == ""
    assert "none of them" in SkipReport(3, 0, 0).text()


@pytest.mark.parametrize("wrong", [{"confidence": 0.2}, {"confidence": 1.1}, {"trained_share": -0.1}])
def test_rules_are_checked(wrong):
    with pytest.raises(OfframpError, match=r"expected a (confidence|share)"):
        SkipRule(**wrong)


@settings(max_examples=30, deadline=None)
@given(st.floats(0.1, 1.0), st.lists(st.booleans(), max_size=60))
def test_the_share_is_kept_after_every_skipped_child(share, failures):
    """Also where trials fail: a child whose trial failed was not trained, and one it gave way to not evaluated."""
    rule, trials = SkipRule(trained_share=share), []
    for number, fails in enumerate(failures):
        made = trial(number, (1, 1, 1), SkipNote(0.99, rule.trains_next(trials)))
        made.state = TrialState.FAIL if fails else TrialState.COMPLETE
        trials.append(made)
        report = SkipReport.of(trials, MINIMIZE)
        assert share * report.skipped <= report.trained + 1e-9
    done = [t for t in trials if t.state == TrialState.COMPLETE]
    # No more than needed.
    assert SkipReport.of(done, MINIMIZE).trained <= math.ceil(share * len(trials)) + 1
