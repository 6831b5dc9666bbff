from __future__ import annotations

import dataclasses

import pytest

from dashboards.serve.notes import escaped, front_heading, member_note, study_attributes, study_note
from tests.dashboards.test_report import HOSTILE


@pytest.mark.parametrize(
    "text", ["[a](http://x)", "![a](x)", "<b>", "# a", "a|b", "`a`", "a\nb", "https://x", "1. a", HOSTILE]
)
def test_escaped_text_has_no_markup_left(text):
    shown = escaped(text)
    assert "<" not in shown
    assert "\n" not in shown
    for sign in "[]()`|#*!":
        assert shown.count(sign) == shown.count("\\" + sign)


def test_a_card_names_results_and_every_exit(data):
    member = max(data.members, key=lambda m: len(m.exits))
    note = member_note(member, "Trial 17", "/artifacts/0/1/abc")
    assert note.startswith("### Trial 17\n")
    assert "![the network and its exits](/artifacts/0/1/abc)" in note
    for block in member.exits["block"]:
        assert f"| {block} | " in note
    assert f"{100 * member.row['accuracy']:.2f}".replace(".", "\\.") in note
    assert "takes the rest" in note


def test_a_card_says_what_is_derived_and_lists_members_with_the_same_network(data):
    first, *others = data.members[:3]
    derived = dataclasses.replace(first, row=first.row | {"source": "derived"})
    assert "Derived:" in member_note(derived, "", "x")
    proposed = dataclasses.replace(first, row=first.row | {"source": "proposed"})
    note = member_note(proposed, front_heading(first), "x", others)
    assert "Derived:" not in note
    for other in others:
        assert f"| {other.number} | {100 * other.row['accuracy']:.2f}".replace(".", "\\.") in note
        assert other.design in note


def test_the_study_says_what_it_is_and_that_it_is_a_copy(data):
    assert "copy of the study" in study_note(data, thinned=False, derived=True)
    assert "numbers of their own" in study_note(data, thinned=True, derived=True)
    assert "numbers of their own" not in study_note(data, thinned=False, derived=True)
    assert "--run" in study_note(data, thinned=False, derived=False)
    assert "--run" not in study_note(data, thinned=False, derived=True)
    attributes = study_attributes(data)
    assert attributes["accelerator"] == "edge_tpu_quad"
    assert attributes["static reference"].startswith("81.00 %")


def test_members_of_the_front_are_called_by_their_place_there(data):
    member = dataclasses.replace(data.members[0], number=3, row=data.members[0].row | {"headline": True})
    assert front_heading(member) == "Front member 3, on the front of accuracy and product"
    other = dataclasses.replace(member, row=member.row | {"headline": False})
    assert front_heading(other) == "Front member 3"
