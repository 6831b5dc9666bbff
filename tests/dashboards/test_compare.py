"""The comparison page: bands against percentiles by hand, and the page in a real browser."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import plotly.graph_objects as go
import pytest

from dashboards.compare import comparison_html, main, measured, span
from dashboards.figures.compared import band, views
from study.compare_runs import compare_runs
from study.results import load_run
from tests.dashboards.browser import MISSING, watched, worst_contrast
from tests.dashboards.marks import mark_contrasts
from tests.dashboards.synthetic_run import write_run
from tests.dashboards.test_report import HOSTILE, LONG

LABEL = f"ours {HOSTILE}"


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    base = tmp_path_factory.mktemp("compared")
    return {
        LABEL: [write_run(base / f"a{seed}", trials=12, seed=seed) for seed in (1, 2, 3)],
        "other": [write_run(base / f"b{seed}", trials=14, seed=10 + seed, name=HOSTILE) for seed in (1, 2)],
    }


@pytest.fixture(scope="module")
def runs(folders):
    return {label: [load_run(folder) for folder in group] for label, group in folders.items()}


@pytest.fixture(scope="module")
def drawn(runs):
    return {view.name: view for view in views(compare_runs(runs), runs)}


def test_band_is_quartiles_of_many_runs_and_the_range_of_few():
    rows = np.arange(15.0).reshape(5, 3)
    low, middle, high = band(rows)
    assert (low.tolist(), middle.tolist(), high.tolist()) == ([3, 4, 5], [6, 7, 8], [9, 10, 11])
    low, middle, high = band(rows[:3])
    assert (low.tolist(), middle.tolist(), high.tolist()) == ([0, 1, 2], [3, 4, 5], [6, 7, 8])


def test_band_is_left_out_where_half_of_the_runs_have_nothing_yet():
    rows = np.array([[np.nan, np.nan, 1.0], [np.nan, 2.0, 3.0], [4.0, 4.0, 5.0]])
    low, middle, high = band(rows)
    assert np.isnan([low[0], middle[0], high[0]]).all()
    assert (low[1], middle[1], high[1]) == (2, 2, 4)  # the run that has nothing yet is the worst of the three
    assert (low[2], high[2]) == (1, 5)


@pytest.mark.parametrize("n_runs", [2, 3, 4, 5, 8])
def test_the_median_of_runs_that_only_rise_never_falls(n_runs):
    rng = np.random.default_rng(n_runs)
    rows = np.cumsum(rng.random((n_runs, 40)), axis=1) + 10 * rng.random((n_runs, 1))
    for row, begin in zip(rows, rng.integers(0, 20, n_runs), strict=True):
        row[:begin] = np.nan
    low, middle, high = band(rows)
    known = np.isfinite(middle)
    assert known.sum() > 15
    assert (np.diff(middle[known]) >= 0).all()
    assert (low[known] <= middle[known]).all()
    assert (middle[known] <= high[known]).all()


def test_fronts_are_medians_of_what_each_run_has_at_a_cost(drawn, runs):
    figure = drawn["compared-fronts"].figures["all"]
    line = next(t for t in figure["data"] if t.get("name", "").startswith("other"))
    for cost, accuracy in list(zip(line["x"], line["y"], strict=True))[::20]:
        best = []
        for run in runs["other"]:
            designs = run.designs[run.designs["feasible"] & (run.designs["edp_relative"] <= cost + 1e-12)]
            best.append(100 * designs["accuracy"].max())
        assert accuracy == pytest.approx(np.median(best))


def test_every_figure_is_one_that_plotly_takes_with_named_axes(drawn):
    assert set(drawn) == {"compared-fronts", "compared-progress", "compared-indicators", "compared-attained"}
    for view in drawn.values():
        for spec in view.figures.values():
            figure = go.Figure(spec)
            assert figure.layout.xaxis.title.text
            assert figure.layout.yaxis.title.text


def test_progress_rises_and_ends_at_the_shortest_run(drawn, runs):
    assert set(drawn["compared-progress"].figures) == {"trials", "seconds"}
    line = next(
        t
        for t in drawn["compared-progress"].figures["trials"]["data"]
        if t.get("name", "").startswith("other")
    )
    assert (np.diff(line["y"]) >= 0).all()
    assert max(line["x"]) == min((run.trials["state"] == "COMPLETE").sum() for run in runs["other"])


def test_indicators_have_a_point_for_each_run(drawn, runs):
    comparison = compare_runs(runs)
    points = [
        t for t in drawn["compared-indicators"].figures["hypervolume"]["data"] if t["mode"] == "markers"
    ]
    for trace, label in zip(points, comparison.labels, strict=True):
        assert trace["y"] == label.values("hypervolume")


def test_descriptions_have_the_numbers_of_every_label(drawn, runs):
    comparison = compare_runs(runs)
    for label in comparison.labels:
        shown = label.label[:39]
        for name in drawn:
            assert shown in drawn[name].alt
        assert f"{label.median('hypervolume'):.4f}" in drawn["compared-progress"].alt
        assert f"{label.median('igd_plus'):.4f}" in drawn["compared-indicators"].alt
        assert f"{100 * np.mean(label.attained):.1f} %" in drawn["compared-attained"].alt
    best = np.median(
        [100 * run.designs.loc[run.designs["feasible"], "accuracy"].max() for run in runs["other"]]
    )
    assert f"to {best:.1f} %" in drawn["compared-fronts"].alt


@pytest.fixture(scope="module")
def with_an_empty_run(runs):
    """The runs, and one more of the first label of which no trial has finished."""
    one = runs[LABEL][0]
    empty = {name: getattr(one, name).iloc[:0] for name in ("pareto", "designs", "exits", "layers")}
    began = replace(one, name="began", trials=one.trials.assign(state="RUNNING"), **empty)
    return runs | {LABEL: [*runs[LABEL], began]}


@pytest.mark.parametrize("key", ["trials", "seconds"])
def test_a_run_without_a_finished_trial_is_the_worst_and_named(with_an_empty_run, runs, key):
    comparison = compare_runs(with_an_empty_run)
    drawn = {view.name: view for view in views(comparison, with_an_empty_run)}
    progress = drawn["compared-progress"]
    lines = {t.get("name", ""): t for t in progress.figures[key]["data"]}
    line = next(t for name, t in lines.items() if name.endswith("(4 runs)"))
    # Of four runs, the worst of which has nothing, the median is the mean of the second and the third best of three.
    scores = [run.trajectory for run in comparison.labels[0].runs[:3]]
    for place, value in zip(line["x"], line["y"], strict=True):
        reached = []
        for way in scores:
            times = np.array(getattr(way, key)) / (60 if key == "seconds" else 1)
            known = [v for t, v in zip(times, way.hypervolume, strict=True) if t <= place + 1e-9]
            reached.append(known[-1] if known else -np.inf)
        assert value == pytest.approx(np.mean(sorted(reached)[:2]))
    assert len(line["x"]) > 5
    for name in ("compared-fronts", "compared-progress", "compared-indicators"):
        assert "began of ours" in drawn[name].note
    whole = {view.name: view for view in views(compare_runs(runs), runs)}
    assert not any("Without" in view.note for view in whole.values())


def test_labels_without_times_are_named(runs):
    (old,) = [replace(run, trials=run.trials.assign(finished_seconds=np.nan)) for run in runs["other"][:1]]
    named = {"timed": runs["other"][1:], "old": [old]}
    progress = next(v for v in views(compare_runs(named), named) if v.name == "compared-progress")
    assert "Without times: old." in progress.note
    assert {t.get("name") for t in progress.figures["seconds"]["data"]} == {"timed (1 run)"}


@pytest.mark.parametrize(("cheap", "kind"), [(0.5, None), (0.02, "log")])
def test_costs_are_on_a_logarithmic_axis_where_they_span_ten_times(runs, cheap, kind):
    (run,) = runs["other"][:1]
    least = run.designs.loc[run.designs["feasible"], "edp_relative"].min()
    moved = {table: getattr(run, table).assign(
        edp_relative=cheap + (getattr(run, table)["edp_relative"] - least).clip(lower=0)
    ) for table in ("designs", "pareto")}  # fmt: skip
    one = {"a": [replace(run, **moved)], "b": [replace(run, **moved)]}
    figure = next(v for v in views(compare_runs(one), one) if v.name == "compared-fronts").figures["all"]
    axis = figure["layout"]["xaxis"]
    assert axis.get("type") == kind
    if kind:
        assert axis["ticktext"][axis["tickvals"].index(0.02)] == "0.02"
        assert min(figure["data"][0]["x"]) == pytest.approx(cheap)


@pytest.mark.parametrize(
    ("column", "value", "text"),
    [
        ("mean_latency_seconds", 1.193e-5, "mean latency 11.9 µs"),
        ("mean_energy_joules", 2.262e-6, "mean energy 2.26 µJ"),
        ("mean_energy_pj", 2.262e6, "mean energy 2.26 µJ"),
        ("mean_latency_cycles", 5e4, "mean latency 50.0 kcycles"),
        ("mean_edp_pj_cycles", 5e4, "mean edp pj cycles 5e+04"),
        ("mean_edp_joule_seconds", 7.47e-9, "mean edp 7.47 µJ ms"),
        ("mean_edp_joule_seconds", 2.5e-13, "mean edp 250 nJ µs"),
        ("error", 0.0795, "error 0.0795"),
    ],
)
def test_values_have_units_a_person_can_read(column, value, text):
    assert measured(column, value) == text


def test_span():
    assert span([1.0, 3.0, 2.0], ".1f") == "2.0 (1.0 to 3.0)"
    assert span([1.0, 1.0], ".1f") == "1.0"


def test_command_writes_a_page_with_names_as_text(folders, tmp_path, capsys):
    out = tmp_path / "c.html"
    given = [f"{label}={folder}" for label, group in folders.items() for folder in group if label == "other"]
    given += [str(folder) for folder in folders[LABEL]]
    assert main([*given, "--out", str(out)]) == 0
    assert "wrote" in capsys.readouterr().out
    page = out.read_text(encoding="utf-8")
    assert "<img" not in page
    assert ">igd_plus<" not in page  # its name is IGD+
    assert "onerror" not in page.replace("onerror=&quot;", "")
    assert len(page.encode()) < 3e6


@pytest.mark.parametrize(
    ("runs", "said"), [(["A"], "at least two"), (["A", "A"], "twice"), (["A", "/nowhere"], "folder")]
)
def test_bad_input_is_one_line_and_status_two(runs, said, folders, tmp_path, capsys):
    given = [str(folders["other"][0]) if run == "A" else run for run in runs]
    assert main([*given, "--out", str(tmp_path / "c.html")]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert said in line
    assert not (tmp_path / "c.html").exists()


@pytest.mark.skipif(bool(MISSING), reason=MISSING)
@pytest.mark.parametrize(
    ("width", "scheme"), [(1300, "light"), (390, "light"), (1300, "dark"), (390, "dark")]
)
def test_page_in_a_browser(browser, runs, tmp_path, width, scheme):
    path = tmp_path / "c.html"
    path.write_text(comparison_html(runs), encoding="utf-8")
    page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
    page.set_default_timeout(60_000)
    seen = watched(page)
    page.goto(path.as_uri())
    page.wait_for_selector("body[data-ready]", timeout=60_000)
    assert page.locator(".plot svg.main-svg").count() >= 4
    before = page.evaluate("document.getElementById('plot-compared-progress').layout.xaxis.title.text")
    page.select_option('[data-view="compared-progress"] select', "seconds")
    assert (
        page.evaluate("document.getElementById('plot-compared-progress').layout.xaxis.title.text") != before
    )
    assert page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth") == 0
    assert page.evaluate("window.bad") is None
    assert worst_contrast(page)[0] >= 4.5, worst_contrast(page)
    assert len(mark_contrasts(page)) > 30
    assert min(mark_contrasts(page))[0] >= 3, min(mark_contrasts(page))
    assert seen.requests == [path.as_uri()]
    assert seen.errors == []
    page.close()


@pytest.mark.skipif(bool(MISSING), reason=MISSING)
@pytest.mark.parametrize("width", [390, 1300])
def test_every_control_is_reached_by_keyboard_and_long_names_stay_inside(browser, runs, tmp_path, width):
    long = {LONG: [replace(runs["other"][0], name=LONG)], LONG[::-1]: [replace(runs["other"][1], name=LONG)]}
    path = tmp_path / "c.html"
    path.write_text(comparison_html(long), encoding="utf-8")
    page = browser.new_page(viewport={"width": width, "height": 900})
    page.set_default_timeout(60_000)
    seen = watched(page)
    page.goto(path.as_uri())
    page.wait_for_selector("body[data-ready]", timeout=60_000)
    assert page.evaluate("window.bad") is None
    assert page.locator("img").count() == 0
    assert seen.errors == []
    assert page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth") == 0
    reached = set()
    for _ in range(page.locator("button, select, .scroll").count() + 2):
        page.keyboard.press("Tab")
        reached.add(page.evaluate("document.activeElement.getAttribute('aria-label')"))
    assert {"Progress over seeds: what to show", "Each run: save as SVG", "Table"} <= reached
    select = page.locator('[data-view="compared-indicators"] select')
    select.focus()
    page.keyboard.press("ArrowDown")
    title = page.evaluate("document.getElementById('plot-compared-indicators').layout.yaxis.title.text")
    assert title.startswith("IGD+")
    for alt in page.eval_on_selector_all(".plot", "nodes => nodes.map((n) => n.getAttribute('aria-label'))"):
        assert len(alt) > 100
    page.close()
