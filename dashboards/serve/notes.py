"""Markdown about the members of the front and about the study."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
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


def front_heading(member: Member) -> str:
    """What the card of a member of the front is called."""
    also = ", on the front of accuracy and product" if member.headline else ""
    return f"Front member {member.number}{also}"


def member_note(
    member: Member,
    heading: str,
    picture: str,
    others: Sequence[Member] = (),
    latency_unit: Callable[[float], tuple[float, str]] = cycles_unit,
) -> str:
    """The card of a design.

    Args:
        member: The design, with its exits.
        heading: What it is called; its number alone does not say whether it counts members of the front or trials.
        picture: Address of the drawing of its network.
        others: Members of the front with the same network.
        latency_unit: Divisor and unit for a latency in cycles of the nominal clock, as `ReportData.latency_unit`.
    """
    row = member.row
    joules = energy_unit(row["mean_energy_pj"])
    mean, worst = float(row["mean_latency_cycles"]), float(row["worst_latency_cycles"])
    latency = latency_unit(mean)
    results = [
        ("accuracy (validation)", f"{percent(row['accuracy'], 2)} ({_points(row['accuracy_drop'])})"),
        ("energy-latency product", f"{signed_percent(row['edp_relative'] - 1)} against the static reference"),
        ("mean latency", with_unit(mean, latency)),
        ("mean energy", with_unit(row["mean_energy_pj"], joules)),
        ("worst latency", with_unit(worst, latency)),
        ("weights", f"{row['weight_memory_bits'] / 8000:,.1f} kB"),
        ("weight bits", row["weight_bits"]),
        ("activation bits", row["activation_bits"]),
        ("PE arrays", row["pe_arrays"]),
        ("design", member.design),
    ]
    lines = [
        f"### {escaped(heading)}",
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
            "It is too small for all trials: it began with the front and the latest ones, and once it is full it "
            "takes new ones of the front alone. The figures in front and the lines above count all trials. They have "
            "numbers of their own here: the attribute `trial` is the number in the study."
        )
    return "\n".join(lines) + "\n"


def study_attributes(data: ReportData) -> dict[str, Any]:
    """Facts for the dashboard's list of attributes."""
    environment, config = data.results.environment, data.results.config
    images = environment.get("data") or {}
    backbone, search = config.get("backbone", {}), config.get("search", {})
    reference = data.reference
    latency = float(reference["mean_latency_cycles"])
    return {
        "data": str(images.get("name", "?")),
        "backbone": f"{backbone.get('name', '?')} x {backbone.get('width', '?')}",
        "accelerator": str(config.get("hardware", {}).get("accelerator", "?")),
        "seed": search.get("seed", "?"),
        "static reference": f"{percent(reference['accuracy'], 2)}, "
        f"{with_unit(latency, data.latency_unit(latency))}, "
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
