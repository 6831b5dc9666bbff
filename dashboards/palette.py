"""Colours and marks: every colour has a contrast of 3 or more with the page it is on (WCAG 2, criterion 1.4.11).

No one set of colours has that on white and on a near-black page and is told apart with every kind of colour
blindness too, so there are two: figures are made in the light one, for white pages and for print, and a dark page
exchanges each colour for its counterpart. Eight hues near those of Okabe and Ito, their lightness spread so that any
two stay apart with protanopia, deuteranopia and tritanopia as Machado and others (2009) simulate them. Tests measure
both.
"""

from __future__ import annotations

from collections.abc import Iterable

_QUALITATIVE = {
    "#063eae": "#5a84dc",  # blue
    "#c17f00": "#eda140",  # amber
    "#2f815d": "#4be8c4",  # green
    "#873b78": "#b84a8a",  # purple
    "#0c90cf": "#38b4ee",  # sky
    "#be5009": "#f0502f",  # vermilion
    "#524a04": "#d0e63a",  # olive
    "#8e9095": "#999ba0",  # grey
}
"""Light -> dark. Each meaning has one colour in all figures."""

FRONT, BEST_STATIC, GIVEN, STATIC, _SKY, CHOSEN, _OLIVE, OTHERS = _QUALITATIVE

PAPER = "#ffffff"
"""The gaps between areas, hatching, and text on dark colours; black on a dark page."""

GAP = {"width": 0.5, "color": PAPER}
"""The outline of areas that touch: neighbours need not contrast with each other if both do with the gap."""

_LEVELS = {"mac": CHOSEN, "register": BEST_STATIC, "sram": GIVEN, "dram": FRONT, "link": STATIC}

# From violet over blue and green to yellow, ever lighter, in that part of lightness which each page leaves.
_SEQUENTIAL = {
    "#370038": "#9759cc", "#210066": "#927cbd", "#2e2f6e": "#898da3", "#3b02ac": "#758cfd", "#5605e5": "#80acff",
    "#424da8": "#19c3d6", "#066361": "#a8c8ce", "#3e7d6e": "#bdccba", "#638447": "#74f07b", "#848f6d": "#baf10c",
    "#b08c03": "#ffe8c2",
}  # fmt: skip

_BITS = {
    "#cc800a": "#f2f708", "#786701": "#cbf59a", "#5a6a56": "#17fecf", "#026e74": "#15c8a8", "#3e1de7": "#139d89",
    "#262977": "#7870fd", "#34283b": "#8570a8",
}  # fmt: skip
"""2 to 8 bits: few light, many dark."""

BITS_SCALE: list[tuple[float, str]] = [
    (edge / len(_BITS), colour) for step, colour in enumerate(_BITS) for edge in (step, step + 1)
]
"""Colour scale of a heat map of 2 to 8 bits, from 1.5 to 8.5: one colour a width, none between."""

DARK: dict[str, str] = {
    **_QUALITATIVE, **_SEQUENTIAL, **_BITS, PAPER: "#000000",
}  # fmt: skip
"""Every colour of a figure -> the one that a dark page shows in its place."""


def bits_colour(bits: int) -> str:
    """The colour of a bit width outside a heat map, from the same scale."""
    return list(_BITS)[min(max(bits, 2), 8) - 2]


def ink_on(colour: str) -> str:
    """The colour of text on an area: black, or `PAPER` on what is dark until a dark page makes both lighter."""
    channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    luminance = 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
    return "#000000" if (luminance + 0.05) / 0.05 > 1.05 / (luminance + 0.05) else PAPER


def qualitative(names: Iterable[str]) -> dict[str, str]:
    """A colour for each name, the same for the same names in the same order; repeats after eight."""
    colours = list(_QUALITATIVE)
    return {name: colours[i % len(colours)] for i, name in enumerate(dict.fromkeys(names))}


def level_colours(names: Iterable[str]) -> dict[str, str]:
    """A colour for each memory level; levels the palette does not know take what is left over."""
    free = [c for c in _QUALITATIVE if c not in _LEVELS.values()]
    unknown = [n for n in dict.fromkeys(names) if n not in _LEVELS]
    return _LEVELS | {name: free[i % len(free)] for i, name in enumerate(unknown)}


def block_colour(block: int, n_blocks: int) -> str:
    """A colour that goes from dark to light with the depth of the block; grey for the last one, no early exit."""
    if block >= n_blocks - 1:
        return OTHERS
    colours = list(_SEQUENTIAL)
    return colours[round(block / max(n_blocks - 2, 1) * (len(colours) - 1))]


def translucent(colour: str) -> str:
    """A colour `#rrggbb` as that of an area behind a line."""
    return f"{_rgb(colour)}0.22)"


def dark_words() -> dict[str, str]:
    """What a page's script exchanges on a dark page: colours as they stand in figures, and beginnings of `rgba()`."""
    return DARK | {_rgb(light): _rgb(dark) for light, dark in DARK.items()}


def _rgb(colour: str) -> str:
    red, green, blue = (int(colour[i : i + 2], 16) for i in (1, 3, 5))
    return f"rgba({red},{green},{blue},"
