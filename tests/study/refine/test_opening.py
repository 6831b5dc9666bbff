"""What is refused before anything slow begins."""

from __future__ import annotations

from dataclasses import replace

import optuna
import pytest

from hwcost.errors import OfframpError
from study.record import DesignRecord
from study.refine.opening import check_trained
from study.storage import store_result
from tests.study.refine.test_members import record


def study_of(*records: DesignRecord) -> optuna.Study:
    study = optuna.create_study(directions=["minimize"] * 2)
    for found in records:
        trial = study.ask()
        store_result(trial, found)
        study.tell(trial, [found.error, found.mean_edp_pj_cycles])
    return study


def test_a_proposal_that_breaks_a_bound_may_have_derived_designs_that_meet_it() -> None:
    broken = replace(record(4, 0.9, 2.0), feasible=False, violations={"mean_edp": 0.1})
    check_trained(study_of(broken))


@pytest.mark.parametrize("without", [{"exit_ratios": ()}, {"longest": False}])
def test_a_study_without_a_network_trained_to_the_end_is_refused(without: dict[str, object]) -> None:
    with pytest.raises(OfframpError, match="got 1 finished trials of which none is trained"):
        check_trained(study_of(replace(record(4, 0.9, 2.0), **without)))
