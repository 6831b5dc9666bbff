from __future__ import annotations

import base64
import gzip
import json
import re
import resource
import shutil
import subprocess
import sys
from html.parser import HTMLParser

import pytest

from dashboards.figures.catalogue import FIGURES
from dashboards.report import MOST_LINKED, main, report_html, write_report
from study.results import load_run
from tests.dashboards.synthetic_run import write_run

HOSTILE = (
    '</title></script><script>window.bad=1</script><img src=x onerror="window.bad=1"> \'"&amp; 😀 $css ${x}'
)

LONG = (HOSTILE + "\u202e" + 300 * "W")[:300]
"""The longest name: nowhere to break it, and a sign that turns the direction of writing."""


class Tags(HTMLParser):
    """Elements of a page with their attributes, and the text of scripts."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.scripts: list[str] = []

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag == "script":
            self.scripts.append("")

    def handle_data(self, data):
        if self.tags and self.tags[-1][0] == "script" and self.scripts:
            self.scripts[-1] += data


def unpacked(page: str) -> dict:
    """What the page's script works on."""
    packed = re.search(r'<script type="text/plain" id="data">([^<]*)</script>', page)
    return json.loads(gzip.decompress(base64.b64decode(packed[1])))


def parse(page: str) -> Tags:
    tags = Tags()
    tags.feed(page)
    return tags


@pytest.fixture(scope="module")
def page(run_folder):
    return report_html(load_run(run_folder))


def test_is_one_file_that_asks_for_nothing(page):
    tags = parse(page)
    assert not [t for t, a in tags.tags if t in ("link", "img", "iframe") or "src" in a]
    assert "default-src 'none'" in page
    assert len(tags.scripts) == 3
    assert len(page.encode()) < 3e6


def test_headline_front_and_reference_are_in_the_page(page, data):
    text = page[page.index("<script") :]
    assert text.count("<tr data-design=") == 0  # the table stands before the scripts, for those without them
    assert page.count("<tr data-design=") == len(data.members)
    assert "static reference" in page
    for word in ("CIFAR-10 (JPEG copy)", "edge_tpu_quad", "0123456789ab", "Example CPU", "5000 validation"):
        assert word in page


def test_figures_arrive_as_plain_numbers(page, data):
    payload = unpacked(page)
    names = [view["name"] for view in payload["views"]]
    assert names[0] == "front"
    assert len(names) == len(set(names)) == len(FIGURES)
    assert payload["chosen"] in {m.design for m in data.members}


def test_hostile_names_stay_text(tmp_path):
    run = write_run(tmp_path / "run", trials=8, name=HOSTILE, data_name=HOSTILE, core_prefix=HOSTILE)
    page = report_html(load_run(run))
    tags = parse(page)
    assert len(tags.scripts) == 3
    assert not [a for _, a in tags.tags if "onerror" in a]
    assert "<img" not in re.sub(r"<script.*?</script>", "", page, flags=re.DOTALL)
    payload = unpacked(page)
    for view in payload["views"]:
        view.pop("alts")  # set as an attribute, never read as markup
    text = json.dumps(payload["views"])
    assert "&lt;/title" in text  # the cores' names are there
    assert "<img" not in text  # but not as a tag in a label, which plotly would read
    assert "<script" not in text


def test_a_long_name_is_cut(tmp_path):
    page = report_html(load_run(write_run(tmp_path / "run", trials=3, name="n" * 300)))
    assert "n" * 199 + "…" in page
    assert "n" * 201 not in page.replace("…", "")


@pytest.mark.parametrize(("trials", "share"), [(12, 0.0), (1, 1.0)])
def test_runs_without_a_front_or_with_one_design(tmp_path, trials, share):
    run = write_run(tmp_path / "run", trials=trials, derived=0, feasible_share=share)
    page = report_html(load_run(run))
    assert ("No feasible design yet: the static reference stands alone" in page) == (share == 0.0)


@pytest.mark.slow
def test_many_members_stay_below_the_size_limit(tmp_path):
    results = load_run(write_run(tmp_path / "run", trials=500, derived=0, all_on_front=True))
    page = report_html(results)
    assert len(page.encode()) < 6e6
    further = len(results.pareto) - MOST_LINKED
    assert f"{further} further members of the front are in pareto.csv" in page


def test_command_writes_page_and_numbers(run_folder, tmp_path, capsys, data):
    out, numbers = tmp_path / "deep" / "r.html", tmp_path / "n.json"
    assert main([str(run_folder), "--out", str(out), "--json", str(numbers)]) == 0
    assert "wrote" in capsys.readouterr().out
    assert out.read_text(encoding="utf-8").startswith("<!doctype html>")
    values = json.loads(numbers.read_text(encoding="utf-8"))
    assert len(values["front"]) == len(data.members)
    first = values["front"][0]
    assert sum(first["mean_energy_by_level_pj"].values()) == pytest.approx(first["mean_energy_pj"])
    assert sum(point["ratio"] for point in first["exit_points"]) == pytest.approx(1)
    assert [h["accuracy_drop"] for h in values["headline"]] == [0.002, 0.01, 0.02]


def test_numbers_to_standard_output_are_json_alone(run_folder, tmp_path, capsys):
    assert main([str(run_folder), "--out", str(tmp_path / "r.html"), "--json", "-"]) == 0
    assert json.loads(capsys.readouterr().out)["study"] == "synthetic"


def test_command_as_people_type_it(run_folder, tmp_path):
    out = tmp_path / "r.html"
    command = [sys.executable, "-m", "dashboards.report", str(run_folder), "--out", str(out)]
    subprocess.run(command, check=True, capture_output=True)
    assert out.exists()


@pytest.mark.parametrize("fault", ["no folder", "no table", "broken json", "missing column", "no room"])
def test_bad_input_is_one_line_and_status_two(fault, run_folder, tmp_path, capsys):
    run = tmp_path / "run"
    shutil.copytree(run_folder, run)
    out = tmp_path / "r.html"
    if fault == "no folder":
        shutil.rmtree(run)
    elif fault == "no table":
        (run / "exits.csv").unlink()
    elif fault == "broken json":
        (run / "static_reference.json").write_text("{", encoding="utf-8")
    elif fault == "missing column":
        (run / "pareto.csv").write_text("design,trial\n1,1\n", encoding="utf-8")
    else:
        (tmp_path / "file").write_text("", encoding="utf-8")
        out = tmp_path / "file" / "r.html"
    assert main([str(run), "--out", str(out)]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "expected" in error
    assert not out.exists()


def test_a_failed_write_keeps_the_old_page(run_folder, tmp_path, capsys):
    """Files may have half a page: writing the new one stops in the middle, as on a disk that is full."""
    out = write_report(load_run(run_folder), tmp_path / "r.html")
    before = out.read_bytes()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) // 2, hard))
    try:
        status = main([str(run_folder), "--out", str(out)])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert status == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "expected to write r.html" in line
    assert out.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["r.html"]  # nothing half-written left


def test_a_folder_in_the_place_of_the_page_is_refused(run_folder, tmp_path):
    target = tmp_path / "folder.html"
    target.mkdir()
    assert main([str(run_folder), "--out", str(target)]) == 2
    assert [p.name for p in tmp_path.iterdir()] == ["folder.html"]
    assert not list(target.iterdir())
