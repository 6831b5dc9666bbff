"""What every figure must have, and the numbers in each."""

from __future__ import annotations

import dataclasses
import itertools
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import pytest

from dashboards.figures import (
    bits,
    core_costs,
    exit_ratios,
    front,
    front3d,
    hypervolume,
    layer_latency,
    memory_energy,
    parallel,
    policy,
    reliability,
    timeline,
)
from dashboards.figures.catalogue import FIGURES
from dashboards.figures.view import cost_scale
from dashboards.members import linked_members, report_data
from dashboards.network_picture import network_picture
from dashboards.palette import bits_colour
from dashboards.text import cycles_unit, energy_unit
from tests.dashboards.test_palette import contrast


def named(axis, data):
    """Whether an axis says by its ticks what it is: layers, cores, genes, measures."""
    return axis.ticktext is not None or axis.type == "category" or any(isinstance(t.y[0], str) for t in data)


@pytest.fixture(scope="module")
def members(data):
    return linked_members(data.members, 60)


@pytest.mark.parametrize("make", FIGURES, ids=lambda f: f.__module__.rpartition(".")[2])
def test_every_figure_has_axes_a_description_and_no_title_baked_in(make, data, members):
    view = make(data, members)
    assert view.title
    assert len(view.alt) > 30
    assert view.shows_anything
    for spec in view.figures.values():
        figure = go.Figure(spec)  # refuses what plotly does not know
        assert figure.layout.title.text is None
        if view.name == "front3d":
            axes = [figure.layout.scene.xaxis, figure.layout.scene.yaxis, figure.layout.scene.zaxis]
        else:
            axes = [figure.layout.xaxis, figure.layout.yaxis]
        assert all(axis.title.text or named(axis, figure.data) for axis in axes)
    if view.linked:
        assert set(view.figures or view.pictures) <= {m.design for m in members}
    for variant, marks in view.marks.items():
        assert variant in view.figures
        assert set(marks) == {m.design for m in members}
        assert view.figures[variant]["data"][-1]["name"] == "chosen"


def test_front_draws_every_member_the_reference_and_the_best_static(data, members):
    figure = front.view(data, members).figures["edp"]
    figure = go.Figure(figure)
    traces = {trace.name: trace for trace in figure.data}
    assert sorted(traces["front"].x) == pytest.approx(sorted(m.row["edp_relative"] for m in data.members))
    assert (traces["static reference"].x[0], traces["static reference"].y[0]) == (1.0, pytest.approx(81.0))
    assert traces["best static design"].x[0] == pytest.approx(0.86)
    line = np.array([traces["best for its cost"].x, traces["best for its cost"].y])
    assert (np.diff(line, axis=1) > 0).all()
    hover = traces["front"].text[0]
    assert data.members[0].row["weight_bits"] in hover


@pytest.mark.parametrize(
    ("costs", "ticks"),
    [
        ([0.06, 1.0], ["0.05", "0.1", "0.2", "0.5", "1", "2"]),
        ([0.1, 1.0], None),
        ([0.0, 1.0], None),
        ([-1.0, 1.0], None),
        ([float("nan"), 0.5, 1.0], None),
        ([], None),
    ],
)
def test_costs_that_span_ten_times_are_logarithmic(costs, ticks):
    assert cost_scale(costs).get("ticktext") == ticks
    assert cost_scale(costs).get("type") == (None if ticks is None else "log")


def test_front_of_cheap_designs_has_room_for_them(data, members):
    assert front.view(data, members).figures["edp"]["layout"]["xaxis"]["rangemode"] == "tozero"
    cheapest = data.members[-1]
    rows = [
        dataclasses.replace(m, row=m.row | {"edp_relative": 0.02}) if m is cheapest else m
        for m in data.members
    ]
    cheap = dataclasses.replace(data, members=tuple(rows))
    assert front.view(cheap, members).figures["edp"]["layout"]["xaxis"]["type"] == "log"


def test_front_staircase_is_what_no_design_beats(data, members):
    trace = next(
        t
        for t in go.Figure(front.view(data, members).figures["energy"]).data
        if t.name == "best for its cost"
    )
    rows = data.feasible
    beaten = 0
    for accuracy, energy in zip(rows["accuracy"], rows["mean_energy_pj"], strict=True):
        better = (rows["accuracy"] >= accuracy) & (rows["mean_energy_pj"] <= energy)
        better &= (rows["accuracy"] > accuracy) | (rows["mean_energy_pj"] < energy)
        beaten += bool(better.any())
    assert len(trace.x) == len(rows) - beaten


