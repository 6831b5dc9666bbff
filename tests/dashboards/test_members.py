from __future__ import annotations

import dataclasses
import re

import numpy as np
import pandas as pd
import pytest

from dashboards.figures import core_costs, front, layer_latency, parallel, timeline
from dashboards.front_table import front_table
from dashboards.members import linked_members, report_data, truths
from dashboards.page import render
from dashboards.serve.notes import member_note, study_attributes
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


NOMINAL_HZ = 5e8
_SECONDS = {"s": 1.0, "ms": 1e-3, "µs": 1e-6, "ns": 1e-9}


def at_clocks(data, designs_hz, best_static_hz=NOMINAL_HZ):
    """The run with a clock for each design; the static reference has the nominal one."""
    clocks = np.resize(designs_hz, len(data.results.designs))
    return dataclasses.replace(
        data,
        results=dataclasses.replace(data.results, designs=data.results.designs.assign(clock_hz=clocks)),
        reference=data.reference | {"clock_hz": NOMINAL_HZ},
        best_static=data.best_static | {"clock_hz": best_static_hz},
    )


@pytest.mark.parametrize(
    ("designs_hz", "best_static_hz", "differ"),
    [
        ([NOMINAL_HZ], NOMINAL_HZ, False),
        ([NOMINAL_HZ, 3.5e8], NOMINAL_HZ, True),
        ([3.5e8], NOMINAL_HZ, True),  # all designs at one clock, which is not that of the static reference
        ([NOMINAL_HZ], 3.5e8, True),
    ],
)
def test_latency_is_in_seconds_where_clocks_differ(data, designs_hz, best_static_hz, differ):
    there = at_clocks(data, designs_hz, best_static_hz)
    divisor, unit = there.latency_unit(60_000)
    assert (divisor, unit) == ((pytest.approx(500.0), "µs") if differ else (1e3, "kcycles"))
    assert data.latency_unit(60_000) == (1e3, "kcycles")  # a run of an earlier version says no clock


def test_where_clocks_differ_every_latency_that_is_shown_is_in_seconds(data):
    there = at_clocks(data, [NOMINAL_HZ, 3.5e8])
    members = linked_members(there.members, 20)
    axis = front.cost_axes(there)["latency"]
    figure = front.view(there, members).figures["latency"]
    unit = re.fullmatch(r"mean latency \((\w+)\)", axis.title)[1]
    shown = next(t for t in figure["data"] if t.get("name") == "static reference")["x"][0] * _SECONDS[unit]
    assert shown == pytest.approx(there.reference["mean_latency_cycles"] / NOMINAL_HZ)
    table = front_table(there, members)
    assert f"worst latency ({unit})" in table.head
    (filtered,) = re.findall(r'data-short="latency" data-divisor="([^"]+)"', table.head)
    assert float(filtered) == pytest.approx(_SECONDS[unit] * NOMINAL_HZ)
    note = member_note(members[0], "x", "y", latency_unit=there.latency_unit)
    page = render(there, [], [], members, "")
    texts = [
        *(str(view(there, members).figures) for view in (front.view, parallel.view, timeline.view)),
        *(str(view(there, members).figures) for view in (core_costs.view, layer_latency.view)),
        table.head,
        note,
        str(study_attributes(there)),
        page[: page.index("<script")],
    ]
    for text in texts:
        assert "cycles)" not in text
        assert not re.search(r"\d [kMG]?cycles", text)
        assert re.search(r"\b[mµn]s\b", text)
