"""`python -m dashboards.report RUN`: one self-contained HTML file about a run.

Everything is in the file, plotly.js included; it opens from disk without a network.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Sequence
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

from hwcost.errors import OfframpError

if TYPE_CHECKING:
    from dashboards.reference_front import ReferenceFront
    from study.results import RunResults

MOST_LINKED = 250
"""Front members with views of their own; each adds some 5 kB to the page, packed."""


def write_report(results: RunResults, out_path: Path, reference_front: ReferenceFront | None = None) -> Path:
    """Writes the report of a run.

    Args:
        results: As `study.results.load_run` reads them.
        out_path: HTML file to write; its folder is made. It holds the old page or the whole new one.
        reference_front: A front of others to draw beside this one.

    Returns:
        `out_path`.

    Raises:
        OfframpError: The tables lack a column, or the file cannot be written.
    """
    write_page(out_path, report_html(results, reference_front))
    return out_path


def report_html(results: RunResults, reference_front: ReferenceFront | None = None) -> str:
    """The page as text.

    Raises:
        OfframpError: The tables lack a column.
    """
    from dashboards.figures.catalogue import FIGURES
    from dashboards.headline import savings
    from dashboards.members import linked_members, report_data
    from dashboards.page import render

    data = report_data(results, reference_front)
    linked = linked_members(data.members, MOST_LINKED)
    views = [figure(data, linked) for figure in FIGURES]
    return render(data, views, savings(data), linked, plotly_js())


def plotly_js() -> str:
    """Source of plotly.js, out of the plotly package."""
    return (resources.files("plotly") / "package_data" / "plotly.min.js").read_text(encoding="utf-8")


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m dashboards.report", description=__doc__)
    parser.add_argument("run", type=Path, metavar="RUN", help="folder of a run, such as runs/quickstart")
    parser.add_argument(
        "--out", type=Path, metavar="FILE.html", help="file to write (default: RUN/report.html)"
    )
    parser.add_argument(
        "--json", type=Path, metavar="FILE", help="also write the figures' numbers; - prints them"
    )
    parser.add_argument(
        "--reference-front",
        type=Path,
        metavar="FILE.csv",
        help="a front of others to draw beside this one: accuracy (or top1_percent) and edp_relative, "
        "mean_latency_cycles or mean_energy_pj a row",
    )
    options = parser.parse_args(arguments)
    from study.results import load_run

    try:
        results = load_run(options.run)
        given = _reference_front(options.reference_front)
        path = write_report(results, options.out or options.run / "report.html", given)
        if options.json:
            _write_numbers(results, options.json)
    except OfframpError as error:
        print(f"dashboards.report: {error}", file=sys.stderr)
        return 2
    if str(options.json) != "-":
        print(f"wrote {path} ({path.stat().st_size / 1e6:.1f} MB)")
    return 0


def _reference_front(path: Path | None) -> ReferenceFront | None:
    from dashboards.reference_front import load_reference_front

    return None if path is None else load_reference_front(path)


def _write_numbers(results: RunResults, path: Path) -> None:
    from dashboards.members import report_data
    from dashboards.numbers import report_numbers

    text = json.dumps(report_numbers(report_data(results)), indent=2, allow_nan=False) + "\n"
    if str(path) == "-":
        sys.stdout.write(text)
    else:
        write_page(path, text)


def write_page(path: Path, text: str) -> None:
    """Writes a file so that a reader sees the old one or the whole new one.

    Raises:
        OfframpError: It cannot be written.
    """
    temporary: str | None = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name[:50]}.", suffix=".tmp")
        with os.fdopen(handle, "w", encoding="utf-8") as stream:
            stream.write(text)
        Path(temporary).chmod(0o644)  # mkstemp gives 0600, which a web server could not read
        Path(temporary).replace(path)
    except OSError as error:
        raise OfframpError(
            f"expected to write {path.name} in {path.parent}, got: {error.strerror or error}; choose another --out"
        ) from error
    finally:
        if temporary is not None:
            Path(temporary).unlink(missing_ok=True)


if __name__ == "__main__":
    sys.exit(main())