@pytest.mark.parametrize(
    ("names", "said", "title"),
    [
        (None, "open: on the front of accuracy, mean latency and mean energy alone", "all three objectives"),
        (
            ("error", "weight_memory"),
            "open: on the front of accuracy and weight memory alone",
            "Accuracy, latency",
        ),
        (("mean_energy",), "open: on the front of mean energy alone", "Accuracy, latency"),
        (("error", "mean_edp"), "on the front of accuracy and product. Click", "Accuracy, latency"),
    ],
)
def test_what_open_points_are_follows_the_objectives(data, members, names, said, title):
    search = {} if names is None else {"search": {"objectives": list(names)}}
    other = dataclasses.replace(data, results=dataclasses.replace(data.results, config=search))
    assert said in front.view(other, members).note
    assert title in front3d.view(other, members).title


def test_exit_ratios_stack_to_a_hundred(data, members):
    figure = exit_ratios.view(data, members).figures["all"]
    figure = go.Figure(figure)
    sums = dict.fromkeys((m.label for m in members), 0.0)
    for trace in figure.data[:-1]:
        for label, share in zip(trace.x, trace.y, strict=True):
            sums[label] += share
    assert all(total == pytest.approx(100.0) for total in sums.values())


def test_layer_latency_has_each_layer_once_on_its_core(data, members):
    member = members[0]
    figure = go.Figure(layer_latency.view(data, members).figures[member.design])
    places = sorted(place for trace in figure.data for place in trace.x)
    assert places == list(range(len(member.layers)))
    assert list(figure.layout.xaxis.ticktext) == member.layers["layer"].tolist()


def test_memory_energy_mean_adds_up_to_the_design(data, members):
    for member in members:
        levels = memory_energy.energy_by_level(member, data.levels, mean=True)
        assert sum(levels.values()) == pytest.approx(member.row["mean_energy_pj"], rel=1e-9)
        worst = memory_energy.energy_by_level(member, data.levels, mean=False)
        assert all(worst[level] >= levels[level] - 1e-6 for level in levels)


def test_bits_rows_are_members(data, members):
    heat = bits.view(data, members).figures["activations"]["data"][0]
    assert [" ".join(map(str, row)) for row in heat["z"]] == [m.row["activation_bits"] for m in members]


@pytest.mark.parametrize("key", ["weights", "activations"])
def test_bits_are_written_where_they_fit_and_can_be_read(data, members, key):
    heat, numbers, _ = bits.view(data, members[:14]).figures[key]["data"]
    assert heat["z"] == [
        [int(b) for b in numbers["text"][i : i + data.n_blocks]]
        for i in range(0, len(numbers["text"]), data.n_blocks)
    ]
    for text, ink in zip(numbers["text"], numbers["textfont"]["color"], strict=True):
        assert contrast(bits_colour(int(text)), ink) >= 4.5
    many = [members[0]] * 15
    assert len(bits.view(data, many).figures[key]["data"]) == 2


def test_a_front_of_thousands_is_thinned_from_end_to_end(data, members, monkeypatch):
    whole = {t["name"]: t for t in front.view(data, members).figures["edp"]["data"]}
    monkeypatch.setattr(front, "MOST_MEMBERS", 3)
    view = front.view(data, members)
    points, line = (
        next(t for t in view.figures["edp"]["data"] if t["name"] == name)
        for name in ("front", "best for its cost")
    )
    assert len(points["x"]) == 3
    assert (points["customdata"][0], points["customdata"][-1]) == (
        data.members[0].design, data.members[-1].design,
    )  # fmt: skip
    assert line == whole["best for its cost"]
    assert "3 of the front" in view.note


def test_hypervolume_is_the_studys_own(data):
    """Against counting points of a grid in the box, one trial after the other."""
    finished = hypervolume.finished_in_order(data.results.trials)
    rng = np.random.default_rng(0)
    samples = 1.2 * rng.random((40_000, 3))
    reference = data.reference
    scale = np.array([1 - 1 / 2, reference["mean_latency_cycles"], reference["mean_energy_pj"]])
    covered = np.zeros(len(samples), bool)
    counts, volumes = hypervolume.running_hypervolume(data)
    assert counts == list(range(1, len(finished) + 1))
    assert len(counts) > 20
    for row, volume in zip(finished.to_dict("records"), volumes, strict=True):
        point = np.array([1 - row["accuracy"], row["mean_latency_cycles"], row["mean_energy_pj"]]) / scale
        if str(row["feasible"]) == "True":
            covered |= (samples >= point).all(axis=1)
        assert volume == pytest.approx(covered.mean(), abs=0.01)


