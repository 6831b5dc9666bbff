"""What a viewer shows at once, and what follows while it is looked at."""

from __future__ import annotations

import json

import pytest

from dashboards.serve.artifacts import ArtifactShelf
from dashboards.serve.copy import StudyCopy
from dashboards.serve.live_view import LiveView
from study.live import live_study


def viewer(bench, first_seconds, more_seconds):
    live = live_study(bench.url, None, run=bench.folder)
    copied = StudyCopy.of(live.study, 1000)
    return LiveView(live, copied, ArtifactShelf(None), None, first_seconds, more_seconds)


def shown(view, name):
    rows = view.copy.storage.get_study_system_attrs(view.copy.study_id)
    key = f"dashboard:plot_data:{name}:"
    parts = {int(k.removeprefix(key)): v for k, v in rows.items() if k.startswith(key)}
    return json.loads("".join(parts[i] for i in range(len(parts))))


def bars(view):
    return {label for trace in shown(view, "exit-ratios-all")["data"] for label in trace["x"]}


def points(view):
    return next(t["x"] for t in shown(view, "front-edp")["data"] if t.get("name") == "front")


@pytest.mark.parametrize("more", [0.0, 60.0])
def test_the_front_is_whole_at_once_and_details_follow(bench, more):
    everything = viewer(bench, 60.0, 60.0)
    everything.update()
    assert not everything.live.pending
    assert len(bars(everything)) > 1
    view = viewer(bench, 0.0, more)
    view.update()
    assert view.live.pending
    assert len(bars(view)) < len(bars(everything))
    assert points(view) == points(everything)
    updates = 1
    while view.live.pending:
        view.update()
        updates += 1
        assert updates < 100
    assert bars(view) == bars(everything)
    assert shown(view, "memory-energy-mean") == shown(everything, "memory-energy-mean")
    assert (updates == 2) == (more > 0)


def test_notes_are_written_for_members_whose_exits_are_known(bench):
    view = viewer(bench, 0.0, 0.0)
    view.update()
    before = {key for key in view._saved if key.startswith("note of trial")}
    while view.live.pending:
        view.update()
    assert 0 < len(before) <= len({key for key in view._saved if key.startswith("note of trial")})


def test_figures_have_the_height_of_their_box(bench):
    view = viewer(bench, 60.0, 60.0)
    view.update()
    assert {shown(view, name)["layout"]["height"] for name in view.figures} == {450}


def test_nothing_is_drawn_again_while_nothing_changes(bench, monkeypatch):
    view = viewer(bench, 60.0, 60.0)
    view.update()
    monkeypatch.setattr(view, "_draw", lambda *_: pytest.fail("drawn again"))
    assert view.update() == 0
