"""What every figure must have, and the numbers in each."""

from __future__ import annotations

import numpy as np
import pytest

from dashboards.figures import (
    FIGURES,
    bits,
    exit_ratios,
    front,
    hypervolume,
    layer_latency,
    memory_energy,
    network,
)
from dashboards.members import linked_members
from dashboards.palette import level_colours, qualitative


@pytest.fixture(scope="module")
def members(data):
    return linked_members(data.members, 60)


@pytest.mark.parametrize("make", FIGURES, ids=lambda f: f.__module__.rpartition(".")[2])
def test_every_figure_has_axes_a_description_and_no_title_baked_in(make, data, members):
    view = make(data, members)
    assert view.title
    assert len(view.alt) > 30
    assert view.figures
    for figure in view.figures.values():
        assert figure.layout.title.text is None
        assert figure.layout.yaxis.title.text
        named_layers = figure.layout.xaxis.ticktext is not None
        assert figure.layout.xaxis.title.text or named_layers
    if view.linked:
        assert set(view.figures) == {m.design for m in members}
    for variant, marks in view.marks.items():
        assert variant in view.figures
        assert set(marks) == {m.design for m in members}
        assert view.figures[variant].data[-1].name == "chosen"


def test_front_draws_every_member_the_reference_and_the_best_static(data, members):
    figure = front.view(data, members).figures["edp"]
    traces = {trace.name: trace for trace in figure.data}
    assert sorted(traces["front"].x) == pytest.approx(sorted(m.row["edp_relative"] for m in data.members))
    assert (traces["static reference"].x[0], traces["static reference"].y[0]) == (1.0, pytest.approx(81.0))
    assert traces["best static design"].x[0] == pytest.approx(0.86)
    line = np.array([traces["best for its cost"].x, traces["best for its cost"].y])
    assert (np.diff(line, axis=1) > 0).all()
    hover = traces["front"].text[0]
    assert data.members[0].row["weight_bits"] in hover


def test_front_staircase_is_what_no_design_beats(data, members):
    trace = next(t for t in front.view(data, members).figures["energy"].data if t.name == "best for its cost")
    rows = data.feasible
    beaten = 0
    for accuracy, energy in zip(rows["accuracy"], rows["mean_energy_pj"], strict=True):
        better = (rows["accuracy"] >= accuracy) & (rows["mean_energy_pj"] <= energy)
        better &= (rows["accuracy"] > accuracy) | (rows["mean_energy_pj"] < energy)
        beaten += bool(better.any())
    assert len(trace.x) == len(rows) - beaten


def test_exit_ratios_stack_to_a_hundred(data, members):
    figure = exit_ratios.view(data, members).figures["all"]
    sums = dict.fromkeys((m.label for m in members), 0.0)
    for trace in figure.data[:-1]:
        for label, share in zip(trace.x, trace.y, strict=True):
            sums[label] += share
    assert all(total == pytest.approx(100.0) for total in sums.values())


def test_network_shows_reach_and_exits(data, members):
    member = max(members, key=lambda m: len(m.exits))
    reach, exits, cells = network.view(data, members).figures[member.design].data
    assert reach.y[0] == pytest.approx(100.0)
    assert reach.y[11] == pytest.approx(100 * member.exits["ratio"].iloc[-1])
    assert list(exits.x) == member.exits["block"].tolist()
    assert " ".join(str(b) for b in cells.z[1]) == member.row["weight_bits"]


def test_layer_latency_has_each_layer_once_on_its_core(data, members):
    member = members[0]
    figure = layer_latency.view(data, members).figures[member.design]
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
    heat = bits.view(data, members).figures["activations"].data[0]
    assert [" ".join(map(str, row)) for row in heat.z] == [m.row["activation_bits"] for m in members]


def test_running_area_against_hand_and_grid():
    # One point: 0.5 x (1.2 - 0.6) / 1.2; a dominated one adds nothing; one that is better and dearer adds its corner.
    areas = hypervolume.running_area([(0.5, 0.6), (0.4, 0.7), (0.8, 0.9), (0.9, 1.3)])
    assert areas == pytest.approx([0.25, 0.25, 0.325, 0.325])
    rng = np.random.default_rng(0)
    points = list(zip(rng.random(12), 1.2 * rng.random(12), strict=True))
    grid = (np.arange(400) + 0.5) / 400
    covered = np.zeros((400, 400), bool)
    for (accuracy, cost), area in zip(points, hypervolume.running_area(points), strict=True):
        covered |= (grid[:, None] <= accuracy) & (1.2 * grid[None, :] >= cost)
        assert area == pytest.approx(covered.mean(), abs=0.01)


def test_the_studys_own_hypervolume_goes_first(data, members):
    import dataclasses

    trials = data.results.trials.assign(hypervolume=0.5)
    given = dataclasses.replace(data, results=dataclasses.replace(data.results, trials=trials))
    assert set(hypervolume.view(given, members).figures["all"].data[0].y) == {0.5}


def test_colours_are_stable_and_distinct():
    colours = qualitative(["a", "b", "c"])
    assert len(set(colours.values())) == 3
    levels = level_colours(["mac", "scratchpad", "dram"])
    assert len({levels[name] for name in ("mac", "scratchpad", "dram")}) == 3
    assert levels["mac"] == level_colours(["mac"])["mac"]