def test_hypervolume_of_many_trials_is_computed_at_some_of_them(data, monkeypatch):
    counts, volumes = hypervolume.running_hypervolume(data)
    monkeypatch.setattr(hypervolume, "MOST_POINTS", 7)
    fewer, fewer_volumes = hypervolume.running_hypervolume(data)
    assert len(fewer) == 7
    assert (fewer[0], fewer[-1]) == (1, counts[-1])
    assert fewer_volumes == [volumes[n - 1] for n in fewer]


def test_trials_count_in_the_order_they_finish(data):
    trials = data.results.trials.assign(finished_seconds=data.results.trials["finished_seconds"].max())
    trials.loc[trials.index[3], "finished_seconds"] = 0.5
    assert hypervolume.finished_in_order(trials)["trial"].iloc[0] == trials["trial"].iloc[3]


def test_timeline_places_each_layer_and_waits_in_between(data, members):
    member = members[0]
    figure = timeline.view(data, members).figures[member.design]
    waiting, *cores = figure["data"]
    spans = sorted((b, b + x) for t in cores for b, x in zip(t["base"], t["x"], strict=True))
    assert len(spans) == len(member.layers)
    assert all(b[0] == pytest.approx(a[1]) for a, b in itertools.pairwise(spans))  # one layer at a time
    total = spans[-1][1]
    busy = sum(sum(t["x"]) for t in cores)
    n_cores = len({y for t in (waiting, *cores) for y in t["y"]})
    assert sum(waiting["x"]) + busy == pytest.approx(n_cores * total)


@pytest.mark.parametrize(
    ("layers", "expected"),
    [
        ([(0, 5)], [(5, 9)]),
        ([(2, 5), (0, 1)], [(1, 2), (5, 9)]),
        ([], [(0, 9)]),
        ([(0, 6), (1, 3)], [(6, 9)]),
    ],
)
def test_waits_are_the_gaps(layers, expected):
    starts, ends = np.array(layers, dtype=float).reshape(-1, 2).T
    assert timeline.waits(starts, ends, 9.0) == expected


def test_policy_slider_covers_both_ends_and_starts_at_the_studys_choice(data, members):
    view = policy.view(data, members)
    assert set(view.figures) == {m.design for m in members if len(m.exits) > 1}
    for member in members:
        for slider in view.sliders.get(member.design, {}).values():
            shares = np.array([stop.shares for stop in slider.stops])
            assert shares.sum(axis=1) == pytest.approx(100, abs=1e-3)
            assert shares[0, -1] == pytest.approx(100)  # at the left nobody leaves early
            gaps = [abs(stop.x - member.row["edp_relative"]) for stop in slider.stops]
            assert gaps[slider.start] == min(gaps)


def test_policy_says_why_it_is_absent(data, members):
    results = dataclasses.replace(data.results, policy_curves=pd.DataFrame(), reliability=pd.DataFrame())
    old = report_data(results)
    for module, name in ((policy, "policy_curves.csv"), (reliability, "reliability.csv")):
        view = module.view(old, members)
        assert not view.figures
        assert name in view.absent


def test_core_costs_add_up_to_the_design(data, members):
    for member in members[:5]:
        cycles, *levels = core_costs.view(data, members).figures[member.design]["data"]
        unit = max(m.row["mean_latency_cycles"] for m in members)
        assert sum(cycles["x"]) * cycles_unit(unit)[0] == pytest.approx(member.row["mean_latency_cycles"])
        joules = energy_unit(max(m.row["mean_energy_pj"] for m in members))
        total = sum(sum(level["x"]) for level in levels) * joules[0]
        assert total == pytest.approx(member.row["mean_energy_pj"])


def test_parallel_lines_go_through_every_measure(data, members):
    view = parallel.view(data, members)
    for member in members:
        columns, places = view.marks["all"][member.design]
        assert len(columns) == len(places) == 9
    best = max(members, key=lambda m: m.row["accuracy"])
    assert view.marks["all"][best.design][1][0] == pytest.approx(1)
    cheapest = min(members, key=lambda m: m.row["mean_energy_pj"])
    assert view.marks["all"][cheapest.design][1][4] == pytest.approx(0)


def test_picture_is_sound_xml_with_every_block_and_exit(members):
    member = max(members, key=lambda m: len(m.exits))
    for width in (1180, 350):
        root = ElementTree.fromstring(network_picture(member, width))
        titles = [t.text for t in root.iter("{http://www.w3.org/2000/svg}title")]
        assert sum(t.startswith("block ") for t in titles) == 12
        assert sum("exit" in t for t in titles) == len(member.exits)
        boxes = [
            float(r.get("x")) + float(r.get("width")) for r in root.iter("{http://www.w3.org/2000/svg}rect")
        ]
        assert max(boxes) <= width
