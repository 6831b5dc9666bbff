"""Colours and marks. Okabe and Ito's colours are told apart with every common kind of colour blindness.

Each meaning has one colour in all figures, chosen to be seen on a white and on a near-black page.
"""

from __future__ import annotations

from collections.abc import Iterable

FRONT = "#0072B2"
CHOSEN = "#D55E00"
STATIC = "#CC79A7"
BEST_STATIC = "#E69F00"
OTHERS = "#8a8f98"
GIVEN = "#009E73"

_QUALITATIVE = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#B8A800", "#8a8f98")

_LEVELS = {
    "mac": "#D55E00",
    "register": "#E69F00",
    "sram": "#009E73",
    "dram": "#0072B2",
    "link": "#CC79A7",
}

# Viridis at even steps without its darkest part, so that it shows on a dark page.
_SEQUENTIAL = (
    "#46307e", "#404588", "#375a8c", "#2e6e8e", "#26828e", "#1f968b",
    "#25ab82", "#42be71", "#70cf57", "#a8db34", "#e2e418",
)  # fmt: skip

BITS_SCALE: list[tuple[float, str]] = [
    (0.0, "#e2e418"), (0.17, "#8fd744"), (0.33, "#25ab82"), (0.67, "#2e6e8e"), (1.0, "#46307e"),
]  # fmt: skip
"""Colour scale of bit widths 2 to 8: few bits light, many dark."""


def bits_colour(bits: int) -> str:
    """The colour of a bit width outside a heat map, from the same scale."""
    place = min(max((bits - 2) / 6, 0.0), 1.0)
    return min(BITS_SCALE, key=lambda stop: abs(float(stop[0]) - place))[1]


def ink_on(colour: str) -> str:
    """Black or white, whichever has the larger contrast on a colour `#rrggbb` (WCAG 2, relative luminance)."""
    channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    luminance = 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
    return "#000000" if (luminance + 0.05) / 0.05 > 1.05 / (luminance + 0.05) else "#ffffff"


def qualitative(names: Iterable[str]) -> dict[str, str]:
    """A colour for each name, the same for the same names in the same order; repeats after eight."""
    return {name: _QUALITATIVE[i % len(_QUALITATIVE)] for i, name in enumerate(dict.fromkeys(names))}


def level_colours(names: Iterable[str]) -> dict[str, str]:
    """A colour for each memory level; levels the palette does not know take what is left over."""
    free = [c for c in _QUALITATIVE if c not in _LEVELS.values()]
    unknown = [n for n in dict.fromkeys(names) if n not in _LEVELS]
    return _LEVELS | {name: free[i % len(free)] for i, name in enumerate(unknown)}


def block_colour(block: int, n_blocks: int) -> str:
    """A colour that goes from dark to light with the depth of the block; grey for the last one, no early exit."""
    if block >= n_blocks - 1:
        return OTHERS
    last = len(_SEQUENTIAL) - 1
    return _SEQUENTIAL[round(block / max(n_blocks - 2, 1) * last)]
