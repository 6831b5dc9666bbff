from __future__ import annotations

import json
import sqlite3
import threading
import time
from dataclasses import replace
from pathlib import Path

import optuna
import pytest

from hwcost.errors import OfframpError
from study.config import StudyConfig
from study.config_io import identity, resolve
from study.storage import (
    OBJECTIVES,
    StudyIdentity,
    default_url,
    finished_trials,
    open_storage,
    open_study,
    population_of,
    record_of,
    register_run,
    store_result,
)
from tests.study.spaces import record, small_space
from tests.study.synthetic import objectives

IDENTITY = StudyIdentity("mine", identity(StudyConfig()), data_fingerprint="d" * 64, population=4)


@pytest.fixture
def url(tmp_path: Path) -> str:
    return default_url(tmp_path)


def test_a_new_study_is_readable_for_people_and_for_sql(url, tmp_path):
    study = open_study(open_storage(url), IDENTITY)
    assert study.metric_names == list(OBJECTIVES) == ["error", "mean_latency_cycles", "mean_energy_pj"]
    assert [d.name for d in study.directions] == ["MINIMIZE"] * 3
    assert population_of(study) == 4
    with sqlite3.connect(tmp_path / "study.db") as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        assert connection.execute("SELECT study_name FROM studies").fetchall() == [("mine",)]


def test_every_connection_has_the_fast_settings(url):
    storage = open_storage(url)
    with storage.engine.connect() as connection:
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == 1  # NORMAL
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
        assert connection.exec_driver_sql("PRAGMA busy_timeout").scalar() == 300_000


def test_the_same_study_is_found_again(url):
    first = open_study(open_storage(url), IDENTITY)
    first.ask()
    second = open_study(open_storage(url), IDENTITY)
    assert len(second.trials) == 1
    # The population is fixed when the study is created: more trials later do not change it.
    assert population_of(open_study(open_storage(url), replace(IDENTITY, population=9))) == 4


def test_another_configuration_is_refused_with_the_difference(url):
    open_study(open_storage(url), IDENTITY)
    other = identity(resolve([{"search": {"seed": 7}, "space": {"weight_bits": [8]}}]))
    with pytest.raises(OfframpError) as caught:
        open_study(open_storage(url), replace(IDENTITY, config=other))
    message = str(caught.value)
    assert "search.seed: the study has 0, asked for 7" in message
    assert "space.weight_bits: the study has [2, 3, 4, 6, 8], asked for [8]" in message
    assert "--study-name" in message
    assert "\n" not in message
    # Under another name both live in one storage.
    open_study(open_storage(url), replace(IDENTITY, name="other", config=other))
    assert sorted(optuna.get_all_study_names(open_storage(url))) == ["mine", "other"]


def test_other_data_are_refused(url):
    open_study(open_storage(url), IDENTITY)
    with pytest.raises(OfframpError, match=r"other images .eeeeeeeeeeee"):
        open_study(open_storage(url), replace(IDENTITY, data_fingerprint="e" * 64))


def test_other_code_of_a_users_backbone_is_refused(url):
    """The configuration has its name alone."""
    own = replace(IDENTITY, backbone="b" * 64)
    open_study(open_storage(url), own)
    open_study(open_storage(url), own)
    with pytest.raises(OfframpError, match=r"other code under its name \(cccccccccccc\).*old code"):
        open_study(open_storage(url), replace(own, backbone="c" * 64))


def test_a_study_that_does_not_say_its_backbones_code_goes_on(url):
    open_study(open_storage(url), IDENTITY)
    open_study(open_storage(url), replace(IDENTITY, backbone="b" * 64))


def test_a_study_of_another_maker_is_left_alone(url):
    made = optuna.create_study(storage=open_storage(url), study_name="mine")
    made.ask()
    with pytest.raises(OfframpError, match="another maker"):
        open_study(open_storage(url), IDENTITY)
    assert len(optuna.load_study(storage=open_storage(url), study_name="mine").trials) == 1


