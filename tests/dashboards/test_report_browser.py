"""The report in a real browser, used as a reader would."""

from __future__ import annotations

import csv
import io
import re

import pytest

from dashboards.report import write_report
from study.results import load_run
from tests.dashboards.browser import MISSING, watched, worst_contrast
from tests.dashboards.marks import mark_contrasts
from tests.dashboards.synthetic_run import write_run
from tests.dashboards.test_palette import contrast
from tests.dashboards.test_report import HOSTILE, LONG

if MISSING:
    pytest.skip(MISSING, allow_module_level=True)
from playwright.sync_api import expect

LINKED = (
    "front", "network", "policy", "front3d", "reliability", "timeline", "layer-latency", "layer-energy",
    "core-costs", "memory-energy", "exit-ratios", "bits", "parallel",
)  # fmt: skip

CONTENT = """(name) => {
  const node = document.getElementById("plot-" + name);
  const picture = node.querySelector(":scope > svg");
  if (picture) return picture.outerHTML;
  return JSON.stringify(node.data.map((t) => [t.x, t.y, t.z, t.base]));
}"""


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    folder = tmp_path_factory.mktemp("browser")
    run = write_run(folder / "run", trials=20, name=HOSTILE, data_name=HOSTILE, core_prefix=HOSTILE)
    return write_report(load_run(run), folder / "report.html")


def opened(browser, report, width=1300, scheme="light"):
    page = browser.new_page(
        viewport={"width": width, "height": 900}, color_scheme=scheme, reduced_motion="reduce"
    )
    page.set_default_timeout(60_000)
    seen = watched(page)
    page.goto(report.as_uri())
    page.wait_for_selector("body[data-ready]", timeout=60_000)
    return page, seen


def draw_all(page, names=LINKED):
    for name in names:
        page.locator(f'[data-view="{name}"]').scroll_into_view_if_needed()
        page.wait_for_selector(f"#plot-{name}[data-drawn]", state="attached")


def a_member_with_exits(page, but=None):
    """The design of a row of the table with two early exits or more."""
    return page.evaluate(
        """(but) => [...document.querySelectorAll("tbody tr[data-design]")]
        .filter((r) => r.cells[8].textContent.split(" ").length > 1)
        .map((r) => r.dataset.design).find((d) => d !== but)""",
        but,
    )


@pytest.fixture(scope="module")
def wide(browser, report):
    page, seen = opened(browser, report)
    page.select_option("#choose", a_member_with_exits(page))
    draw_all(page)
    yield page, seen
    page.close()


def test_opens_from_disk_without_a_request_or_an_error(wide, report):
    page, seen = wide
    assert seen.requests == [report.as_uri()]
    assert seen.errors == []
    assert page.evaluate("performance.getEntriesByType('resource').length") == 0


def test_names_with_markup_are_text(wide):
    page, _ = wide
    assert page.evaluate("window.bad") is None
    assert page.locator("h1").text_content() == HOSTILE
    assert page.locator("img").count() == 0
    assert HOSTILE[:12] in page.locator("#plot-timeline").text_content()


def test_choosing_in_the_table_moves_every_other_view(wide):
    page, _ = wide
    before = {name: page.evaluate(CONTENT, name) for name in LINKED}
    other = a_member_with_exits(page, but=page.input_value("#choose"))
    page.locator(f'tr[data-design="{other}"] button').click()
    assert page.input_value("#choose") == other
    assert page.locator("tr.chosen").get_attribute("data-design") == other
    assert "chosen: accuracy" in page.locator("#said").text_content()
    unchanged = [name for name in LINKED if page.evaluate(CONTENT, name) == before[name]]
    assert unchanged == []


