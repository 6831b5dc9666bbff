"""The drawing of an early-exit network, as SVG: blocks, bits, exits, and the inputs that get there.

Made without a browser, so that the report, the notes of optuna-dashboard and files for papers have the same one.
"""

from __future__ import annotations

from typing import Any

from dashboards.members import Member, ints, records
from dashboards.palette import CHOSEN, FRONT, bits_colour, ink_on
from dashboards.text import percent, plain, threshold_digits

_SIDE, _CELL, _MARGIN = 72, 46, 8  # pixels: row titles at the left, least width of a block, rim
_EXITS, _FLOW, _BITS, _NUMBERS = 46, 52, 20, 22  # heights of the parts of a row of blocks


def network_picture(member: Member, width: int, ink: str = "currentColor", ground: str = "") -> str:
    """One member of the front, drawn.

    The band is as high as the share of inputs that reach a block. Where there is no room for all blocks in one row,
    the drawing continues in the next.

    Args:
        member: Of the front.
        width: In pixels.
        ink: Colour of lines and text.
        ground: Colour behind it; empty: what the page has.
    """
    weights, activations = ints(member.row["weight_bits"]), ints(member.row["activation_bits"])
    n_blocks = len(weights)
    fitting = max(1, (width - _SIDE - 2 * _MARGIN) // _CELL)
    n_rows = -(-n_blocks // fitting)
    per_row = -(-n_blocks // n_rows)
    cell = (width - _SIDE - 2 * _MARGIN) / per_row
    row_height = _EXITS + _FLOW + 2 * _BITS + _NUMBERS
    exits = {int(row["block"]): (index, row) for index, row in enumerate(records(member.exits))}
    height = row_height * n_rows
    parts = [_rect(0, 0, width, height, ground)] if ground else []
    for block in range(n_blocks):
        x = _MARGIN + _SIDE + cell * (block % per_row)
        top = row_height * (block // per_row)
        if block % per_row == 0:
            parts.append(_row_titles(top))
        parts.append(_block(block, x, top, cell, weights[block], activations[block], _reach(member, block)))
        if block in exits:
            parts.append(_exit(exits[block][1], block, x, top, cell, last=block == n_blocks - 1))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
        f'role="img" aria-label="{plain(describe(member), 900)}" fill="{ink}" '
        f'font-family="system-ui, DejaVu Sans, Helvetica, Arial, sans-serif" font-size="11.5">{"".join(parts)}</svg>'
    )


def describe(member: Member) -> str:
    """The network in words (not escaped)."""
    sentences = [
        f"{member.label}: {len(ints(member.row['weight_bits']))} blocks, weight bits {member.row['weight_bits']}, "
        f"activation bits {member.row['activation_bits']}"
    ]
    for row in records(member.exits):
        sentences.append(
            f"exit after block {row['block']} ({row['head']}): {percent(row['ratio'])} of inputs leave, "
            f"{percent(row['leaving_accuracy'])} of them right"
        )
    return "; ".join(sentences)


def threshold_text(value: float) -> str:
    """A threshold in words."""
    if value != value:  # the last exit takes the rest and has none
        return "takes the rest"
    if abs(value) > 1e300:  # infinite, or the least number there is
        return "never taken" if value > 0 else "everybody leaves"
    return f"score of at least {threshold_digits(value, 4)}"


def _reach(member: Member, block: int) -> float:
    """Share of inputs that run a block: all until the first exit, then those that stay."""
    ends = member.exits["block"].tolist()
    segment = next((i for i, end in enumerate(ends) if block <= end), len(ends) - 1)
    return float(member.reach[segment]) if len(ends) else 1.0


def _row_titles(top: float) -> str:
    middle = top + _EXITS + _FLOW / 2
    bits = top + _EXITS + _FLOW
    return (
        _text(_MARGIN, middle + 4, "inputs", "start")
        + _text(_MARGIN, bits + 14, "weights", "start")
        + _text(_MARGIN, bits + _BITS + 14, "activations", "start")
        + _text(_MARGIN, bits + 2 * _BITS + 15, "block", "start")
    )


def _block(block: int, x: float, top: float, cell: float, weight: int, activation: int, reach: float) -> str:
    high = max(1.5, (_FLOW - 4) * reach)
    flow = top + _EXITS + (_FLOW - high) / 2
    bits = top + _EXITS + _FLOW
    shown = percent(reach, 0) if reach >= 0.995 or high >= 15 else ""
    return "".join(
        [
            f"<g><title>block {block}: {percent(reach)} of inputs, weights {weight} bit, activations {activation} bit"
            "</title>",
            _rect(x, flow, cell, high, FRONT),
            _text(x + cell / 2, flow + high / 2 + 4, shown, colour=ink_on(FRONT)),
            _rect(x + 1, bits + 1, cell - 2, _BITS - 2, bits_colour(weight)),
            _text(x + cell / 2, bits + 14, str(weight), colour=ink_on(bits_colour(weight))),
            _rect(x + 1, bits + _BITS + 1, cell - 2, _BITS - 2, bits_colour(activation)),
            _text(x + cell / 2, bits + _BITS + 14, str(activation), colour=ink_on(bits_colour(activation))),
            _text(x + cell / 2, bits + 2 * _BITS + 15, str(block)),
            "</g>",
        ]
    )


def _exit(row: dict[str, Any], block: int, x: float, top: float, cell: float, last: bool) -> str:
    """An arrow up from the end of a block, as thick as the share that leaves."""
    place = x + cell - 5
    base = top + _EXITS + _FLOW / 2
    thick = 1.5 + 9 * float(row["ratio"])
    head, tip = plain(str(row["head"]), 9), top + 28
    share = percent(float(row["ratio"]), 0)
    name = "final exit" if last else f"exit after block {block}"
    title = (
        f"{name}, head {plain(row['head'])}: {percent(row['ratio'])} leave, "
        f"{percent(row['leaving_accuracy'])} of them right; {threshold_text(float(row['threshold']))}"
    )
    return "".join(
        [
            f"<g><title>{title}</title>",
            f'<line x1="{place:.1f}" y1="{base:.1f}" x2="{place:.1f}" y2="{tip + 7:.1f}" stroke="{CHOSEN}" '
            f'stroke-width="{thick:.1f}"/>',
            f'<path d="M{place - 6 - thick / 2:.1f} {tip + 9:.1f}h{12 + thick:.1f}L{place:.1f} {tip:.1f}z" '
            f'fill="{CHOSEN}"/>',
            _text(x + cell, top + 12, share, "end", weight="600"),
            _text(x + cell, top + 24, head, "end", size=9.5),
            "</g>",
        ]
    )


def _rect(x: float, y: float, width: float, height: float, colour: str) -> str:
    return f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" fill="{colour}"/>'


def _text(
    x: float,
    y: float,
    text: str,
    anchor: str = "middle",
    colour: str = "",
    size: float = 0,
    weight: str = "",
) -> str:
    more = "".join(
        f' {name}="{value}"'
        for name, value in (("fill", colour), ("font-size", size), ("font-weight", weight))
        if value
    )
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"{more}>{text}</text>' if text else ""
