"""`python -m dashboards.compare [LABEL=]RUN ...`: several runs in pictures, with bands over seeds.

The numbers are those of `python -m study.compare`; everything is in one HTML file that opens from disk.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median
from string import Template
from typing import TYPE_CHECKING, Any

from hwcost.errors import OfframpError

if TYPE_CHECKING:
    from study.compare_runs import Comparison
    from study.results import RunResults

SCRIPTS = ("unpack.js", "drawing.js", "compare.js")


def comparison_html(runs: Mapping[str, Sequence[RunResults]]) -> str:
    """The page as text.

    Args:
        runs: By label; the runs of a label differ in their seeds.

    Raises:
        OfframpError: They cannot be compared.
    """
    from dashboards.figures.compared import views
    from dashboards.page import inline_script, packed, section, template
    from dashboards.palette import dark_words
    from dashboards.report import plotly_js
    from dashboards.text import plain, script_json
    from study.compare_runs import compare_runs

    comparison = compare_runs(runs)
    drawn = views(comparison, runs)
    return Template(template("compare.html")).substitute(
        title=plain(" and ".join(runs), 200),
        css=template("report.css"),
        sections="".join(section(view) for view in drawn),
        labels=_table(_label_head(), _label_rows(comparison)),
        tests=_tests(comparison),
        differences=_differences(comparison, runs),
        units=plain(_units(comparison), 400),
        plotly=packed(plotly_js()),
        data=packed(script_json({"dark": dark_words(), "views": [view.to_json() for view in drawn]})),
        script="\n".join(inline_script(template(name)) for name in SCRIPTS),
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m dashboards.compare",
        description=__doc__,
        epilog="Runs of one label are repetitions with other seeds: ours=runs/a ours=runs/b random=runs/c.",
    )
    parser.add_argument("runs", nargs="+", metavar="[LABEL=]RUN", help="folders that study.run wrote")
    parser.add_argument(
        "--out",
        type=Path,
        default=Path("comparison.html"),
        metavar="FILE.html",
        help="default: comparison.html",
    )
    options = parser.parse_args(arguments)
    from dashboards.report import write_page
    from study.compare import read_groups

    try:
        groups = read_groups(options.runs)
        from study.results import load_run

        page = comparison_html({label: [load_run(f) for f in folders] for label, folders in groups.items()})
        write_page(options.out, page)
    except OfframpError as error:
        print(f"dashboards.compare: {' '.join(str(error).split())}", file=sys.stderr)
        return 2
    print(f"wrote {options.out} ({len(page.encode()) / 1e6:.1f} MB)")
    return 0


def _label_head() -> list[str]:
    return ["label", "runs", "trials", "hypervolume", "IGD+", "members of the joint front"]


def _label_rows(comparison: Comparison) -> list[list[str]]:
    return [
        [
            label.label,
            str(len(label.runs)),
            span([run.trials for run in label.runs], ".0f"),
            span(label.values("hypervolume"), ".4f"),
            span(label.values("igd_plus"), ".4f"),
            f"{sum(label.label in owners for owners in comparison.joint_labels)} of {len(comparison.joint_front)}",
        ]
        for label in comparison.labels
    ]


def span(values: Sequence[float], form: str) -> str:
    """Median and range."""
    text = f"{median(values):{form}}"
    return text if len(set(values)) == 1 else f"{text} ({min(values):{form}} to {max(values):{form}})"


_INDICATORS = {"igd_plus": "IGD+"}


def _tests(comparison: Comparison) -> str:
    from dashboards.text import plain
    from study.compare import NO_TESTS

    if not comparison.tests:
        return f'<p class="note">{plain(NO_TESTS, 200)}</p>'
    head = ["indicator", "better", "than", "with probability", "test", "p", "p (Holm)"]
    rows = [
        [
            _INDICATORS.get(t.indicator, t.indicator),
            t.first,
            t.second,
            f"{t.superiority:.2f}",
            t.test,
            f"{t.p:.3g}",
            f"{t.p_holm:.3g}",
        ]
        for t in comparison.tests
    ]
    return _table(head, rows)


def _differences(comparison: Comparison, runs: Mapping[str, Sequence[RunResults]]) -> str:
    if not comparison.differences:
        return '<p class="note">None.</p>'
    names = [run.name for group in runs.values() for run in group]
    rows = [[key, *map(str, values)] for key, values in comparison.differences.items()]
    return _table(["setting", *names], rows)


def _units(comparison: Comparison) -> str:
    pairs = zip(comparison.objectives, comparison.reference, strict=True)
    return "Median and range over runs. Hypervolume: share of the box up to " + ", ".join(
        measured(name, value) for name, value in pairs
    )


def measured(column: str, value: float) -> str:
    """The value of a column in words, with a unit that suits it.

    Args:
        column: Its name, which ends in its unit.
        value: In that unit.
    """
    from dashboards.text import cycles_unit, energy_unit, product_unit, seconds_unit, with_unit

    # A product ends in its unit of time too, so it comes first.
    for unit, scale, choose in (
        ("_joule_seconds", 1.0, product_unit), ("_cycles", 1.0, cycles_unit), ("_seconds", 1.0, seconds_unit),
        ("_pj", 1.0, energy_unit), ("_joules", 1e12, energy_unit),
    ):  # fmt: skip
        if column.endswith(unit) and "pj_cycles" not in column:
            name = column.removesuffix(unit).replace("_", " ")
            return f"{name} {with_unit(scale * value, choose(scale * value))}"
    return f"{column.replace('_', ' ')} {value:.4g}"


def _table(head: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    from dashboards.text import plain

    titles = "".join(f'<th scope="col" class="plain">{plain(title, 60)}</th>' for title in head)
    body = ""
    for first, *rest in rows:
        cells = "".join(f"<td>{plain(cell, 120)}</td>" for cell in rest)
        body += f'<tr><th scope="row">{plain(first, 60)}</th>{cells}</tr>'
    return (
        '<div class="scroll" tabindex="0" role="region" aria-label="Table">'
        f"<table><thead><tr>{titles}</tr></thead><tbody>{body}</tbody></table></div>"
    )


if __name__ == "__main__":
    sys.exit(main())
