"""Vector and bitmap files of figures by a Chromium that is installed; no package of its own is needed for that."""

from __future__ import annotations

import base64
import json
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from dashboards.text import script_json
from hwcost.errors import OfframpError

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome", "msedge")
_SECONDS = 300
PNG_SCALE = 300 / 96
"""300 dots per inch; a pixel of CSS is 1/96 inch."""

_PAGE = """<!doctype html><meta charset="utf-8">
<meta http-equiv="Content-Security-Policy"
 content="default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data: blob:">
<body><div id="drawn"></div><script>{plotly}</script>
<script type="application/json" id="jobs">{jobs}</script>
<script>
(async () => {{
  const results = {{}};
  for (const job of JSON.parse(document.getElementById("jobs").textContent)) {{
    const options = {{ format: job.format, width: job.width, height: job.height, scale: job.scale }};
    results[job.name] = await Plotly.toImage(job.figure, options);
  }}
  const out = document.createElement("script");
  out.type = "application/json";
  out.id = "results";
  out.textContent = btoa(JSON.stringify(results));
  document.body.append(out);
}})();
</script></body>"""


@dataclass(frozen=True)
class Chromium:
    """A browser of this machine.

    Attributes:
        path: Its program.
    """

    path: str

    @classmethod
    def find(cls, given: Path | None = None) -> Chromium | None:
        """The one that is given or the first that is installed; None where there is none.

        Raises:
            OfframpError: What is given is no program.
        """
        if given is not None:
            if shutil.which(str(given)) is None:
                raise OfframpError(
                    f"expected the program of a Chromium for --browser, got {given}; leave it out"
                )
            return cls(str(given))
        found = next((path for name in NAMES if (path := shutil.which(name))), None)
        return None if found is None else cls(found)

    def images(
        self,
        figures: Mapping[str, dict[str, Any]],
        sizes: Mapping[str, tuple[int, int]],
        kind: Literal["svg", "png"],
        plotly_js: str,
    ) -> dict[str, bytes]:
        """Figures as files, all by one start of the browser.

        Args:
            figures: Name -> figure in plotly's JSON form.
            sizes: Name -> width and height in pixels of CSS.
            kind: Of file.
            plotly_js: Source of plotly.js.

        Raises:
            OfframpError: The browser failed or drew nothing.
        """
        jobs = [
            {
                "name": name, "format": kind, "figure": figure, "width": sizes[name][0], "height": sizes[name][1],
                "scale": PNG_SCALE if kind == "png" else 1,
            }
            for name, figure in figures.items()
        ]  # fmt: skip
        source = plotly_js.replace("</script", "<\\/script").replace("<!--", "<\\!--")
        page = _PAGE.format(plotly=source, jobs=script_json(jobs))
        with tempfile.TemporaryDirectory(prefix="offramp-") as folder:
            dumped = self._run(Path(folder), page, ["--dump-dom"])
        found = re.search(r'id="results"[^>]*>([^<]+)<', dumped)
        if found is None:
            raise OfframpError(f"expected figures from {self.path}, got none; try --format html")
        drawn: dict[str, str] = json.loads(base64.b64decode(found[1]))
        return {name: _decoded(url) for name, url in drawn.items()}

    def pdf(self, svg: str, width: int, height: int) -> bytes:
        """A drawing as a page of exactly its size, text as text.

        Args:
            svg: The drawing.
            width: In pixels of CSS.
            height: Likewise.

        Raises:
            OfframpError: The browser failed.
        """
        style = f"@page{{size:{width}px {height}px;margin:0}}body{{margin:0}}svg{{display:block}}"
        page = f'<!doctype html><meta charset="utf-8"><style>{style}</style><body>{svg}</body>'
        with tempfile.TemporaryDirectory(prefix="offramp-") as folder:
            target = Path(folder) / "page.pdf"
            self._run(Path(folder), page, [f"--print-to-pdf={target}", "--no-pdf-header-footer"])
            if not target.is_file():
                raise OfframpError(f"expected a PDF from {self.path}, got none; try --format svg")
            return target.read_bytes()

    def png(self, svg: str, width: int, height: int) -> bytes:
        """A drawing as a bitmap of 300 dots per inch.

        Raises:
            OfframpError: The browser failed.
        """
        style = "body{margin:0;background:#fff}svg{display:block}"
        page = f'<!doctype html><meta charset="utf-8"><style>{style}</style><body>{svg}</body>'
        with tempfile.TemporaryDirectory(prefix="offramp-") as folder:
            target = Path(folder) / "page.png"
            size = [f"--window-size={width},{height}", f"--force-device-scale-factor={PNG_SCALE}"]
            self._run(Path(folder), page, [f"--screenshot={target}", "--hide-scrollbars", *size])
            if not target.is_file():
                raise OfframpError(f"expected a picture from {self.path}, got none; try --format svg")
            return target.read_bytes()

    def _run(self, folder: Path, page: str, options: Sequence[str]) -> str:
        path = folder / "page.html"
        path.write_text(page, encoding="utf-8")
        command = [
            self.path, "--headless", "--disable-gpu", "--use-angle=swiftshader", "--enable-unsafe-swiftshader",
            "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync",
            f"--user-data-dir={folder / 'profile'}", f"--virtual-time-budget={1000 * _SECONDS}",
            *(["--no-sandbox"] if os.geteuid() == 0 else []),  # Chromium refuses to start as root otherwise
            *options, path.as_uri(),
        ]  # fmt: skip
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=_SECONDS, check=True)
        except (OSError, subprocess.SubprocessError) as error:
            reason = str(error).splitlines()[0][:200]
            raise OfframpError(f"expected {self.path} to draw, got: {reason}; try --format html") from None
        return done.stdout


def _decoded(url: str) -> bytes:
    """The content of a data URL."""
    head, _, body = url.partition(",")
    if head.endswith(";base64"):
        return base64.b64decode(body)
    from urllib.parse import unquote

    return unquote(body).encode("utf-8")
