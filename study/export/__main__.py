"""`python -m study.export`: a study's results as CSV, LaTeX and BibTeX, also while it runs.

Imports are inside functions on purpose: `--help` and refusals answer without loading pandas.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hwcost.errors import OfframpError

if TYPE_CHECKING:
    from study.export.source import Source

EXIT_BAD_INPUT = 2
FORMATS = ("csv", "latex", "bibtex", "all")


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> Any:
        self.exit(EXIT_BAD_INPUT, f"error: {message}; see python -m study.export --help\n")


def build_parser() -> argparse.ArgumentParser:
    """The options of the command."""
    parser = _Parser(
        prog="python -m study.export",
        description="Write a study's tables as CSV, its networks and front as LaTeX tables (booktabs), and what to "
        "cite as BibTeX. Reads only, and works while the study runs.",
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("run", nargs="?", type=Path, metavar="FOLDER", help="that study.run writes to")
    add("--storage", metavar="URL", help="of the study; default: the database in the folder")
    add("--study-name", metavar="NAME", help="where the storage holds several")
    add("--accelerator", type=Path, metavar="FILE.toml", help="the chip, where the study has one of its own")
    add("--format", choices=FORMATS, default="all", help="default: all")
    add("--rows", type=int, default=20, metavar="N", help="most networks in a LaTeX table (default 20)")
    add("--out", type=Path, metavar="DIR", help="default: export/ in the folder, or export-<study name>")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command.

    Args:
        argv: Options; None takes those of the process.

    Returns:
        The exit code.
    """
    arguments = build_parser().parse_args(sys.argv[1:] if argv is None else argv)
    try:
        _export(arguments)
    except OfframpError as error:
        print(f"error: {' '.join(str(error).split())}", file=sys.stderr)
        return EXIT_BAD_INPUT
    except OSError as error:
        print(f"error: expected to read and write files, got: {error}", file=sys.stderr)
        return EXIT_BAD_INPUT
    return 0


def _export(arguments: argparse.Namespace) -> None:
    if arguments.run is None and arguments.storage is None:
        raise OfframpError("expected a run's folder or --storage, got neither; name one")
    if arguments.rows < 1:
        raise OfframpError(f"expected --rows of at least 1, got {arguments.rows}; raise it")

    from study.atomic import write_text
    from study.export.source import open_folder, open_storage_alone
    from study.setup import folder_name
    from study.storage import default_url, storage_failures

    place = (arguments.study_name, arguments.accelerator)
    with storage_failures(arguments.storage or default_url(arguments.run)):
        if arguments.run is not None:
            source = open_folder(arguments.run, arguments.storage, *place)
        else:
            source = open_storage_alone(arguments.storage, *place)
    default = arguments.run / "export" if arguments.run else Path(f"export-{folder_name(source.run.name)}")
    out = arguments.out or default
    out.mkdir(parents=True, exist_ok=True)
    for name, text in files(source, arguments.format, arguments.rows).items():
        write_text(out / name, text)
        print(out / name)
    for line in source.missing:
        print(f"not there yet: {line}")


def files(source: Source, form: str, rows: int) -> dict[str, str]:
    """Content of every file of a format, by name."""
    run = source.run
    found = dict(source.tables) if form in ("csv", "all") else {}
    if form in ("latex", "all"):
        from study.export.paper_tables import front_table, networks_table

        found["networks.tex"] = networks_table(run, rows).text()
        found["front.tex"] = front_table(run, rows).text()
    if form in ("bibtex", "all"):
        from study.export.bibtex import references

        found["references.bib"] = references(run.config, run.environment)
    return found


if __name__ == "__main__":
    sys.exit(main())
