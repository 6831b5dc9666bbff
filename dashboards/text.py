"""Names and numbers as a person reads them; nothing of a user's is ever markup."""

from __future__ import annotations

import html
import json
import math
from collections.abc import Iterable, Sequence
from typing import Any

_MOST_DIGITS = 9
"""Of a threshold: the confidence just below 1 is 0.99999994."""

_PREFIXES = ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"), (1.0, ""))
_SECONDS = ((1.0, "s"), (1e-3, "ms"), (1e-6, "µs"), (1e-9, "ns"))
_JOULES = ((1e12, "J"), (1e9, "mJ"), (1e6, "µJ"), (1e3, "nJ"), (1.0, "pJ"))
_JOULE_SECONDS = (
    (1.0, "J s"), (1e-3, "mJ s"), (1e-6, "mJ ms"), (1e-9, "µJ ms"), (1e-12, "µJ µs"), (1e-15, "nJ µs"),
    (1e-18, "nJ ns"),
)  # fmt: skip


def plain(value: object, longest: int = 80) -> str:
    """Text for HTML or for plotly (which reads tags in labels): escaped, and cut where it is very long."""
    text = str(value)
    if len(text) > longest:
        text = text[: longest - 1] + "…"
    return html.escape(text, quote=True)


def short_names(names: Iterable[str], longest: int) -> dict[str, str]:
    """Names as `plain` text for axes and legends; those that are alike once they are cut get a number."""
    found: dict[str, str] = {}
    for name in dict.fromkeys(names):
        text, number = plain(name, longest), 1
        while text in found.values():
            number += 1
            text = f"{plain(name, longest - 3)} {number}"
        found[name] = text
    return found


def listed(words: Sequence[str]) -> str:
    """`a, b and c`."""
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


def script_json(value: Any) -> str:
    """JSON that is safe inside a script element: no text in it can end the element or start a comment.

    NaN and infinity, which JSON does not have, become null; numbers keep the five digits a figure can show.
    """
    text = json.dumps(_finite(value), separators=(",", ":"), allow_nan=False)  # ASCII: U+2028 is escaped too
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return float(f"{value:.5g}") if math.isfinite(value) else None
    if isinstance(value, dict):
        return {str(key): _finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(item) for item in value]
    return value


def percent(fraction: float, digits: int = 1) -> str:
    """`0.8804` as `88.0 %`."""
    return f"{100 * fraction:.{digits}f} %" if math.isfinite(fraction) else "-"


def signed_percent(fraction: float, digits: int = 1) -> str:
    """`-0.465` as `−46.5 %`, with a true minus."""
    if not math.isfinite(fraction):
        return "-"
    sign = "−" if round(100 * fraction, digits) < 0 else "+"
    return f"{sign}{abs(100 * fraction):.{digits}f} %"


def energy_unit(largest_pj: float) -> tuple[float, str]:
    """Divisor from pJ and the unit in which the largest value has one to three digits before the point."""
    return _unit(largest_pj, _JOULES)


def cycles_unit(largest_cycles: float) -> tuple[float, str]:
    """Divisor from cycles and the unit, such as `kcycles`."""
    divisor, prefix = _unit(largest_cycles, _PREFIXES)
    return divisor, f"{prefix}cycles"


def seconds_unit(largest_seconds: float) -> tuple[float, str]:
    """Divisor from seconds and the unit, such as `ms`."""
    return _unit(largest_seconds, _SECONDS)


def product_unit(largest_joule_seconds: float) -> tuple[float, str]:
    """Divisor from joule seconds and the unit of an energy-latency product, such as `µJ ms`."""
    return _unit(largest_joule_seconds, _JOULE_SECONDS)


def threshold_digits(value: float, digits: int) -> str:
    """A threshold with so many digits after the point, with more where these would make a whole number of it.

    Nobody may be confident enough for 1, and everybody for 0: 0.99996 must not look like 1.
    """
    texts = [f"{value:.{more}f}" for more in range(digits, _MOST_DIGITS + 1)]
    return next((text for text in texts if float(text) != round(value)), texts[0])


def with_unit(value: float, unit: tuple[float, str]) -> str:
    """A value in its unit with three digits or more."""
    if not math.isfinite(value):
        return "-"
    scaled = value / unit[0]
    digits = max(0, 2 - math.floor(math.log10(abs(scaled)))) if scaled else 0
    return f"{scaled:,.{digits}f} {unit[1]}"


def _unit(largest: float, units: tuple[tuple[float, str], ...]) -> tuple[float, str]:
    for divisor, name in units:
        if largest >= divisor:
            return divisor, name
    return units[-1]
