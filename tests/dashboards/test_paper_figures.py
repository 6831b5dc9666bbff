"""`python -m dashboards.figures`: files at the size of a column, by a real Chromium, and what happens without one."""

from __future__ import annotations

import re
import subprocess
import sys
from xml.etree import ElementTree

import pytest
from PIL import Image

from dashboards.chromium import Chromium
from dashboards.figures.__main__ import main
from dashboards.figures.catalogue import FIGURES
from dashboards.members import linked_members
from dashboards.paper import COLUMN, PAGE, paper_figures
from tests.dashboards.browser import CHROMIUM, MISSING, watched
from tests.dashboards.marks import mark_contrasts

needs_chromium = pytest.mark.skipif(CHROMIUM is None, reason="no chromium on this machine")


@pytest.fixture(scope="module")
def figures(data):
    members = linked_members(data.members, 40)
    views = [view(data, members) for view in FIGURES]
    return paper_figures(views, max(data.members, key=lambda m: len(m.exits)), None)


def test_every_view_is_there_in_print(figures):
    names = {figure.name for figure in figures}
    assert {"front-edp", "front-latency", "network", "policy", "timeline", "parallel", "reliability"} <= names
    assert len(names) == len(figures)
    for figure in figures:
        assert figure.width in (COLUMN, PAGE)
        if figure.figure is None:
            assert figure.svg.startswith("<svg")
            continue
        layout = figure.figure["layout"]
        assert "title" not in layout
        assert (layout["width"], layout["height"]) == (figure.width, figure.height)
        assert layout["font"]["size"] * 72 / 96 == pytest.approx(8, abs=0.01)  # points
        assert all(trace.get("name") != "chosen" for trace in figure.figure["data"])


def test_the_reports_figures_are_not_changed(data):
    members = linked_members(data.members, 5)
    views = [FIGURES[0](data, members)]
    before = str(views[0].figures)
    paper_figures(views, None, COLUMN)
    assert str(views[0].figures) == before


def test_legends_and_axes_in_space_have_room(data, figures):
    members = linked_members(data.members, 40)
    views = {view.name: view for view in (make(data, members) for make in FIGURES)}
    heights = {figure.name: figure.height for figure in figures}
    entries = sum(t.get("showlegend", True) for t in views["exit-ratios"].figures["all"]["data"])
    assert entries > 9  # more than three rows in a column
    assert heights["exit-ratios"] > heights["core-costs"]
    eye = next(f.figure for f in figures if f.name == "front3d")["layout"]["scene"]["camera"]["eye"]
    near = views["front3d"].figures["all"]["layout"]["scene"]["camera"]["eye"]
    assert all(abs(eye[axis]) > abs(near[axis]) for axis in eye)


@needs_chromium
def test_svg_and_pdf_have_the_width_of_a_column_and_text_as_text(run_folder, tmp_path, capsys):
    names = ["exit-ratios", "network"]
    options = ["--out", str(tmp_path), "--width", "column", "--only", *names]
    assert main([str(run_folder), "--format", "svg", *options]) == 0
    assert main([str(run_folder), "--format", "pdf", *options]) == 0
    assert capsys.readouterr().out.splitlines() == [
        str(tmp_path / f"{name}.{kind}") for kind in ("svg", "pdf") for name in names[::-1]
    ]
    for name in names:
        root = ElementTree.parse(tmp_path / f"{name}.svg").getroot()
        assert float(root.get("width")) / 96 == pytest.approx(3.5)
        assert any(e.text for e in root.iter("{http://www.w3.org/2000/svg}text"))
        content = (tmp_path / f"{name}.pdf").read_bytes()
        assert content.startswith(b"%PDF")
        box = re.search(rb"/MediaBox\s*\[0 0 ([\d.]+) ([\d.]+)\]", content)
        assert float(box[1]) / 72 == pytest.approx(3.5, abs=0.02)
        assert content.count(b"/Type /Page\n") + content.count(b"/Type /Page ") <= 1
        assert b"/Font" in content


@needs_chromium
def test_png_has_300_dots_per_inch(run_folder, tmp_path):
    names = ["bits-weights", "network", "front3d"]
    assert main([str(run_folder), "--format", "png", "--out", str(tmp_path), "--only", *names]) == 0
    sizes = {name: Image.open(tmp_path / f"{name}.png") for name in names}
    assert sizes["bits-weights"].width == 1050
    assert sizes["network"].width == 2100
    colours = len(sizes["front3d"].convert("RGB").getcolors(1 << 24))
    assert colours > 50  # WebGL drew it


def test_without_a_chromium_there_is_one_line_and_a_page(run_folder, tmp_path, monkeypatch, capsys, data):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert Chromium.find() is None
    assert main([str(run_folder), "--format", "pdf", "--out", str(tmp_path)]) == 0
    said = capsys.readouterr()
    assert len(said.err.splitlines()) == 1
    assert "no Chromium" in said.err
    page = (tmp_path / "figures.html").read_text(encoding="utf-8")
    assert page.count("<section>") >= 20


@pytest.mark.skipif(bool(MISSING), reason=MISSING)
def test_the_page_draws_every_figure_without_a_request(run_folder, tmp_path, browser):
    assert main([str(run_folder), "--format", "html", "--out", str(tmp_path)]) == 0
    page = browser.new_page()
    seen = watched(page)
    path = tmp_path / "figures.html"
    page.goto(path.as_uri())
    page.wait_for_selector("body[data-ready]", timeout=60_000)
    empty = page.evaluate(
        "[...document.querySelectorAll('section > div')].filter((n) => !n.children.length).length"
    )
    assert empty == 0
    assert len(mark_contrasts(page)) > 300
    assert min(mark_contrasts(page))[0] >= 3, min(mark_contrasts(page))
    assert seen.requests == [path.as_uri()]
    assert seen.errors == []
    page.close()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--only", "nonsense"], "--only out of front-edp"),
        (["--design", "nobody"], "one member of the front"),
        (["--browser", "/nowhere/chromium"], "--browser"),
        (["--reference-front", "/nowhere.csv"], "CSV table"),
        (["--format", "html", "--out", "FILE"], "choose another --out"),
    ],
)
def test_bad_input_is_one_line_and_status_two(options, said, run_folder, tmp_path, capsys):
    (tmp_path / "file").write_text("", encoding="utf-8")
    filled = [str(tmp_path / "file") if option == "FILE" else option for option in options]
    assert main([str(run_folder), *filled]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert said in line


def test_help_loads_neither_plotly_nor_pandas():
    code = (
        "import runpy, sys\nsys.argv = ['dashboards.figures', '--help']\n"
        "try:\n    runpy.run_module('dashboards.figures', run_name='__main__')\n"
        "except SystemExit as ended:\n    assert not ended.code\n"
        "assert not {'optuna', 'plotly', 'pandas', 'torch'} & set(sys.modules), sorted(sys.modules)\n"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False
    )
    assert ended.returncode == 0, ended.stderr[-300:]