def test_clicking_a_point_of_the_front_chooses_it(wide):
    page, _ = wide
    page.locator('[data-view="front"]').scroll_into_view_if_needed()
    target = page.evaluate(
        """() => {
        const node = document.getElementById("plot-front"), trace = node.data.find((t) => t.name === "front");
        const box = node.getBoundingClientRect(), size = node._fullLayout, chosen = document.body.dataset.chosen;
        const points = trace.x.map((x, i) => ({
          design: trace.customdata[i],
          x: box.left + size.margin.l + size.xaxis.d2p(x) + (size._size.l - size.margin.l),
          y: box.top + size._size.t + size.yaxis.d2p(trace.y[i]),
        }));
        const far = (p) => Math.min(...points.filter((q) => q !== p).map((q) => Math.hypot(p.x - q.x, p.y - q.y)));
        return points.filter((p) => p.design !== chosen).sort((a, b) => far(b) - far(a))[0];
        }"""
    )
    page.mouse.move(target["x"] - 2, target["y"])
    page.mouse.click(target["x"], target["y"])
    expect(page.locator("body")).to_have_attribute("data-chosen", target["design"])
    assert page.input_value("#choose") == target["design"]


def focus_by_keyboard(page, name):
    """Tabs from the control before a figure into it, as somebody without a mouse does."""
    page.locator(f'[data-view="{name}"] button.save').focus()
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.id") == f"plot-{name}"


def all_follow(page):
    """Waits until every view shows the chosen design: all but the one with the keys are drawn when these rest."""
    chosen = page.evaluate("document.body.dataset.chosen")
    for name in LINKED:
        expect(page.locator(f"#plot-{name}")).to_have_attribute("data-drawn", chosen)


def test_arrow_keys_walk_along_the_front_and_every_view_follows(wide):
    page, _ = wide
    focus_by_keyboard(page, "front")
    outline = page.evaluate(
        """() => { const style = getComputedStyle(document.activeElement);
        return [style.outlineStyle, parseFloat(style.outlineWidth)]; }"""
    )
    assert outline == ["solid", 2]
    ring = "() => ['x', 'y'].map((axis) => document.getElementById('plot-front').data.at(-1)[axis][0])"
    page.keyboard.press("Home")
    cheapest = page.evaluate(ring)
    all_follow(page)
    before = {name: page.evaluate(CONTENT, name) for name in LINKED}
    walked = [cheapest]
    for _ in range(page.locator("#choose option").count() - 1):
        said = page.locator("#said").text_content()
        page.keyboard.press("ArrowRight")
        walked.append(page.evaluate(ring))
        assert page.locator("#said").text_content() != said
        assert page.locator("#said").get_attribute("aria-live") == "polite"
    assert walked == sorted(walked)  # by rising cost, each member once
    assert len({tuple(place) for place in walked}) == len(walked)
    points = page.evaluate(
        """() => { const front = document.getElementById("plot-front").data.find((t) => t.name === "front");
        return front.x.map((x, i) => [x, front.y[i]]); }"""
    )
    assert walked == sorted(points)
    page.keyboard.press("ArrowRight")  # the last stays
    assert page.evaluate(ring) == walked[-1]
    page.keyboard.press("ArrowLeft")
    assert page.evaluate(ring) == walked[-2]
    page.keyboard.press("ArrowUp")
    page.keyboard.press("ArrowDown")
    assert page.evaluate(ring) == walked[-2]
    page.keyboard.press("Home")
    assert page.evaluate(ring) == cheapest
    page.keyboard.press("End")
    assert page.evaluate(ring) == walked[-1]
    assert page.evaluate("document.activeElement.id") == "plot-front"
    all_follow(page)
    assert page.input_value("#choose") == page.evaluate("document.body.dataset.chosen")
    assert [name for name in LINKED if page.evaluate(CONTENT, name) == before[name]] == []


@pytest.mark.parametrize(
    ("name", "key"), [("exit-ratios", "ArrowRight"), ("bits", "ArrowDown"), ("parallel", "ArrowDown")]
)
def test_arrow_keys_walk_along_figures_of_members_in_their_order(wide, name, key):
    page, _ = wide
    focus_by_keyboard(page, name)
    page.keyboard.press("Home")
    numbers = []
    for _ in range(4):
        numbers.append(page.evaluate("document.getElementById('choose').selectedIndex"))
        page.keyboard.press(key)
    assert numbers == [0, 1, 2, 3]


