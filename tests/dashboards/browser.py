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
