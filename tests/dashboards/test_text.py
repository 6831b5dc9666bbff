from __future__ import annotations

import json
import math

import pytest

from dashboards.text import (
    cycles_unit,
    energy_unit,
    listed,
    percent,
    plain,
    script_json,
    seconds_unit,
    short_names,
    signed_percent,
    threshold_digits,
    with_unit,
)


@pytest.mark.parametrize(
    "text", ["</script><script>alert(1)", "<!-- <script>", "a & b", "\u2028 \u2029", "'\"`$%{x}", "😀"]
)
def test_json_in_a_script_comes_back_and_cannot_end_it(text):
    encoded = script_json({"text": text, text: [1]})
    assert json.loads(encoded) == {"text": text, text: [1]}
    assert not set("<>&\u2028\u2029") & set(encoded)


def test_json_has_no_nan_and_few_digits():
    assert (
        script_json([math.nan, math.inf, 0.123456789, 123456.7, 7, True])
        == "[null,null,0.12346,123460.0,7,true]"
    )


def test_plain_escapes_and_cuts():
    assert plain("<b>\"'&") == "&lt;b&gt;&quot;&#x27;&amp;"
    assert plain("x" * 300) == "x" * 79 + "…"


def test_short_names_stay_different():
    names = ["<b>" + 40 * "x" + end for end in "abc"] + ["core", "core"]
    short = short_names(names, 18)
    assert list(short) == [*names[:3], "core"]
    assert short["core"] == "core"
    assert len(set(short.values())) == 4
    assert all(text.startswith("&lt;b&gt;xxx") for text in list(short.values())[:3])
    assert [text[-1] for text in list(short.values())[:3]] == ["…", "2", "3"]


def test_percentages():
    assert percent(0.8804) == "88.0 %"
    assert signed_percent(-0.465) == "\N{MINUS SIGN}46.5 %"
    assert signed_percent(0.02, 0) == "+2 %"
    assert signed_percent(-0.00001) == "+0.0 %"
    assert percent(math.nan) == "-"


@pytest.mark.parametrize(
    ("pj", "shown"), [(0.5, "0.500 pJ"), (1500, "1.50 nJ"), (1.2e9, "1.20 mJ"), (3e12, "3.00 J"), (0, "0 pJ")]
)
def test_energy_gets_a_unit_a_person_can_read(pj, shown):
    assert with_unit(pj, energy_unit(pj)) == shown


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(12.0, "12.0 s"), (0.0021, "2.10 ms"), (1.193e-5, "11.9 µs"), (4e-9, "4.00 ns"), (0, "0 ns")],
)
def test_seconds_get_a_unit_a_person_can_read(seconds, shown):
    assert with_unit(seconds, seconds_unit(seconds)) == shown


def test_cycles():
    assert with_unit(1_040_000, cycles_unit(1_310_000)) == "1.04 Mcycles"
    assert with_unit(12, cycles_unit(12)) == "12.0 cycles"


@pytest.mark.parametrize(
    ("value", "digits", "shown"),
    [
        (0.5, 3, "0.500"),
        (1.0, 3, "1.000"),
        (0.0, 3, "0.000"),
        (2.0, 4, "2.0000"),
        (0.99949, 3, "0.999"),
        (0.99951, 3, "0.9995"),
        (0.99999994, 3, "0.9999999"),
        (0.99999994, 4, "0.9999999"),
        (-0.0002, 3, "-0.0002"),
    ],
)
def test_a_threshold_that_is_no_whole_number_does_not_look_like_one(value, digits, shown):
    assert threshold_digits(value, digits) == shown


def test_listed():
    assert [listed(list("abc")[:n]) for n in range(4)] == ["", "a", "a and b", "a, b and c"]