def test_slider_moves_along_the_curve_by_keyboard(wide):
    page, _ = wide
    page.select_option("#choose", a_member_with_exits(page))
    slider = page.locator('[data-view="policy"] input[type="range"]')
    slider.focus()
    mark = "() => document.getElementById('plot-policy').data.at(-1).x[0]"
    page.keyboard.press("Home")
    first, words = page.evaluate(mark), page.locator("#at-policy").text_content()
    page.keyboard.press("End")
    assert page.evaluate(mark) < first  # from never leaving early to all at once
    assert page.locator("#at-policy").text_content() != words
    assert slider.get_attribute("aria-valuetext") == page.locator("#at-policy").text_content()
    shares = page.evaluate(
        "() => document.getElementById('plot-policy').data.filter((t) => t.meta === 'share').map((t) => t.x[0])"
    )
    assert sum(shares) == pytest.approx(100, abs=0.1)
    assert shares[0] == pytest.approx(100, abs=0.1)


def test_switch_shows_another_cost(wide):
    page, _ = wide
    page.select_option('[data-view="front"] select', "energy")
    title = page.evaluate("document.getElementById('plot-front').layout.xaxis.title.text")
    assert title.startswith("mean energy (")


def test_table_sorts_and_filters(wide):
    page, _ = wide
    values = """() => [...document.querySelectorAll("#table tbody tr")].filter((r) => !r.hidden)
        .map((r) => Number(r.cells[3].dataset.value))"""
    head = page.locator('th[data-key="edp_relative"] button')
    head.click()
    rising = page.evaluate(values)
    assert rising == sorted(rising)
    head.press("Enter")
    assert page.evaluate(values) == rising[::-1]
    assert page.locator('th[data-key="edp_relative"]').get_attribute("aria-sort") == "descending"
    middle = sorted(rising)[len(rising) // 2]
    page.fill("#filter", f"product<{middle:.4f} fc")
    kept = page.evaluate(values)
    assert 0 < len(kept) < len(rising)
    assert max(kept) < middle + 1e-4
    assert page.locator("#count").text_content() == f"{len(kept)} of {len(rising)} rows"
    page.fill("#filter", "")


def test_table_copies_as_csv_and_latex(wide, browser, report):
    context = browser.new_context(permissions=["clipboard-read", "clipboard-write"])
    page = context.new_page()
    page.goto(report.as_uri())
    page.wait_for_selector("body[data-ready]", timeout=60_000)
    page.click("#copy-csv")
    expect(page.locator("#count")).to_contain_text("CSV copied")
    rows = list(csv.DictReader(io.StringIO(page.evaluate("navigator.clipboard.readText()"))))
    assert rows[0]["member"] == "static reference"
    assert len(rows) == page.locator("#table tbody tr").count()
    assert all(float(row["edp_relative"]) > 0 for row in rows)
    page.click("#copy-latex")
    expect(page.locator("#count")).to_contain_text("LaTeX copied")
    lines = page.evaluate("navigator.clipboard.readText()").splitlines()
    assert lines[0].startswith("\\begin{tabular}{lrrr")
    assert all(line.endswith("\\\\") for line in lines[4:-2])
    assert any("fc\\_hidden" in line for line in lines)
    assert "\\#1" in "".join(lines)
    context.close()


def test_a_figure_is_saved_as_svg(wide):
    page, _ = wide
    for name in ("exit-ratios", "network"):
        with page.expect_download() as waiting:
            page.locator(f'[data-view="{name}"] button.save').click()
        saved = waiting.value
        assert saved.suggested_filename == f"{name}.svg"
        assert saved.path().read_text(encoding="utf-8").lstrip().startswith("<svg")


def test_every_control_is_reached_by_keyboard_and_named(wide):
    page, _ = wide
    reached = set()
    page.evaluate("document.activeElement.blur(); window.scrollTo(0, 0)")
    count = page.locator("button:visible, select:visible, input:visible, a:visible, [tabindex='0']").count()
    for _ in range(count + 10):
        page.keyboard.press("Tab")
        reached.add(
            page.evaluate(
                "(document.activeElement.getAttribute('aria-label') || document.activeElement.id) || ''"
            )
        )
    assert {"choose", "More accurate design", "Less accurate design"} <= reached
    assert {"filter", "copy-csv", "copy-latex", "Table of the front"} <= reached
    assert any("position on the curve" in name for name in reached)
    unnamed = page.evaluate(
        """() => [...document.querySelectorAll("button, select, input, .plot, svg[role=img]")]
        .filter((n) => !(n.getAttribute("aria-label") || n.textContent.trim() || n.labels?.length)).length"""
    )
    assert unnamed == 0
    alts = page.eval_on_selector_all(".plot", "nodes => nodes.map((n) => n.getAttribute('aria-label'))")
    assert all(len(alt) > 40 for alt in alts)


@pytest.mark.parametrize(("width", "scheme"), [(390, "light"), (390, "dark"), (1300, "dark")])
def test_phone_width_and_the_dark_scheme(browser, report, wide, width, scheme):
    page, seen = opened(browser, report, width, scheme)
    page.select_option("#choose", a_member_with_exits(page))
    draw_all(page)
    assert seen.errors == []
    assert page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth") == 0
    assert worst_contrast(page)[0] >= 4.5, worst_contrast(page)
    marks = mark_contrasts(page)
    assert len(marks) > 300
    assert min(marks)[0] >= 3, min(marks)
    background = "getComputedStyle(document.body).backgroundColor"
    assert (page.evaluate(background) != wide[0].evaluate(background)) == (scheme == "dark")
    ink = page.evaluate("document.getElementById('plot-front').layout.font.color")
    assert (ink == wide[0].evaluate("document.getElementById('plot-front').layout.font.color")) == (
        scheme == "light"
    )
    # Values at both ends of nine axes would lie over one another on a phone.
    notes = page.evaluate("document.getElementById('plot-parallel').layout.annotations.length")
    assert (notes == 0) == (width == 390)
    page.close()


def test_contrast_of_the_light_page(wide):
    page, _ = wide
    assert worst_contrast(page)[0] >= 4.5, worst_contrast(page)
    marks = mark_contrasts(page)
    assert len(marks) > 300
    assert min(marks)[0] >= 3, min(marks)


def test_controls_have_an_edge_that_can_be_seen(wide):
    page, _ = wide
    edges = page.eval_on_selector_all(
        "button:not(thead button), select, input[type=search]",
        "nodes => nodes.map((n) => getComputedStyle(n).borderColor)",
    )
    for edge in set(edges):
        assert contrast("#" + "".join(f"{int(n):02x}" for n in re.findall(r"\d+", edge)), "#f6f7f9") >= 3


@pytest.mark.parametrize("width", [390, 1300])
def test_the_longest_names_are_cut_or_broken(browser, tmp_path, width):
    run = write_run(tmp_path / "run", trials=6, name=LONG, data_name=LONG, core_prefix=LONG)
    page, seen = opened(browser, write_report(load_run(run), tmp_path / "r.html"), width)
    page.select_option("#choose", index=1)
    draw_all(page)
    assert seen.errors == []
    assert page.evaluate("window.bad") is None
    assert page.locator("img").count() == 0
    assert HOSTILE in page.locator("h1").text_content()
    assert page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth") == 0
    cores = len(set(load_run(run).layers["core"]))
    assert cores > 1
    for name in ("timeline", "core-costs"):  # cut names that are alike are rows of their own, and leave room
        assert page.locator(f"#plot-{name} .yaxislayer-above .ytick").count() == cores
        widths = page.eval_on_selector_all(
            f"#plot-{name} .nsewdrag", "nodes => nodes.map((n) => n.getBoundingClientRect().width)"
        )
        assert sum(widths) > 0.3 * page.locator(f"#plot-{name}").bounding_box()["width"]
    page.close()


def test_a_run_of_an_earlier_version_says_what_is_missing(browser, tmp_path):
    run = write_run(tmp_path / "run", trials=6)
    (run / "policy_curves.csv").unlink()
    (run / "reliability.csv").unlink()
    (run / "refined.csv").unlink()
    page, seen = opened(browser, write_report(load_run(run), tmp_path / "r.html"))
    page.locator('[data-view="policy"]').scroll_into_view_if_needed()
    assert "policy_curves.csv" in page.locator('[data-view="policy"] .absent').text_content()
    assert page.locator('[data-view="policy"] .absent').is_visible()
    assert "study.refine" in page.locator('[data-view="refined"] .absent').text_content()
    assert seen.errors == []
    page.close()
