from __future__ import annotations

import dataclasses

import numpy as np
import pandas as pd
import pytest

from dashboards.members import linked_members, report_data, truths
from hwcost.errors import OfframpError


def test_members_fall_in_accuracy_and_are_numbered(data):
    accuracies = [m.row["accuracy"] for m in data.members]
    assert len(accuracies) > 5
    assert accuracies == sorted(accuracies, reverse=True)
    assert [m.number for m in data.members] == list(range(1, len(accuracies) + 1))
    assert any(m.headline for m in data.members)


def test_a_product_of_next_to_nothing_is_not_said_to_be_nothing(data):
    member = dataclasses.replace(data.members[0], row={**data.members[0].row, "edp_relative": 0.004})
    for text in (member.summary, member.spoken):
        assert "\N{MINUS SIGN}99.6 %" in text


def test_reach_is_what_has_not_left_before(data):
    member = max(data.members, key=lambda m: len(m.exits))
    left = 0.0
    for k, row in enumerate(member.exits.to_dict("records")):
        assert member.reach[k] == pytest.approx(1.0 - left)
        left += row["ratio"]
    assert left == pytest.approx(1.0)


def test_layers_weighted_by_reach_give_the_mean_energy(data):
    for member in data.members:
        mean = float((member.layers["energy_pj"].to_numpy() * member.layer_reach).sum())
        assert mean == pytest.approx(member.row["mean_energy_pj"], rel=1e-9)


def test_levels_come_from_the_columns(data):
    assert data.levels == ["mac", "register", "sram", "dram", "link"]


def test_linked_members_keep_the_headline_and_the_cheap(data):
    few = linked_members(data.members, 4)
    assert len(few) == 4
    assert all(m.headline for m in few)
    assert [m.number for m in few] == sorted(m.number for m in few)
    assert linked_members(data.members, 10_000) == list(data.members)


def test_truth_values_survive_gaps():
    mixed = pd.Series([True, "True", "False", np.nan, "true"], dtype=object)
    assert truths(mixed).tolist() == [True, True, False, False, True]


@pytest.mark.parametrize(
    ("table", "column"), [("pareto", "headline"), ("layers", "core"), ("exits", "ratio")]
)
def test_a_missing_column_is_named(data, table, column):
    broken = dataclasses.replace(data.results, **{table: getattr(data.results, table).drop(columns=[column])})
    with pytest.raises(OfframpError, match=rf"{column} in {table}\.csv"):
        report_data(broken)


def test_a_reference_without_cost_is_refused(data):
    reference = {k: v for k, v in data.reference.items() if k != "mean_energy_pj"}
    with pytest.raises(OfframpError, match="mean_energy_pj in static_reference"):
        report_data(dataclasses.replace(data.results, static_reference=reference))