def test_a_study_whose_creation_was_cut_off_is_made_anew(url):
    optuna.create_study(storage=open_storage(url), study_name="mine")
    start = time.monotonic()
    assert population_of(open_study(open_storage(url), IDENTITY, patience_seconds=0.3)) == 4
    assert time.monotonic() - start >= 0.3  # its maker might have been at it still


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("nonsense", "expected a storage URL .*'nonsense'"),
        ("journal:////no/such/folder/study.log", "storage that can be reached.*No such file"),
        ("", "expected a storage URL"),
        ("sqlite:////no/such/folder/study.db", "storage that can be reached.*unable to open"),
        ("oracle2://me:secret@host/x", "storage that can be reached"),
        ("postgresql://me:secret@127.0.0.1:1/x", "storage that can be reached"),
        ("mysql+pymysql://me:secret@127.0.0.1:1/x", "storage that can be reached"),
    ],
)
def test_a_storage_that_cannot_be_reached_is_one_line_without_the_password(url, message):
    with pytest.raises(OfframpError, match=message) as caught:
        open_storage(url)
    assert "secret" not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_file_that_is_no_database_is_refused_and_kept(tmp_path):
    (tmp_path / "study.db").write_text("my notes, not a database " * 100)
    with pytest.raises(OfframpError, match="file is not a database"):
        open_storage(default_url(tmp_path))
    assert (tmp_path / "study.db").read_text().startswith("my notes")


def test_a_result_comes_back_with_its_constraints(url):
    study = open_study(open_storage(url), IDENTITY)
    given = record(0.8, 3.0, 5.0, feasible=False)
    trial = study.ask(small_space().distributions())
    store_result(trial, given)
    study.tell(trial, objectives(given))
    (stored,) = finished_trials(open_study(open_storage(url), IDENTITY))
    assert record_of(stored) == given
    assert stored.constraints == given.violations
    assert stored.user_attrs["feasible"] is False
    assert stored.values == list(objectives(given))
    # Everything but the mark is one packed value: each attribute is a write of its own.
    assert set(stored.user_attrs) == {"feasible", "result"}
    json.dumps(stored.user_attrs, allow_nan=False)


def test_infeasible_trials_are_not_among_the_best(url):
    study = open_study(open_storage(url), IDENTITY)
    for given in (record(0.99, 1.0, 1.0, feasible=False), record(0.5, 9.0, 9.0)):
        trial = study.ask()
        store_result(trial, given)
        study.tell(trial, objectives(given))
    assert [t.number for t in study.best_trials] == [1]


def test_an_empty_study_of_another_tool_is_left_alone(url):
    storage = open_storage(url)
    theirs = optuna.create_study(storage=storage, study_name="mine", directions=["minimize"] * 3)
    theirs.set_user_attr("owner", "another tool")
    with pytest.raises(OfframpError, match="got 'mine' of another maker"):
        open_study(storage, IDENTITY)
    assert optuna.load_study(study_name="mine", storage=storage).user_attrs == {"owner": "another tool"}


def test_a_folder_that_a_url_cannot_name_is_refused(tmp_path: Path) -> None:
    with pytest.raises(OfframpError, match="question mark"):
        default_url(tmp_path / "what?")


class _AllAtOnce(optuna.storages.InMemoryStorage):
    """What a storage without a lock can do: every run reads before any of them writes."""

    def __init__(self, runs: int) -> None:
        super().__init__()
        self._together, self._read = threading.Barrier(runs), threading.local()

    def get_study_system_attrs(self, study_id):
        found = super().get_study_system_attrs(study_id)
        if not getattr(self._read, "once", False):
            self._read.once = True
            self._together.wait(60)
        return found


def test_runs_that_begin_together_get_numbers_of_their_own():
    study = optuna.create_study(storage=_AllAtOnce(6))
    numbers: list[int] = []
    runs = [
        threading.Thread(target=lambda name=name: numbers.append(register_run(study, name)))
        for name in "fcadbe"
    ]
    for run in runs:
        run.start()
    for run in runs:
        run.join(60)
    assert len(numbers) == len(set(numbers)) == 6
    assert min(numbers) >= 0
