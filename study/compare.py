"""`python -m study.compare`: which of several runs found the better front, and whether seeds explain the difference.

Imports are inside functions on purpose: `--help` and refusals answer without loading pandas.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hwcost.errors import OfframpError

if TYPE_CHECKING:
    from study.compare_runs import Comparison

EXIT_BAD_INPUT = 2

NO_TESTS = "A test needs two labels with two runs or more each; add runs with other seeds."
"""Said where there is none."""


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> Any:
        self.exit(EXIT_BAD_INPUT, f"error: {message}; see python -m study.compare --help\n")


def build_parser() -> argparse.ArgumentParser:
    """The options of the command."""
    parser = _Parser(
        prog="python -m study.compare",
        description="Compare the fronts of runs: hypervolume with a common reference point, IGD+ against the best of "
        "all together, attainment, and rank tests where labels have several runs.",
        epilog="Runs of one label are repetitions with other seeds: ours=runs/a ours=runs/b random=runs/c "
        "random=runs/d. Without a label a run has the name of its folder, which no other one may have then.",
        allow_abbrev=False,
    )
    parser.add_argument("runs", nargs="+", metavar="[LABEL=]FOLDER", help="folders that study.run wrote")
    parser.add_argument("--json", type=Path, metavar="FILE", help="everything, for programs")
    return parser


def read_groups(arguments: Sequence[str]) -> dict[str, list[Path]]:
    """Folders by label, in the order given.

    Raises:
        OfframpError: A folder is named twice, or one without a label has a name that is a label already.
    """
    groups: dict[str, list[Path]] = {}
    seen: set[Path] = set()
    named: dict[str, str] = {}  # label -> the first folder without one that is called so
    for text in arguments:
        label, separator, place = text.partition("=")
        # A folder may have an equals sign in its name.
        if not separator or "/" in label or Path(text).exists():
            label, place = "", text
        folder = Path(place)
        if folder.resolve() in seen:
            raise OfframpError(f"expected each run once, got {place} twice; a run is no repetition of itself")
        seen.add(folder.resolve())
        if not label:
            label = folder.resolve().name
            named.setdefault(label, place)
        groups.setdefault(label, []).append(folder)
    for label, place in named.items():
        if len(groups[label]) > 1:
            other = next(str(folder) for folder in groups[label] if folder != Path(place))
            raise OfframpError(
                f"expected a label for {place}, got none, and its name {label} is that of {other} too; write "
                f"A={place} B={other}, or one label for both where they are repetitions with other seeds"
            )
    return groups


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command.

    Args:
        argv: Options; None takes those of the process.

    Returns:
        The exit code.
    """
    arguments = build_parser().parse_args(sys.argv[1:] if argv is None else argv)
    try:
        _compare(arguments)
    except OfframpError as error:
        print(f"error: {' '.join(str(error).split())}", file=sys.stderr)
        return EXIT_BAD_INPUT
    except OSError as error:
        print(f"error: expected to read and write files, got: {error}", file=sys.stderr)
        return EXIT_BAD_INPUT
    return 0


def _compare(arguments: argparse.Namespace) -> None:
    groups = read_groups(arguments.runs)

    from dataclasses import asdict

    from rich.console import Console

    from study.atomic import write_text
    from study.compare_runs import compare_runs
    from study.results import load_run

    comparison = compare_runs({label: [load_run(f) for f in folders] for label, folders in groups.items()})
    if arguments.json is not None:
        write_text(arguments.json, json.dumps(_plain(asdict(comparison)), indent=1, allow_nan=False) + "\n")
    _print(comparison, Console())


def _plain(value: Any) -> Any:
    """JSON has no infinity and no NaN: a run without designs is infinitely far from the joint front."""
    if isinstance(value, dict):
        return {key: _plain(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(entry) for entry in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _print(comparison: Comparison, console: Any) -> None:
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("label")
    for name in ("runs", "trials", "hypervolume", "IGD+", "of joint front"):
        table.add_column(name, justify="right")
    for label in comparison.labels:
        found = sum(label.label in owners for owners in comparison.joint_labels)
        table.add_row(
            Text(label.label),
            str(len(label.runs)),
            _span([run.trials for run in label.runs], "d"),
            _span(label.values("hypervolume"), ".4f"),
            _span(label.values("igd_plus"), ".4f"),
            f"{found} of {len(comparison.joint_front)}",
        )
    console.print(table)
    units = ", ".join(
        f"{name} {value:.4g}" for name, value in zip(comparison.objectives, comparison.reference, strict=True)
    )
    say = {"highlight": False, "markup": False, "soft_wrap": True}
    console.print(
        f"Median and range over runs. Hypervolume: share of the box up to {units}. IGD+: in ranges of the joint "
        "front, less is better.",
        **say,
    )
    for test in comparison.tests:
        console.print(
            f"{test.indicator}: {test.first} better than {test.second} with probability {test.superiority:.2f}, "
            f"{test.test} p = {test.p:.3g} (Holm {test.p_holm:.3g})",
            **say,
        )
    if not comparison.tests:
        console.print(NO_TESTS, **say)
    for key, values in comparison.differences.items():
        console.print(f"{key}: {' | '.join(map(str, values))}", **say)


def _span(values: Sequence[float], form: str) -> str:
    from statistics import median

    middle = median(values)
    text = f"{int(middle) if form == 'd' else middle:{form}}"
    return text if len(set(values)) == 1 else f"{text} ({min(values):{form}} to {max(values):{form}})"


if __name__ == "__main__":
    sys.exit(main())
