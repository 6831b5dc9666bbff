"""`python -m dashboards.figures RUN`: the figures of a run as files for papers.

SVG, PDF and PNG are drawn by a Chromium that is installed; without one an HTML page is written in their place.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from hwcost.errors import OfframpError
from study.atomic import write_bytes

if TYPE_CHECKING:
    from dashboards.members import Member, ReportData
    from dashboards.paper import PaperFigure

FORMATS = ("svg", "pdf", "png", "html")


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns the exit status."""
    options = _parser().parse_args(arguments)
    try:
        written = write_figures(
            options.run, options.format, options.out or options.run / "figures", options.design, options.width,
            options.only, options.reference_front, options.browser,
        )  # fmt: skip
    except OfframpError as error:
        print(f"dashboards.figures: {error}", file=sys.stderr)
        return 2
    print("\n".join(str(path) for path in written))
    return 0


def write_figures(
    run: Path,
    kind: str,
    out: Path,
    design: str | None = None,
    width: str | None = None,
    only: Sequence[str] = (),
    reference_front: Path | None = None,
    browser: Path | None = None,
) -> list[Path]:
    """Writes the figures of a run; returns the files.

    Args:
        run: Its folder.
        kind: Out of `FORMATS`.
        out: Folder to write into; made.
        design: Whose figures are wanted where each design has its own: a design of the front or the beginning of its
            name, or `#N`; None: the one that the report shows first.
        width: `column` (3.5 inches) or `page` (7); None: as wide as each figure needs.
        only: Names of figures; empty: all.
        reference_front: A table of others to draw beside the front.
        browser: The Chromium to draw with; None: one that is installed.

    Raises:
        OfframpError: The run, the design or a name is not known, or a file cannot be written.
    """
    from dashboards.chromium import Chromium
    from dashboards.figures.catalogue import FIGURES
    from dashboards.members import report_data
    from dashboards.paper import COLUMN, PAGE, paper_figures
    from dashboards.reference_front import load_reference_front
    from study.results import load_run

    given = load_reference_front(reference_front) if reference_front else None
    data = report_data(load_run(run), given)
    member = _member(data, design)
    # Overviews show the members of the front of accuracy and product: more do not fit into a column.
    shown = [m for m in data.members if m.headline] or list(data.members)
    views = [view(data, shown if member is None or member in shown else [*shown, member]) for view in FIGURES]
    figures = paper_figures(views, member, {"column": COLUMN, "page": PAGE}.get(width or ""))
    figures = _selected(figures, only)
    chromium = Chromium.find(browser) if kind != "html" else None
    if kind != "html" and chromium is None:
        print(
            f"dashboards.figures: no Chromium is installed, which draws {kind.upper()}; writing an HTML page",
            file=sys.stderr,
        )
        kind = "html"
    try:
        out.mkdir(parents=True, exist_ok=True)
        return _write(figures, kind, out, chromium)
    except OSError as error:
        raise OfframpError(
            f"expected to write figures into {out}, got: {error.strerror or error}; choose another --out"
        ) from error


def _write(figures: list[PaperFigure], kind: str, out: Path, chromium: object) -> list[Path]:
    from dashboards.chromium import Chromium
    from dashboards.report import plotly_js, write_page

    if not isinstance(chromium, Chromium):
        from dashboards.page import figures_page

        path = out / "figures.html"
        write_page(path, figures_page(figures, plotly_js()))
        return [path]
    plots = {f.name: f.figure for f in figures if f.figure is not None}
    sizes = {f.name: (f.width, f.height) for f in figures}
    drawn = chromium.images(plots, sizes, "png" if kind == "png" else "svg", plotly_js()) if plots else {}
    written = []
    for figure in figures:
        content = drawn.get(figure.name) or figure.svg.encode("utf-8")
        if kind == "pdf":
            content = chromium.pdf(content.decode("utf-8"), figure.width, figure.height)
        elif kind == "png" and figure.svg:
            content = chromium.png(figure.svg, figure.width, figure.height)
        path = out / f"{figure.name}.{kind}"
        write_bytes(path, content)
        written.append(path)
    return written


def _member(data: ReportData, design: str | None) -> Member | None:
    from dashboards.page import first_choice

    if design is None:
        return first_choice(data.members)
    found = [m for m in data.members if m.label == design or m.design.startswith(design)]
    if len(found) != 1:
        known = ", ".join(f"{m.label} ({m.design})" for m in data.members[:5])
        raise OfframpError(
            f"expected --design of one member of the front such as {known or 'none'}, got {design!r}, which is "
            f"{len(found)} of them"
        )
    return found[0]


def _selected(figures: list[PaperFigure], only: Sequence[str]) -> list[PaperFigure]:
    names = [figure.name for figure in figures]
    unknown = [name for name in only if name not in names]
    if unknown:
        raise OfframpError(f"expected --only out of {', '.join(names)}, got {', '.join(unknown)}")
    return [figure for figure in figures if not only or figure.name in only]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m dashboards.figures", description=__doc__)
    add = parser.add_argument
    add("run", type=Path, metavar="RUN", help="folder of a run, such as runs/quickstart")
    add("--format", choices=FORMATS, default="svg", help="default: svg")
    add("--out", type=Path, metavar="DIR", help="folder to write into (default: RUN/figures)")
    add("--design", metavar="NAME|#N", help="member of the front whose own figures are wanted")
    add("--width", choices=("column", "page"), help="3.5 or 7 inches (default: as each figure needs)")
    add("--only", nargs="+", default=[], metavar="FIGURE", help="names of figures (default: all)")
    add("--reference-front", type=Path, metavar="FILE.csv", help="a front of others to draw beside this one")
    add("--browser", type=Path, metavar="PROGRAM", help="Chromium to draw with (default: the installed one)")
    return parser


if __name__ == "__main__":
    sys.exit(main())
