"""The report in a real browser, where a Chromium is installed."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from dashboards.report import write_report
from study.results import load_run
from tests.dashboards.synthetic_run import write_run
from tests.dashboards.test_report import HOSTILE

CHROMIUM = next(
    (path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name))), None
)
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no chromium on this machine")

# Runs after the page's own script: uses the page as a reader would, then leaves what it saw in the document.
PROBE = """
<script>
window.addEventListener("load", () => setTimeout(() => {
  const seen = { bad: window.bad === 1, ready: document.body.dataset.ready };
  seen.dark = matchMedia("(prefers-color-scheme: dark)").matches;
  const plots = [...document.querySelectorAll(".plot")];
  const shape = (name) => JSON.stringify(document.getElementById("plot-" + name).data.map((t) => [t.x, t.y, t.z]));
  const names = plots.map((p) => p.id.slice(5));
  seen.plots = plots.map((p) => p.querySelectorAll("svg.main-svg").length > 0);
  seen.requests = performance.getEntriesByType("resource").length;
  seen.wide = document.documentElement.scrollWidth - document.documentElement.clientWidth;
  seen.background = getComputedStyle(document.body).backgroundColor;
  const before = Object.fromEntries(names.map((n) => [n, shape(n)]));
  const rows = [...document.querySelectorAll("tbody tr[data-design]")];
  const other = rows.find((r) => !r.classList.contains("chosen"));
  other.querySelector("button").click();
  const picked = document.getElementById("choose").value === other.dataset.design;
  seen.selected = picked && other.classList.contains("chosen");
  seen.changed = names.filter((n) => shape(n) !== before[n]);
  const sw = document.querySelector('[data-view="front"] select');
  sw.value = "energy"; sw.dispatchEvent(new Event("change"));
  seen.axis = document.getElementById("plot-front").layout.xaxis.title.text;
  const column = 3, head = document.querySelectorAll("thead th")[column];
  head.firstChild.click();
  seen.sorted = [...document.querySelectorAll("tbody tr")].map((r) => Number(r.cells[column].dataset.value));
  document.body.dataset.seen = JSON.stringify(seen);
}, 300));
</script>
"""


def browse(page: Path, profile: Path, width: int, *options: str) -> tuple[dict, str]:
    """What the probe saw at a width in pixels, and the browser's console."""
    framed = page.with_name("frame.html")
    # Headless windows are at least 500 px wide; a frame is as narrow as a phone.
    framed.write_text(
        f'<body><iframe src="{page.name}" style="width:{width}px;height:900px;border:0"></iframe>'
        "<script>addEventListener('message', (e) => { document.body.dataset.seen = e.data })</script>",
        encoding="utf-8",
    )
    assert CHROMIUM is not None
    command = [
        CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
        "--disable-background-networking", "--disable-component-update", "--disable-sync",
        f"--user-data-dir={profile}", "--enable-logging=stderr", "--virtual-time-budget=15000",
        "--window-size=1400,1000", *options, "--dump-dom", framed.as_uri(),
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    found = re.search(r'data-seen="([^"]*)"', done.stdout)
    console = "\n".join(line for line in done.stderr.splitlines() if "CONSOLE" in line)
    assert found, f"the page's script did not finish: {console}"
    return json.loads(found.group(1).replace("&quot;", '"')), console


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    folder = tmp_path_factory.mktemp("browser")
    run = write_run(folder / "run", trials=20, name=HOSTILE, data_name=HOSTILE, core_prefix=HOSTILE)
    path = write_report(load_run(run), folder / "report.html")
    text = path.read_text(encoding="utf-8")
    probe = PROBE.replace("document.body.dataset.seen =", "parent.postMessage(").replace(
        "JSON.stringify(seen);", 'JSON.stringify(seen), "*");'
    )
    path.write_text(text.replace("</body>", probe + "</body>"), encoding="utf-8")
    return path


@pytest.mark.parametrize("width", [1300, 390])
def test_opens_from_disk_links_its_views_and_sorts(page, tmp_path, width):
    seen, console = browse(page, tmp_path / "profile", width)
    assert console == ""
    assert seen["ready"] == "yes"
    assert seen["bad"] is False
    assert seen["requests"] == 0
    assert all(seen["plots"])
    assert len(seen["plots"]) == 8
    assert seen["selected"]
    linked = {"front", "exit-ratios", "network", "layer-latency", "layer-energy", "memory-energy", "bits"}
    assert set(seen["changed"]) == linked
    assert seen["axis"].startswith("mean energy (")
    assert seen["sorted"] == sorted(seen["sorted"])
    assert seen["wide"] <= 0


def test_follows_the_dark_scheme(page, tmp_path):
    light, _ = browse(page, tmp_path / "light", 1300)
    dark, console = browse(page, tmp_path / "dark", 1300, "--blink-settings=preferredColorScheme=0")
    assert (light["dark"], dark["dark"]) == (False, True)
    assert light["background"] != dark["background"]
    assert console == ""
