"""Markdown about the members of the front and about the study."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from dashboards.headline import savings
from dashboards.members import Member, ReportData, records
from dashboards.network_picture import threshold_text
from dashboards.text import cycles_unit, energy_unit, percent, signed_percent, with_unit

DERIVED_UNKNOWN = (
    "Designs derived from trained networks (other PE arrays, other thresholds) are in the folder of the run and not "
    "shown: name it with `--run`."
)


def escaped(value: object, longest: int = 120) -> str:
    """Text that Markdown shows as it is: no link, no picture, no markup, one line."""
    text = " ".join(str(value).split())
    text = text if len(text) <= longest else text[: longest - 1] + "…"
    text = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return re.sub(r"([\\`*_{}\[\]()#+\-.!|~:])", r"\\\1", text)


def member_note(member: Member, picture: str, others: Sequence[Member] = ()) -> str:
    """The card of a member of the front.

    Args:
        member: Of the front.
        picture: Address of the drawing of its network.
        others: Further members with the same network.
    """
    row = member.row
    joules, cycles = energy_unit(row["mean_energy_pj"]), cycles_unit(row["mean_latency_cycles"])
    results = [
        ("accuracy (validation)", f"{percent(row['accuracy'], 2)} ({_points(row['accuracy_drop'])})"),
        ("energy-latency product", f"{signed_percent(row['edp_relative'] - 1)} against the static reference"),
        ("mean latency", with_unit(row["mean_latency_cycles"], cycles)),
        ("mean energy", with_unit(row["mean_energy_pj"], joules)),
        ("worst latency", with_unit(row["worst_latency_cycles"], cycles)),
        ("weights", f"{row['weight_memory_bits'] / 8000:,.1f} kB"),
        ("weight bits", row["weight_bits"]),
        ("activation bits", row["activation_bits"]),
        ("PE arrays", row["pe_arrays"]),
        ("design", member.design),
    ]
    lines = [
        f"### Front member {member.number}"
        + (", on the front of accuracy and product" if member.headline else ""),
        "",
        f"![the network and its exits]({picture})",
        "",
        "| | |",
        "|---|---|",
        *(f"| {name} | {escaped(value)} |" for name, value in results),
        "",
        "| exit after block | head | leaving | right of these | threshold |",
        "|---|---|---|---|---|",
        *(_exit_line(row) for row in records(member.exits)),
    ]
    if member.row.get("source") == "derived":
        lines += [
            "",
            "Derived: the trial's network on other PE arrays or with other thresholds. The files but "
            "`front_member.svg` are about the design that the trial proposed.",
        ]
    if others:
        lines += [
            "",
            "Further members of the front with this network:",
            "",
            "| member | accuracy (validation) | energy-latency product | PE arrays | design |",
            "|---|---|---|---|---|",
            *(_other_line(other) for other in others),
        ]
    return "\n".join(lines) + "\n"


def _other_line(member: Member) -> str:
    row = member.row
    values = (
        member.number, percent(row["accuracy"], 2), signed_percent(row["edp_relative"] - 1), row["pe_arrays"],
        member.design,
    )  # fmt: skip
    return f"| {' | '.join(map(escaped, values))} |"


def study_note(data: ReportData, thinned: bool, derived: bool) -> str:
    """What the study has found so far, in a few lines.

    Args:
        data: The study.
        thinned: Whether the copy lacks trials.
        derived: Whether designs derived from trained networks are known.
    """
    lines = [f"### {escaped(data.results.name, 300)}", ""]
    for saving in savings(data):
        allowed = f"at most {100 * saving.accuracy_drop:g} points less accuracy"
        if saving.edp_change is None or saving.accuracy is None:
            lines.append(f"- no design yet with {allowed}")
        else:
            lines.append(
                f"- **{signed_percent(saving.edp_change)}** energy-latency product with {allowed} "
                f"({percent(saving.accuracy)}, trial {saving.trial})"
            )
    lines += [
        "",
        "This is a copy of the study in memory: nothing that is changed here reaches it.",
    ]
    if not derived:
        lines.append(DERIVED_UNKNOWN)
    if thinned:
        lines.append(
            "It holds the front and the latest trials only, with numbers of their own: the attribute `trial` is the "
            "number in the study."
        )
    return "\n".join(lines) + "\n"


def study_attributes(data: ReportData) -> dict[str, Any]:
    """Facts for the dashboard's list of attributes."""
    environment, config = data.results.environment, data.results.config
    images = environment.get("data") or {}
    backbone, search = config.get("backbone", {}), config.get("search", {})
    reference = data.reference
    return {
        "data": str(images.get("name", "?")),
        "backbone": f"{backbone.get('name', '?')} x {backbone.get('width', '?')}",
        "accelerator": str(config.get("hardware", {}).get("accelerator", "?")),
        "seed": search.get("seed", "?"),
        "static reference": f"{percent(reference['accuracy'], 2)}, "
        f"{with_unit(reference['mean_latency_cycles'], cycles_unit(reference['mean_latency_cycles']))}, "
        f"{with_unit(reference['mean_energy_pj'], energy_unit(reference['mean_energy_pj']))}",
        "commit": str(environment.get("commit") or "unknown"),
        "command": str(environment.get("command") or "unknown"),
    }


def _points(drop: float) -> str:
    return f"{signed_percent(-drop, 2).removesuffix(' %')} points"


def _exit_line(row: dict[str, Any]) -> str:
    leaving = percent(row["leaving_accuracy"]) if row["ratio"] else "-"
    return (
        f"| {row['block']} | {escaped(row['head'])} | {percent(row['ratio'])} | {leaving} | "
        f"{threshold_text(float(row['threshold']))} |"
    )
