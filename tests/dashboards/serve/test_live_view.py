"""What a viewer shows at once, and what follows while it is looked at."""

from __future__ import annotations

import json
import re
from dataclasses import replace

import pytest
from optuna.trial import Trial
from optuna_dashboard._note import get_note

from dashboards.serve.artifacts import ArtifactShelf
from dashboards.serve.copy import StudyCopy
from dashboards.serve.live_view import LiveView
from study.derived import write_derived
from study.live import keep_environment, live_study
from study.storage import keep_reference, store_result
from tests.dashboards.serve.conftest import ENVIRONMENT
from tests.study.bench import bench_context, predictions, run_trials, static_reference


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


def test_the_picture_of_a_derived_member_is_its_own(tmp_path):
    context = bench_context(tmp_path / "run")
    study = run_trials(context, 3)
    keep_environment(study, ENVIRONMENT)
    keep_reference(study, static_reference(context))
    for trial in study.trials:
        write_derived(context, context.space.decode(trial.params).architecture)
    live = live_study(f"sqlite:///{context.paths.out / 'study.db'}", None, run=context.paths.out)
    view = LiveView(live, StudyCopy.of(live.study, 1000), ArtifactShelf(None), None, 60.0)
    view.update()
    notes = get_notes(view)
    pictured = 0
    for number, note in notes.items():
        address = re.search(r"artifacts/0/(\d+)/([0-9a-f-]+)\)", note)
        assert int(address[1]) == view.copy.trial_id(number)
        drawing = view.shelf.open_reader(address[2]).read().decode()
        shares = re.findall(r"^\| \d+ \| \w+ \| ([0-9.]+) %", note.replace("\\", ""), re.MULTILINE)
        leaving = [float(s) for s in re.findall(r"\(\w+\): ([0-9.]+) % of inputs leave", drawing)]
        assert shares
        assert [float(s) for s in shares] == leaving
        if "Derived:" in note:
            pictured += 1
            study_attrs = view.copy.storage.get_study_system_attrs(0)
            assert "front_member.svg" in study_attrs[f"dashboard:artifacts:{address[1]}:{address[2]}"]
    assert pictured


@pytest.fixture
def begun(tmp_path):
    """A study of its own that has begun: its context, the study, and a viewer of it with room for few trials."""
    context = bench_context(tmp_path / "run")
    study = run_trials(context, 3)
    keep_environment(study, ENVIRONMENT)
    keep_reference(study, static_reference(context))
    live = live_study(f"sqlite:///{context.paths.out / 'study.db'}", None, run=context.paths.out)
    return context, study, LiveView(live, StudyCopy.of(live.study, 3), ArtifactShelf(None), None, 60.0, 60.0)


def finish(context, study, share, accuracy):
    """One more trial, with that share of the static reference's costs and this accuracy."""
    trial = study.ask(context.space.distributions())
    genome, static = context.space.decode(trial.params), static_reference(context).record
    record = replace(
        context.evaluator.measured(genome, predictions(genome.architecture)),
        source="proposed",
        feasible=True,
        violations={},
        accuracy=accuracy,
        mean_latency_cycles=share * static.mean_latency_cycles,
        mean_energy_pj=share * static.mean_energy_pj,
        mean_edp_pj_cycles=share**2 * static.mean_edp_pj_cycles,
    )
    store_result(trial, record)
    study.tell(trial, context.evaluator.objectives.values(record))
    return trial.number


def test_a_design_that_leads_no_longer_has_no_note(begun):
    context, study, view = begun
    for trial in study.trials:
        write_derived(context, context.space.decode(trial.params).architecture)
    view.update()
    before = get_notes(view)
    assert before
    files = view.copy.storage.get_study_system_attrs(0)
    assert any(key.startswith("dashboard:artifacts:") and value != "null" for key, value in files.items())
    best = finish(context, study, 1e-3, 1.0)
    view.update()
    assert set(get_notes(view)) == {best}
    files = view.copy.storage.get_study_system_attrs(0)
    listed = [v for key, v in files.items() if key.startswith("dashboard:artifacts:") and v != "null"]
    assert not [text for text in listed if json.loads(text)["filename"] == "front_member.svg"]
    assert {key for key in view._saved if key.startswith("note of trial")} == {f"note of trial {best}"}


def test_figures_count_trials_that_a_full_copy_has_no_room_for(begun):
    context, study, view = begun
    view.update()
    finish(context, study, 10.0, 0.01)
    assert view.update() == 0  # the copy is full
    assert view.copy.thinned
    assert max(shown(view, "hypervolume-trials")["data"][0]["x"]) == 4


def test_designs_that_are_written_after_their_trial_has_ended_are_drawn(begun):
    context, study, view = begun
    view.update()
    before = points(view)
    for trial in study.trials:
        write_derived(context, context.space.decode(trial.params).architecture)
    assert view.update() == 0
    fresh = LiveView(
        live_study(f"sqlite:///{context.paths.out / 'study.db'}", None, run=context.paths.out),
        StudyCopy.of(study, 3), ArtifactShelf(None), None, 60.0, 60.0,
    )  # fmt: skip
    fresh.update()
    assert points(view) == points(fresh) != before


def get_notes(view):
    found = {}
    for number in view.copy.numbers:
        note = get_note(Trial(view.copy.study, view.copy.trial_id(number)))
        if note:
            found[number] = note
    return found


def test_figures_have_the_height_of_their_box(bench):
    view = viewer(bench, 60.0, 60.0)
    view.update()
    assert {shown(view, name)["layout"]["height"] for name in view.figures} == {450}


def test_nothing_is_drawn_again_while_nothing_changes(bench, monkeypatch):
    view = viewer(bench, 60.0, 60.0)
    view.update()
    monkeypatch.setattr(view, "_draw", lambda *_: pytest.fail("drawn again"))
    assert view.update() == 0
