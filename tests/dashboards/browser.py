"""A real headless Chromium for tests, driven by Playwright; no browser of Playwright's own is needed."""

from __future__ import annotations

import importlib.util
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

CHROMIUM = next(
    (path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name))), None
)
MISSING = (
    "no chromium on this machine"
    if CHROMIUM is None
    else "playwright is not installed"
    if importlib.util.find_spec("playwright") is None
    else ""
)
# Software rendering: machines that run tests have no graphics card, and the 3-D front needs WebGL.
OPTIONS = ("--no-sandbox", "--use-angle=swiftshader", "--enable-unsafe-swiftshader", "--disable-gpu-vsync")

_CONTRAST = """() => {
  const channels = (colour) => {
    const found = (colour.match(/[\\d.]+/g) || []).map(Number);
    return colour.startsWith("color(srgb") ? [...found.slice(0, 3).map((c) => 255 * c), found[3] ?? 1] : found;
  };
  const luminance = (rgb) => {
    const linear = (c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
    const parts = rgb.slice(0, 3).map((c) => linear(c / 255));
    return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2];
  };
  const over = (top, below) => [0, 1, 2].map((i) => (top[3] ?? 1) * top[i] + (1 - (top[3] ?? 1)) * below[i]);
  const behind = (node) => {
    const layers = [];
    for (; node; node = node.parentElement) {
      const colour = channels(getComputedStyle(node).backgroundColor);
      if (colour[3] === 0) continue;
      layers.push(colour);
      if ((colour[3] ?? 1) > 0.99) break;
    }
    return layers.reverse().reduce((below, top) => over(top, below), [255, 255, 255]);
  };
  const boxBehind = (text) => { // of drawings whose words stand on coloured boxes
    const box = text.getBoundingClientRect(), x = box.left + box.width / 2, y = box.top + box.height / 2;
    const shape = [...text.ownerSVGElement.querySelectorAll("rect")].reverse().find((r) => {
      const at = r.getBoundingClientRect();
      const before = r.compareDocumentPosition(text) & Node.DOCUMENT_POSITION_FOLLOWING;
      return before && at.left <= x && x <= at.right && at.top <= y && y <= at.bottom &&
        getComputedStyle(r).fill !== "none";
    });
    if (!shape) return null;
    const style = getComputedStyle(shape), colour = channels(style.fill);
    return over([...colour.slice(0, 3), (colour[3] ?? 1) * Number(style.fillOpacity)], behind(text.closest("div")));
  };
  let worst = [99, ""];
  const judge = (ink, ground, node) => {
    const pair = [luminance(over(ink, ground)), luminance(ground)].sort((a, b) => b - a);
    const ratio = (pair[0] + 0.05) / (pair[1] + 0.05);
    if (ratio < worst[0]) worst = [ratio, node.tagName + " '" + node.textContent.trim().slice(0, 60) + "'"];
  };
  const words = "h1, h2, p, dt, dd, td, th, label, span, button, select, input, b, a";
  for (const node of document.querySelectorAll(words)) {
    if (node.checkVisibility() && node.textContent.trim() && !node.matches(".hidden-text, .skip")) {
      judge(channels(getComputedStyle(node).color), behind(node), node);
    }
  }
  for (const text of document.querySelectorAll("svg text")) {
    // What stands on a figure's data has a colour for each datum, which tests of that figure look at.
    if (!text.checkVisibility() || !text.textContent.trim() || text.closest(".hoverlayer, .plot")) continue;
    const box = text.closest(".main-svg") ? null : boxBehind(text);
    judge(channels(getComputedStyle(text).fill), box || behind(text.closest("div")), text);
  }
  return worst;
}"""


@dataclass
class Seen:
    """What a page did that a reader would not see."""

    requests: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)


@contextmanager
def chromium() -> Iterator[Any]:
    """A browser."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=list(OPTIONS))
        yield browser
        browser.close()


def watched(page: Any) -> Seen:
    """Notes every request and every error of a page from now on."""
    seen = Seen()
    page.on("request", lambda request: seen.requests.append(request.url))
    page.on("pageerror", lambda error: seen.errors.append(str(error)))
    page.on(
        "console",
        lambda said: seen.errors.append(said.text) if said.type == "error" else None,
    )
    return seen


def worst_contrast(page: Any) -> tuple[float, str]:
    """The smallest contrast of a text with what is behind it (WCAG 2), words in figures too, and which one it is."""
    ratio, where = page.evaluate(_CONTRAST)
    return float(ratio), str(where)
