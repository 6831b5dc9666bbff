"""The page around the figures: everything in one HTML file that asks the network for nothing.

The page's policy forbids every request, so that even a name smuggled past the escaping could not send anything.
"""

from __future__ import annotations

import base64
import gzip
from collections.abc import Mapping, Sequence
from importlib import resources
from string import Template
from typing import Any

from dashboards.figures.view import View
from dashboards.front_table import front_table
from dashboards.headline import Saving
from dashboards.members import Member, ReportData
from dashboards.palette import dark_words
from dashboards.paper import PaperFigure
from dashboards.text import energy_unit, percent, plain, script_json, signed_percent, with_unit

SCRIPTS = ("unpack.js", "drawing.js", "table.js", "report.js")
"""In the order in which they run; each uses what the ones before it made."""


def render(
    data: ReportData,
    views: Sequence[View],
    savings: Sequence[Saving],
    linked: Sequence[Member],
    plotly_js: str,
) -> str:
    """The whole page.

    Args:
        data: The run.
        views: Figures in order.
        savings: Headline numbers.
        linked: Members that can be chosen.
        plotly_js: Source of plotly.js.
    """
    start = first_choice(linked)
    table = front_table(data, linked)
    payload = {
        "views": [view.to_json() for view in views],
        "chosen": start.design if start else None,
        "dark": dark_words(),
        "spoken": {m.design: f"{m.label} chosen: {m.spoken}" for m in linked},
    }
    return Template(template("report.html")).substitute(
        title=plain(data.results.name, 200),
        css=template("report.css"),
        facts=_facts(data),
        cards="".join(_card(saving) for saving in savings),
        chooser="".join(_option(m, start) for m in linked),
        chooser_hidden="" if linked else "hidden",
        sections="".join(section(view) for view in views),
        head=table.head,
        rows=table.rows,
        filters=", ".join(table.filters),
        remark=_remark(data, linked),
        plotly=packed(plotly_js),
        data=packed(script_json(payload)),
        script="\n".join(inline_script(template(name)) for name in SCRIPTS),
    )


def packed(text: str) -> str:
    """Text as base64 of gzip, which the page unpacks: plotly.js is 4.8 MB plain and 2 MB so."""
    return base64.b64encode(gzip.compress(text.encode("utf-8"), 9, mtime=0)).decode("ascii")


def first_choice(members: Sequence[Member]) -> Member | None:
    """The design to show first: the cheapest within two points of the reference, else the most accurate.

    Out of the members on the front of accuracy and product, where there are any.
    """
    members = [m for m in members if m.headline] or list(members)
    near = [m for m in members if m.row["accuracy_drop"] <= 0.02 + 1e-9]
    if near:
        return min(near, key=lambda m: m.row["mean_edp_pj_cycles"])
    return members[0] if members else None


def figures_page(figures: Sequence[PaperFigure], plotly_js: str) -> str:
    """Figures in the size of their print on one page."""
    payload = [{"name": f.name, "figure": f.figure} for f in figures if f.figure is not None]
    sections = "".join(
        f'<section><h2>{plain(f.name)}</h2><div id="figure-{plain(f.name)}">{f.svg}</div></section>'
        for f in figures
    )
    return Template(template("figures.html")).substitute(
        sections=sections,
        plotly=packed(plotly_js),
        data=packed(script_json(payload)),
        script=inline_script(template("unpack.js") + template("figures.js")),
    )


