"""The chosen network block by block: bits of weights and activations, exits, and the inputs that get there."""

from __future__ import annotations

from collections.abc import Sequence

from dashboards.figures.view import View
from dashboards.members import Member, ReportData
from dashboards.network_picture import describe, network_picture

WIDE, NARROW = 1180, 350
"""Widths in pixels of the two drawings of a member."""


def view(data: ReportData, linked: Sequence[Member]) -> View:
    """The drawing of each member."""
    return View(
        name="network",
        title="The chosen network",
        alt="Blocks of the chosen network with their bits, exits and the share of inputs that reach them.",
        linked=True,
        pictures={m.design: (network_picture(m, WIDE), network_picture(m, NARROW)) for m in linked},
        alts={m.design: describe(m) for m in linked},
        note="The band is as high as the share of inputs that reach a block; arrows: exits, as thick as the share "
        "that leaves there; cells: bits. Hover or touch for numbers.",
        wide=True,
    )
