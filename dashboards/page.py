"""The page around the figures: everything in one HTML file that asks the network for nothing.

The page's policy forbids every request, so that even a name smuggled past the escaping could not send anything.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import resources
from string import Template
from typing import Any

from dashboards.figures.view import View
from dashboards.headline import Saving
from dashboards.members import Member, ReportData
from dashboards.text import cycles_unit, energy_unit, percent, plain, script_json, signed_percent, with_unit

_COLUMNS: tuple[tuple[str, str], ...] = (
    ("", "front member"),
    ("accuracy", "accuracy"),
    ("accuracy_drop", "change of accuracy (points)"),
    ("edp_relative", "EDP / reference"),
    ("mean_latency_cycles", "mean latency"),
    ("mean_energy_pj", "mean energy"),
    ("worst_latency_cycles", "worst latency"),
    ("weight_memory_bits", "weights (kB)"),
    ("exits", "exits after blocks"),
    ("heads", "heads"),
    ("weight_bits", "weight bits"),
    ("activation_bits", "activation bits"),
    ("pe_arrays", "PE arrays"),
)


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
    headline = [m for m in linked if m.headline] or list(linked)
    start = _first_choice(headline)
    payload = {
        "views": [view.to_json() for view in views],
        "chosen": start.design if start else None,
    }
    return Template(_template("report.html")).substitute(
        title=plain(data.results.name, 200),
        css=_template("report.css"),
        facts=_facts(data),
        cards="".join(_card(saving) for saving in savings),
        chooser="".join(_option(m, start) for m in linked),
        chooser_hidden="" if linked else "hidden",
        sections="".join(_section(view, bool(linked)) for view in views),
        head="".join(_head_cell(title) for _, title in _COLUMNS),
        rows=_rows(data, linked),
        remark=_remark(data, linked),
        plotly=_script(plotly_js),
        data=script_json(payload),
        script=_script(_template("report.js")),
    )


def _first_choice(members: Sequence[Member]) -> Member | None:
    """The design to show first: the cheapest within two points of the reference, else the most accurate."""
    near = [m for m in members if m.row["accuracy_drop"] <= 0.02 + 1e-9]
    if near:
        return min(near, key=lambda m: m.row["mean_edp_pj_cycles"])
    return members[0] if members else None


def _facts(data: ReportData) -> str:
    environment, config, trials = data.results.environment, data.results.config, data.results.trials
    machine, images = _section_of(environment, "machine"), _section_of(environment, "data")
    states: dict[Any, int] = trials["state"].value_counts().to_dict() if len(trials) else {}
    backbone = _section_of(config, "backbone")
    facts = {
        "data": f"{images.get('name', '?')}, accuracies on {images.get('validation', '?')} validation images",
        "network": f"{backbone.get('name', '?')} x {backbone.get('width', '?')}",
        "accelerator": _section_of(config, "hardware").get("accelerator", "?"),
        "trials": f"{states.get('COMPLETE', 0)} finished, {states.get('FAIL', 0)} failed; "
        f"{len(data.results.designs)} designs, {len(data.feasible)} feasible",
        "static reference": f"{percent(data.reference['accuracy'])}, "
        f"{with_unit(data.reference['mean_energy_pj'], energy_unit(data.reference['mean_energy_pj']))}, "
        f"{with_unit(data.reference['mean_latency_cycles'], cycles_unit(data.reference['mean_latency_cycles']))}"
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


def _section(view: View, any_member: bool) -> str:
    empty = view.linked and not any_member
    switch = ""
    if not view.linked and len(view.figures) > 1:
        options = "".join(
            f'<option value="{plain(key)}">{plain(view.labels.get(key, key))}</option>'
            for key in view.figures
        )
        switch = f'<select class="switch" aria-label="{plain(view.title)}: what to show">{options}</select>'
    body = (
        '<p class="note">No feasible design yet.</p>'
        if empty
        else f'<div class="plot" id="plot-{view.name}" role="img" aria-label="{plain(view.alt, 400)}"></div>'
    )
    return (
        f'<section class="view{" wide" if view.wide else ""}" data-view="{view.name}">'
        f'<div class="view-head"><h2>{plain(view.title)}</h2>{switch}</div>{body}'
        f'<p class="note">{plain(view.note, 400)}</p></section>'
    )


def _head_cell(title: str) -> str:
    return f'<th scope="col" aria-sort="none"><button type="button">{plain(title)}</button></th>'


def _rows(data: ReportData, members: Sequence[Member]) -> str:
    reference = data.reference
    units = (energy_unit(reference["mean_energy_pj"]), cycles_unit(reference["mean_latency_cycles"]))
    rows = [_row("static reference", None, reference, units)]
    if data.best_static is not None:
        rows.append(_row("best static design", None, data.best_static, units))
    rows += [_row(m.label, m.design, m.row, units) for m in members]
    return "".join(rows)


def _row(
    name: str, design: str | None, row: Mapping[str, Any], units: tuple[tuple[float, str], tuple[float, str]]
) -> str:
    joules, cycles = units
    shown = {
        "accuracy": percent(row["accuracy"], 2),
        "accuracy_drop": signed_percent(-row["accuracy_drop"], 2).removesuffix(" %"),
        "edp_relative": f"{row['edp_relative']:.3f}",
        "mean_latency_cycles": with_unit(row["mean_latency_cycles"], cycles),
        "mean_energy_pj": with_unit(row["mean_energy_pj"], joules),
        "worst_latency_cycles": with_unit(row["worst_latency_cycles"], cycles),
        "weight_memory_bits": f"{row['weight_memory_bits'] / 8000:,.1f}",
    }
    first = f'<button type="button" class="pick">{plain(name)}</button>' if design else plain(name)
    cells = [f'<th scope="row">{first}</th>']
    for column, _ in _COLUMNS[1:]:
        if column in shown:
            cells.append(f'<td class="n" data-value="{float(row[column])!r}">{shown[column]}</td>')
        else:
            cells.append(f"<td>{plain(row[column], 200) or 'none'}</td>")
    picked = f' data-design="{plain(design)}"' if design else ' class="static"'
    return f"<tr{picked}>{''.join(cells)}</tr>"


def _remark(data: ReportData, linked: Sequence[Member]) -> str:
    if not data.members:
        return "No feasible design yet: the static reference stands alone."
    left = len(data.members) - len(linked)
    return f"{left} further members of the front are in pareto.csv." if left else ""


def _template(name: str) -> str:
    return (resources.files("dashboards") / "templates" / name).read_text(encoding="utf-8")


def _script(source: str) -> str:
    """Source that cannot end the script element it stands in; the escape is legal in strings and patterns."""
    return source.replace("</script", "<\\/script").replace("<!--", "<\\!--")
