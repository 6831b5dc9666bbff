from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from optuna.study import StudyDirection
from optuna.trial import create_trial

from study.domination import constrained_rank, largest_excess, signs, total_violation, was_measured
from study.storage import RESULT_KEY
from tests.reference.domination_oracle import plain_rank


def trial_with(values, violations):
    made = create_trial(values=list(values), params={}, distributions={})
    for index, violation in enumerate(violations):
        made.system_attrs[f"constraints:c{index}"] = violation
    return made


small = st.sampled_from((0.0, 1.0, 2.0))
trials_drawn = st.lists(
    st.builds(
        trial_with,
        st.tuples(small, small, small),
        st.tuples(st.sampled_from((-1.0, 0.0, 0.5)), st.sampled_from((-0.2, 0.0, 0.5, 1.0))),
    ),
    min_size=1,
    max_size=12,
)


@given(trials_drawn)
@settings(max_examples=200, deadline=None)
def test_constrained_rank_against_a_plain_loop(trials):
    rank = constrained_rank(trials, [StudyDirection.MINIMIZE] * 3)
    assert rank.tolist() == plain_rank(trials)
    for trial in trials:
        assert total_violation(trial) == sum(max(0.0, v) for v in trial.constraints.values())


def test_rank_turns_around_where_more_is_better():
    trials = [trial_with((v,), ()) for v in (1.0, 3.0, 2.0)]
    assert constrained_rank(trials, [StudyDirection.MAXIMIZE]).tolist() == [2, 0, 1]


def test_signs_make_less_better():
    assert signs([StudyDirection.MINIMIZE, StudyDirection.MAXIMIZE]).tolist() == [1.0, -1.0]


def test_the_largest_excess_of_no_constraint_is_none():
    assert largest_excess(trial_with((1.0,), ())) == -1.0
    assert largest_excess(trial_with((1.0,), (-0.5, 0.2, 0.1))) == 0.2


def test_what_hardware_ruled_out_was_not_measured():
    """Its values are those of chance; one that broke a bound after its training was measured all the same."""
    assert was_measured(trial_with((1.0,), (-1.0,)))
    ruled_out = trial_with((1.0,), (0.3,))
    assert not was_measured(ruled_out)
    ruled_out.user_attrs[RESULT_KEY] = {"exit_ratios": [0.5, 0.5]}
    assert was_measured(ruled_out)
