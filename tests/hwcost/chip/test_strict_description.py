"""Every key of a valid file dropped, repeated, misspelt or of the wrong type: one line that names it."""

from __future__ import annotations

import copy
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hwcost import Accelerator, load_accelerator
from hwcost.errors import OfframpError
from tests.hwcost.chip import chip_text

LEAVES = chip_text.leaves(chip_text.values())
NAMES = [".".join(map(str, path)) for path, _ in LEAVES]


def load(folder: Path, table: dict[str, Any]) -> Accelerator:
    path = folder / "chip.toml"
    path.write_text(chip_text.written(table))
    return load_accelerator(path)


def refusal(folder: Path, table: dict[str, Any]) -> str:
    with pytest.raises(OfframpError) as caught:
        load(folder, table)
    message = str(caught.value)
    assert "\n" not in message
    assert message.startswith("chip.toml")
    return message


def test_the_unchanged_file_is_read(tmp_path: Path) -> None:
    path = tmp_path / "chip.toml"
    path.write_text(chip_text.EVERY_KEY)
    assert load_accelerator(path) == load(tmp_path, chip_text.values())


@pytest.mark.parametrize(("path", "value"), LEAVES, ids=NAMES)
def test_a_dropped_key_is_named_unless_it_may_be_left_out(
    tmp_path: Path, path: chip_text.Path, value: object
) -> None:
    table = chip_text.values()
    del chip_text.parent(table, path)[path[-1]]
    in_core_memory = path[-1] == "shared_port" and path[0] != "dram"
    if in_core_memory or path[-1] in chip_text.OPTIONAL - {"vector_core"}:
        load(tmp_path, table)
    elif path[-1] == "vector_core":
        assert "'pool'" in refusal(tmp_path, table)  # the link to it is left over
    elif path == ("level",):
        assert "clock_hz" in refusal(tmp_path, table)  # which is then required
    else:
        assert f"missing key {path[-1]!r}" in refusal(tmp_path, table)


@pytest.mark.parametrize(("path", "value"), LEAVES, ids=NAMES)
@pytest.mark.parametrize(
    "wrong",
    ["64 bit", 0.5, -3, True, [], {}, [0.5], 10**400, float("nan")],
    ids=["text", "half", "negative", "true", "empty list", "empty table", "list", "huge", "nan"],
)
def test_a_value_of_the_wrong_kind_is_refused_by_its_key(
    tmp_path: Path, path: chip_text.Path, value: object, wrong: object
) -> None:
    table = chip_text.values()
    key = path[-1]
    chip_text.parent(table, path)[key] = wrong
    if _may_be(path, value, wrong):
        load(tmp_path, table)
        return
    words = "name|nominal|cores|dimension" if key == "name" else rf"{key}|{str(key).replace('_', ' ')}"
    assert re.search(words, refusal(tmp_path, table), re.IGNORECASE)


# Names that nothing else in the file refers to.
_FREE_NAMES = [("name",), ("level", 0, "name")]
_FREE_NAMES += [path for path, _ in LEAVES if "memory" in path and path[-1] == "name"]


def _may_be(path: chip_text.Path, value: object, wrong: object) -> bool:
    """Whether the other value is as good as the one that was there."""
    key = path[-1]
    if key == "name":
        return path in _FREE_NAMES and wrong == "64 bit"
    if isinstance(value, bool):
        return wrong is True
    if isinstance(value, float) and key not in ("volts", "clock_hz"):
        return wrong == 0.5
    if key == "volts":
        return wrong == 0.5
    return key in ("per_dimensions", "systolic_dimensions") and wrong == []


@pytest.mark.parametrize(("path", "value"), LEAVES, ids=NAMES)
def test_a_misspelt_key_is_named(tmp_path: Path, path: chip_text.Path, value: object) -> None:
    table = chip_text.values()
    owner = chip_text.parent(table, path)
    owner[f"{path[-1]}_kib"] = copy.deepcopy(owner[path[-1]])
    assert f"unknown key '{path[-1]}_kib'" in refusal(tmp_path, table)


LINES = [i for i, line in enumerate(chip_text.EVERY_KEY.splitlines()) if "=" in line]


@pytest.mark.parametrize("number", LINES)
def test_a_repeated_line_is_named(tmp_path: Path, number: int) -> None:
    lines = chip_text.EVERY_KEY.splitlines()
    lines.insert(number, lines[number])
    path = tmp_path / "chip.toml"
    path.write_text("\n".join(lines))
    key = lines[number].split("=")[0].strip()
    with pytest.raises(
        OfframpError, match=rf"^chip\.toml: key '{key}' is given twice.*line {number + 2}\b"
    ) as caught:
        load_accelerator(path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["dram", "link"])
def test_a_repeated_table_is_named(tmp_path: Path, name: str) -> None:
    path = tmp_path / "chip.toml"
    path.write_text(f"{chip_text.EVERY_KEY}\n[{name}]\nbits_per_cycle = 1\n")
    with pytest.raises(OfframpError, match=rf"^chip\.toml: .*\[{name}\].*twice"):
        load_accelerator(path)


SCALARS = st.one_of(
    st.integers(-2, 2**70), st.floats(), st.booleans(), st.sampled_from(["", "dram", "D1", "K", "64 bit"])
)
ANYTHING = st.one_of(SCALARS, st.lists(SCALARS, max_size=2), st.just({}))
CHANGES = st.lists(st.tuples(st.integers(0, 10**6), st.booleans(), ANYTHING), min_size=1, max_size=3)


@given(CHANGES)
@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_is_done_to_a_file_it_is_read_or_refused_in_one_line(
    tmp_path: Path, changes: list[tuple[int, bool, Any]]
) -> None:
    table = chip_text.values()
    for number, drop, value in changes:
        paths = [path for path, _ in chip_text.leaves(table)]
        path = paths[number % len(paths)]
        if drop:
            del chip_text.parent(table, path)[path[-1]]
        else:
            chip_text.parent(table, path)[path[-1]] = value
    message = ""
    try:
        load(tmp_path, table)
    except OfframpError as error:
        message = str(error)
    assert not message or message.startswith("chip.toml")
    assert "\n" not in message
