from __future__ import annotations

from pathlib import Path

import pytest

from hwcost.errors import OfframpError
from models.data_path import find_data


def test_what_is_there_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "set.zip").touch()
    assert find_data(str(tmp_path)) == tmp_path
    assert find_data("~/set.zip") == tmp_path / "set.zip"
    for nothing in ("", "~/other.zip", str(tmp_path / "set.zip" / "inner"), "a\0b"):
        assert find_data(nothing) is None


@pytest.mark.parametrize("name", ["~nosuchuser/x.zip", "x" * 300 + ".zip"])
def test_a_name_nothing_can_be_looked_up_by_is_one_line(name: str) -> None:
    with pytest.raises(
        OfframpError, match=r"expected a path that can be looked up as the data, got '.*\(.+\)"
    ) as caught:
        find_data(name)
    assert "\n" not in str(caught.value)
