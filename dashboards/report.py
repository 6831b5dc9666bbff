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
from pathlib import Path

from hwcost.errors import OfframpError
from study.results import RunResults, load_run

MOST_LINKED = 36
"""Front members with views of their own; each adds some 16 kB to the page."""


def write_report(results: RunResults, out_path: Path) -> Path:
    """Writes the report of a run.

    Args:
        results: As `study.results.load_run` reads them.
        out_path: HTML file to write; its folder is made. It holds the old page or the whole new one.

    Returns:
        `out_path`.

    Raises:
        OfframpError: The tables lack a column, or the file cannot be written.
    """
    _write(out_path, report_html(results))
    return out_path


def report_html(results: RunResults) -> str:
    """The page as text.

    Raises:
        OfframpError: The tables lack a column.
    """
    from plotly.offline import get_plotlyjs

    from dashboards.figures import FIGURES
    from dashboards.headline import savings
    from dashboards.members import linked_members, report_data
    from dashboards.page import render

    data = report_data(results)
    linked = linked_members(data.members, MOST_LINKED)
    views = [figure(data, linked) for figure in FIGURES]
    return render(data, views, savings(data), linked, get_plotlyjs())


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
    options = parser.parse_args(arguments)
    try:
        results = load_run(options.run)
        path = write_report(results, options.out or options.run / "report.html")
        if options.json:
            _write_numbers(results, options.json)
    except OfframpError as error:
        print(f"dashboards.report: {error}", file=sys.stderr)
        return 2
    if str(options.json) != "-":
        print(f"wrote {path} ({path.stat().st_size / 1e6:.1f} MB)")
    return 0


def _write_numbers(results: RunResults, path: Path) -> None:
    from dashboards.members import report_data
    from dashboards.numbers import report_numbers

    text = json.dumps(report_numbers(report_data(results)), indent=2, allow_nan=False) + "\n"
    if str(path) == "-":
        sys.stdout.write(text)
    else:
        _write(path, text)


def _write(path: Path, text: str) -> None:
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
