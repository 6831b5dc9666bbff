"""What a study ran on: this run, and those before it."""

from __future__ import annotations

from typing import Any

from study.environment import with_earlier


def run(machine: str) -> dict[str, Any]:
    return {
        "command": "python -m study.run", "commit": "abc", "versions": {"torch": "2.13.0"},
        "machine": {"device": machine}, "seeds": {"study": 0},
    }  # fmt: skip


def test_the_first_run_has_none_before_it() -> None:
    assert with_earlier(run("cpu"), {}) == run("cpu")


def test_equal_runs_are_named_once_and_in_their_order() -> None:
    kept: dict[str, Any] = {}
    for machine in ("H200", "H200", "cpu", "H200", "H100"):
        kept = with_earlier(run(machine), kept)
    assert kept["machine"] == {"device": "H100"}
    assert [how["machine"]["device"] for how in kept["before"]] == ["H200", "cpu"]
    assert set(kept["before"][0]) == {"command", "commit", "versions", "machine"}


def test_runs_that_are_all_alike_need_no_list() -> None:
    kept: dict[str, Any] = {}
    for _ in range(3):
        kept = with_earlier(run("cpu"), kept)
    assert kept == run("cpu")


def test_a_study_of_an_older_version_goes_on() -> None:
    kept = with_earlier(run("cpu"), {"commit": "abc"})
    assert kept["before"] == [{"command": None, "commit": "abc", "versions": None, "machine": None}]
