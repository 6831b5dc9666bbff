"""optuna-dashboard in a real browser, with our figures, notes and files."""

from __future__ import annotations

import io
import re

import optuna
import pytest
from PIL import Image

from dashboards.serve.__main__ import prepare
from tests.dashboards.browser import MISSING, watched
from tests.dashboards.marks import mark_contrasts
from tests.dashboards.serve.conftest import answering
from tests.dashboards.test_report import HOSTILE, LONG

pytestmark = pytest.mark.skipif(bool(MISSING), reason=MISSING)


@pytest.fixture(scope="module")
def page(browser, serving):
    page = browser.new_page(viewport={"width": 1400, "height": 1000})
    page.set_default_timeout(60_000)
    yield page
    page.close()


def test_shows_our_figures(page, serving):
    seen = watched(page)
    page.goto(serving.address)
    figure = page.locator("[id='user-defined-plot:front-edp']")
    figure.wait_for(state="attached")
    figure.locator(".gtitle").wait_for(state="attached")
    assert "energy-latency product" in figure.locator(".gtitle").text_content()
    assert "static reference" in figure.text_content()
    for name in ("exit-ratios-all", "bits-weights", "memory-energy-mean", "hypervolume-time"):
        assert page.locator(f"[id='user-defined-plot:{name}'] svg.main-svg").count() > 0
    marks = [mark for mark in mark_contrasts(page) if "user-defined-plot" in mark[1]]
    assert len(marks) > 100
    assert min(marks)[0] >= 3, min(marks)
    assert seen.errors == []
    assert all(
        url.startswith(serving.address.split("/dashboard")[0]) for url in seen.requests if "://" in url
    )


def test_shows_the_note_of_a_front_member_with_its_picture(page, serving):
    view = serving.view
    number = next(int(key.split()[-1]) for key in view._saved if key.startswith("note of trial"))
    page.goto(f"{serving.address}/trials?numbers={number}")
    page.get_by_text("Front member").first.wait_for()
    picture = page.locator("img[alt='the network and its exits']")
    picture.wait_for()
    page.wait_for_function(
        "document.querySelector(\"img[alt='the network and its exits']\").naturalWidth > 100"
    )
    assert "exit after block" in page.locator("body").text_content()
    assert page.get_by_text("checkpoint.safetensors").count() > 0


def test_the_drawing_is_readable_where_the_dashboard_is_dark(browser, serving):
    number = next(int(key.split()[-1]) for key in serving.view._saved if key.startswith("note of trial"))
    page = browser.new_page(viewport={"width": 1400, "height": 1000}, color_scheme="dark")
    page.set_default_timeout(60_000)
    page.goto(f"{serving.address}/trials?numbers={number}")
    picture = page.locator("img[alt='the network and its exits']")
    picture.wait_for()
    page.wait_for_function(
        "document.querySelector(\"img[alt='the network and its exits']\").naturalWidth > 100"
    )
    # The dashboard draws notes anew whenever it has asked the server: the element of now may be gone the next moment.
    place = page.evaluate(
        "(() => { const shown = document.querySelector(\"img[alt='the network and its exits']\");"
        " shown.scrollIntoView({block: 'center'}); const box = shown.getBoundingClientRect();"
        " return {x: box.x, y: box.y, width: box.width, height: box.height}; })()"
    )
    seen = Image.open(io.BytesIO(page.screenshot(clip=place))).convert("RGB")
    background = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert max(int(part) for part in re.findall(r"\d+", background)[:3]) < 64  # it is dark
    _, ground = max(seen.getcolors(1 << 24))
    assert ground == (255, 255, 255)
    page.close()


def test_names_with_markup_are_text(page, serving):
    page.goto(serving.address)
    page.get_by_text(HOSTILE[:20]).first.wait_for()
    assert page.evaluate("window.bad") is None


def test_a_study_with_the_longest_name_of_markup_and_a_failure_that_tells_markup(page, bench, tmp_path):
    url = f"sqlite:///{tmp_path / 'study.db'}"
    optuna.copy_study(from_study_name="bench", from_storage=bench.url, to_storage=url, to_study_name=LONG)
    study = optuna.load_study(study_name=LONG, storage=url)
    trial = study.ask()
    trial.set_user_attr("failure", HOSTILE)
    study.tell(trial, state=optuna.trial.TrialState.FAIL)
    with answering(prepare(url, None, bench.folder, None, "127.0.0.1", 0, 1000)) as ready:
        seen = watched(page)
        for path in ("", f"/trials?numbers={trial.number}", "/trialTable", "/note"):
            page.goto(ready.address + path)
            page.get_by_text(HOSTILE[:20]).first.wait_for()
            assert page.evaluate("window.bad") is None
        page.goto(ready.address)
        page.locator("[id='user-defined-plot:front-edp'] .gtitle").wait_for(state="attached")
        assert seen.errors == []
