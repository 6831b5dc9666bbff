"""Where inputs leave: one stacked bar per front member."""

from __future__ import annotations

from collections.abc import Sequence

from dashboards.figures.view import Trace, View, bar, chosen_mark, member_axis, members_height, new_figure
from dashboards.members import Member, ReportData, records
from dashboards.palette import GAP, block_colour
from dashboards.text import percent, plain


def view(data: ReportData, linked: Sequence[Member]) -> View:
    """Share of inputs leaving after each block, the deeper the lighter, grey for the whole network."""
    figure = new_figure(
        [*_bars(data, linked), chosen_mark("triangle-down", 11)],
        "front member",
        "inputs leaving (%)",
        height=members_height(linked),
        xaxis=member_axis(linked),
        yaxis={"range": [0, 106], "tickvals": [0, 25, 50, 75, 100]},
        barmode="stack",
        bargap=0.15,
    )
    return View(
        name="exit-ratios",
        title="Where inputs leave",
        alt="Stacked bars: for each member of the front the share of inputs leaving after each block.",
        figures={"all": figure},
        marks={"all": {m.design: (m.label, 104) for m in linked}},
        note="Front members by falling accuracy, best first. Grey: inputs that run the whole network.",
    )


def _bars(data: ReportData, members: Sequence[Member]) -> list[Trace]:
    by_block: dict[int, list[tuple[Member, float, str]]] = {}
    for member in members:
        for row in records(member.exits):
            hover = (
                f"<b>{member.label}</b> exit after block {row['block']} ({plain(row['head'])})<br>"
                f"{percent(row['ratio'])} leave here, {percent(row['leaving_accuracy'])} of them right<br>"
                f"this exit alone: {percent(row['exit_accuracy'])}"
            )
            by_block.setdefault(int(row["block"]), []).append((member, 100 * row["ratio"], hover))
    return [
        bar(
            x=[member.label for member, _, _ in parts],
            y=[share for _, share, _ in parts],
            name=f"block {block}",
            marker={"color": block_colour(block, data.n_blocks), "line": GAP},
            customdata=[member.design for member, _, _ in parts],
            text=[hover for _, _, hover in parts],
            textposition="none",
            hovertemplate="%{text}<extra></extra>",
        )
        for block, parts in sorted(by_block.items())
    ]