def _facts(data: ReportData) -> str:
    environment, config, trials = data.results.environment, data.results.config, data.results.trials
    machine, images = _section_of(environment, "machine"), _section_of(environment, "data")
    states: dict[Any, int] = trials["state"].value_counts().to_dict() if len(trials) else {}
    backbone = _section_of(config, "backbone")
    latency = float(data.reference["mean_latency_cycles"])
    facts = {
        "data": f"{images.get('name', '?')}, accuracies on {images.get('validation', '?')} validation images",
        "network": f"{backbone.get('name', '?')} x {backbone.get('width', '?')}",
        "accelerator": _section_of(config, "hardware").get("accelerator", "?"),
        "trials": f"{states.get('COMPLETE', 0)} finished, {states.get('FAIL', 0)} failed; "
        f"{len(data.results.designs)} designs, {len(data.feasible)} feasible",
        "static reference": f"{percent(data.reference['accuracy'])}, "
        f"{with_unit(data.reference['mean_energy_pj'], energy_unit(data.reference['mean_energy_pj']))}, "
        f"{with_unit(latency, data.latency_unit(latency))}"
        + (f", trained {data.reference['trained']}" if "trained" in data.reference else ""),
        "machine": f"{machine.get('processor', '?')}, {machine.get('cores', '?')} cores, "
        f"{machine.get('device', '?')}",
        "commit": str(environment.get("commit") or "unknown")[:12],
        "command": environment.get("command") or "unknown",
    }
    return "".join(f"<div><dt>{plain(k)}</dt><dd>{plain(v, 300)}</dd></div>" for k, v in facts.items())


def _section_of(values: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    part = values.get(name)
    return part if isinstance(part, Mapping) else {}


def _card(saving: Saving) -> str:
    points = f"{100 * saving.accuracy_drop:g}"
    allowed = f"at most {points} point{'' if points == '1' else 's'} less accuracy"
    if saving.edp_change is None or saving.accuracy is None:
        return f'<div class="card"><b>none</b><span>energy-latency product, {allowed}</span></div>'
    return (
        f'<div class="card"><b>{signed_percent(saving.edp_change)}</b>'
        f"<span>energy-latency product, {allowed} "
        f"({percent(saving.accuracy)}, trial {saving.trial})</span></div>"
    )


def _option(member: Member, start: Member | None) -> str:
    selected = " selected" if member is start else ""
    return f'<option value="{plain(member.design)}"{selected}>{member.summary}</option>'


_WALKED = 'aria-roledescription="figure with designs to choose" aria-describedby="keys" tabindex="0"'


def section(view: View) -> str:
    """The part of a page that a view has."""
    label = plain(view.title)
    switch = ""
    if view.sliders or (not view.linked and len(view.figures) > 1):
        keys = view.labels if view.sliders else view.figures
        options = "".join(
            f'<option value="{plain(key)}">{plain(view.labels.get(key, key))}</option>' for key in keys
        )
        switch = f'<select class="switch" aria-label="{label}: what to show">{options}</select>'
    save = f'<button type="button" class="save" aria-label="{label}: save as SVG">SVG</button>'
    slider = (
        f'<div class="slider" hidden><input type="range" min="0" max="0" step="1" aria-label="{label}: position '
        f'on the curve, from never leaving early to all at once" aria-describedby="at-{view.name}">'
        f'<p id="at-{view.name}" class="at"></p></div>'
        if view.sliders
        else ""
    )
    # Where members of the front can be chosen, arrow keys do what a click on a point does.
    role = f'role="application" {_WALKED}' if view.marks else 'role="img"'
    plot = (
        f'<div class="plot" id="plot-{view.name}" {role} aria-label="{plain(view.alt, 900)}"></div>'
        if view.shows_anything
        else ""
    )
    return (
        f'<section class="view{" wide" if view.wide else ""}" data-view="{view.name}" aria-label="{label}">'
        f'<div class="view-head"><h2>{label}</h2><div>{switch}{save if plot else ""}</div></div>{plot}'
        f'<p class="absent" {"hidden" if plot else ""}>{plain(view.absent, 400)}</p>{slider}'
        f'<p class="note">{plain(view.note, 500)}</p></section>'
    )


def _remark(data: ReportData, linked: Sequence[Member]) -> str:
    if not data.members:
        return "No feasible design yet: the static reference stands alone."
    left = len(data.members) - len(linked)
    return f"{left} further members of the front are in pareto.csv." if left else ""


def template(name: str) -> str:
    """A file of `templates/`."""
    return (resources.files("dashboards") / "templates" / name).read_text(encoding="utf-8")


def inline_script(source: str) -> str:
    """Source that cannot end the script element it stands in; the escape is legal in strings and patterns."""
    return source.replace("</script", "<\\/script").replace("<!--", "<\\!--")
