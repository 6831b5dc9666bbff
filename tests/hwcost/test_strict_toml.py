"""Unknown, missing and repeated keys, wrong types."""

from __future__ import annotations

from pathlib import Path

import pytest

from hwcost.errors import OfframpError
from hwcost.strict_toml import Fields, read_toml


def test_a_repeated_key_is_named(tmp_path: Path) -> None:
    path = tmp_path / "chip.toml"
    path.write_text("[dram]\nread_pj = 1\nread_pj = 2\n")
    with pytest.raises(OfframpError, match="'read_pj' is given twice"):
        read_toml(path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(OfframpError, match=r"nowhere\.toml"):
        read_toml(tmp_path / "nowhere.toml")


def test_an_unknown_key_is_named() -> None:
    fields = Fields({"size": 1, "sise": 2}, "here")
    fields.integer("size")
    with pytest.raises(OfframpError, match="here: unknown key 'sise'"):
        fields.done()


def test_a_missing_key_is_named() -> None:
    with pytest.raises(OfframpError, match="missing key 'size'"):
        Fields({}, "here").integer("size")


@pytest.mark.parametrize("value", ["8", True, 1.5, 0, [1]])
def test_integers_are_integers_of_at_least_one(value: object) -> None:
    with pytest.raises(OfframpError, match="'size'"):
        Fields({"size": value}, "here").integer("size")


@pytest.mark.parametrize("value", [-1, float("nan"), float("inf"), "1", False])
def test_numbers_are_finite_and_not_negative(value: object) -> None:
    with pytest.raises(OfframpError, match="'energy'"):
        Fields({"energy": value}, "here").number("energy")


@pytest.mark.parametrize(
    ("key", "unit"),
    [
        ("size_bits", "in bits for"),
        ("read_bits_per_cycle", "in bits per core cycle for"),
        ("pj_per_bit", "in pJ per bit for"),
        ("mac_energy_pj", "in pJ for"),
        ("clock_hz", "in Hz for"),
        ("leakage_w", "in watts for"),
        ("leakage_w_per_pe", "in watts per PE for"),
        ("area_mm2", "in square millimetres for"),
        ("count", "at least 0 for"),
    ],
)
def test_a_wrong_value_is_told_the_unit(key: str, unit: str) -> None:
    with pytest.raises(OfframpError, match=f"{unit} '{key}', got '5 kbit'"):
        Fields({key: "5 kbit"}, "here").number(key)


@pytest.mark.parametrize("value", [2**53 + 1, 10**400])
def test_no_number_is_larger_than_a_float_can_tell_apart(value: int) -> None:
    for read in (Fields.integer, Fields.number):
        with pytest.raises(OfframpError, match=r"at most 2\^53"):
            read(Fields({"size_bits": value}, "here"), "size_bits")


@pytest.mark.parametrize("value", ["", "  ", 8, ["a"]])
def test_texts_say_something(value: object) -> None:
    with pytest.raises(OfframpError, match="'name'"):
        Fields({"name": value}, "here").text("name")
