from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwcost.errors import OfframpError
from study.units import BASE_UNITS, Quantity, format_quantity, parse_quantity

positive = st.floats(1e-14, 1e14, allow_nan=False)
dimensions = st.sampled_from(sorted(BASE_UNITS))
MICRO_SIGN, GREEK_MU = "\N{MICRO SIGN}", "\N{GREEK SMALL LETTER MU}"


@pytest.mark.parametrize(
    ("text", "dimension", "value"),
    [
        ("2.5 ms", "time", 0.0025),
        ("2500us", "time", 0.0025),
        (f"2500 {MICRO_SIGN}s", "time", 0.0025),
        (f"2500 {GREEK_MU}s", "time", 0.0025),
        ("1 s", "time", 1.0),
        ("+7e3 ns", "time", 7e-6),
        ("300 uJ", "energy", 0.0003),
        ("3E5 nJ", "energy", 0.0003),
        (".5 mJ", "energy", 0.0005),
        ("20 pJ", "energy", 2e-11),
        ("50 uJ ms", "energy_delay", 5e-8),
        ("50 ms*uJ", "energy_delay", 5e-8),
        ("50 J \N{MIDDLE DOT} ns", "energy_delay", 5e-8),
        ("256 KiB", "memory", 256 * 1024 * 8),
        ("1 MiB", "memory", 8 * 2**20),
        ("1.5 kB", "memory", 12_000),
        ("3 Mbit", "memory", 3e6),
        ("8 bits", "memory", 8),
        ("3 mm2", "area", 3.0),
        ("3 mm^2", "area", 3.0),
        ("3 mm\N{SUPERSCRIPT TWO}", "area", 3.0),
        ("0.5 cm2", "area", 50.0),
        ("2e6 um2", "area", 2.0),
        ("12.5 %", "fraction", 0.125),
        ("5%", "fraction", 0.05),
    ],
)
def test_what_people_write(text, dimension, value):
    assert parse_quantity(text, dimension) == Quantity(value, dimension)


@pytest.mark.parametrize(
    ("text", "dimension", "cycles"),
    [
        ("12 kcycles", "time", 12_000),
        ("1 cycle", "time", 1),
        ("1.5 Mcycles", "time", 1.5e6),
        ("2 uJ kcycles", "energy_delay", 0.002),
    ],
)
def test_cycles_become_time_with_a_clock(text, dimension, cycles):
    quantity = parse_quantity(text, dimension)
    assert quantity == Quantity(cycles, dimension, cycles=True)
    assert quantity.at_clock(5e8) == cycles / 5e8
    assert Quantity(0.25, dimension).at_clock(5e8) == 0.25


@given(positive, dimensions, st.booleans())
def test_the_text_of_a_quantity_reads_back_to_it(value, dimension, cycles):
    if dimension == "fraction":
        value = value / (1.0 + value)
    quantity = Quantity(value, dimension, cycles and dimension in ("time", "energy_delay"))
    again = parse_quantity(quantity.text(), dimension)
    assert again == quantity
    assert again.text() == quantity.text()


@given(positive, dimensions)
def test_what_is_shown_reads_back_to_four_digits(value, dimension):
    if dimension == "fraction":
        value = 1e-4 + 0.99 * value / (1.0 + value)
    shown = format_quantity(value, dimension)
    assert parse_quantity(shown, dimension).value == pytest.approx(value, rel=6e-4)


@given(st.floats(1e-12, 999), st.sampled_from(["time", "energy"]))
def test_what_is_shown_has_a_handy_prefix(value, dimension):
    number, _ = format_quantity(value, dimension).split()
    assert 1 <= float(number) <= 1000


@given(positive, positive, st.sampled_from(["ms", "us"]))
def test_order_is_kept(one, other, unit):
    values = [parse_quantity(f"{number!r} {unit}", "time").value for number in (one, other)]
    assert (values[0] < values[1]) == (one < other) or math.isclose(one, other)


@pytest.mark.parametrize(
    ("text", "dimension", "said"),
    [
        ("2.5 mS", "time", "unknown unit 'mS'"),
        ("256 KB", "memory", "unknown unit 'KB'"),
        ("3 m2s", "area", "unknown unit 'm2s'"),
        ("1_000 ms", "time", "unknown unit '_000'"),
        ("300 uJ", "time", "which is an energy"),
        ("3 ms", "energy", "which is a time"),
        ("3 mm2", "memory", "which is an area"),
        ("3 ms", "energy_delay", "which is a time"),
        ("3 ms ms", "energy_delay", "none of the quantities"),
        ("3 uJ ms", "energy", "an energy-delay product"),
        ("3 ms ms ms", "time", "none of the quantities"),
        ("12 cycles", "energy", "which is a time"),
        ("12.5", "fraction", "without a unit"),
        ("12.5 ", "time", "without a unit"),
        ("-3 ms", "time", "'-3 ms'"),
        ("0 ms", "time", "'0 ms'"),
        ("nan ms", "time", "'nan ms'"),
        ("inf ms", "time", "'inf ms'"),
        ("1e999 s", "time", "1e999"),
        ("1e-999 s", "time", "1e-999"),
        ("100 %", "fraction", "below 100 %"),
        ("", "time", "''"),
        ("ms", "time", "'ms'"),
        ("2,5 ms", "time", "unknown unit ',5'"),
        ("0x10 ms", "time", "unknown unit 'x10'"),
    ],
)
def test_refusals_say_what_was_expected_and_what_came(text, dimension, said):
    with pytest.raises(OfframpError) as caught:
        parse_quantity(text, dimension)
    message = str(caught.value)
    assert message.startswith("expected a positive amount with a unit, such as ")
    assert said in message
    assert "\n" not in message
