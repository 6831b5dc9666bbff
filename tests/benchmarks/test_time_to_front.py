"""What is said of two searches, from courses written by hand."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks.time_to_front import _read, compared
from hwcost.errors import OfframpError


def course(seconds: list[float], volumes: list[float], **more: float) -> dict[str, Any]:
    return {"seconds": seconds, "samples": [10 * s for s in seconds], "volumes": volumes, **more}


def ours(seconds: list[float], volumes: list[float]) -> dict[str, Any]:
    before = {"pretraining_seconds": 4.0, "reference_seconds": 1.0}
    return course(seconds, volumes, **before, pretraining_samples=40.0, reference_samples=10.0)


def test_each_search_is_charged_until_it_first_has_the_volume() -> None:
    """The other one has at its second trial what it still has at the end."""
    found = compared(ours([1.0, 2.0, 3.0], [0.1, 0.6, 0.7]), course([10.0, 20.0, 30.0], [0.2, 0.5, 0.5]))
    assert (found["hypervolume"], found["trials"], found["trials_from_scratch"]) == (0.5, 2, 2)
    assert found["seconds_ratio"] == pytest.approx((4 + 1 + 2) / 20)
    assert found["seconds_ratio_without_pretraining"] == pytest.approx((1 + 2) / 20)
    assert found["samples_ratio"] == pytest.approx((40 + 10 + 20) / 200)


def test_a_volume_that_is_never_reached_has_no_ratio() -> None:
    found = compared(ours([1.0], [0.4]), course([10.0], [0.5]))
    assert found["trials"] is None
    assert "seconds_ratio" not in found


@pytest.mark.parametrize(
    ("theirs", "expected"),
    [
        (
            [0.0, 0.3, 0.5],
            2,
        ),  # at 10 s nothing of ours is there, and nothing is as good as the 0 of the other
        ([0.05, 0.65, 0.7], 3),  # ahead at first, overtaken, ahead again
        ([0.05, 0.65, 0.65], 3),
    ],
)
def test_ahead_is_ahead_for_good(theirs: list[float], expected: int) -> None:
    """Ours has 0.1 after 11 s, 0.6 after 15 and 0.7 after 25, everything counted."""
    mine = ours([6.0, 10.0, 20.0], [0.1, 0.6, 0.7])
    found = compared(mine, course([10.0, 20.0, 30.0], theirs))
    assert found["ahead_from_trial"] == expected


def test_who_is_behind_at_the_end_is_never_ahead() -> None:
    mine = ours([6.0, 10.0, 40.0], [0.1, 0.6, 0.7])  # the last comes after 45 s
    found = compared(mine, course([10.0, 20.0, 30.0], [0.05, 0.3, 0.65]))
    assert found["ahead_from_trial"] is None


def test_searches_of_an_earlier_call_are_compared_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mine, other = ours([1.0, 2.0], [0.1, 0.6]), course([10.0, 20.0], [0.2, 0.5])
    file = tmp_path / "searches.json"
    wrong = {"seed": 3, "seconds_ratio": 99.0, "ours": mine, "from_scratch": other}
    file.write_text(json.dumps({"searches": [wrong]}))
    (found,) = _read(file)
    assert found["seed"] == 3
    assert found["seconds_ratio"] == compared(mine, other)["seconds_ratio"]
    assert "seed 3" in capsys.readouterr().out
    file.write_text("{}")
    with pytest.raises(
        OfframpError, match=r"expected a file that --json of this command wrote, got searches\.json"
    ):
        _read(file)
