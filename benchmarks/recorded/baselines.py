"""What is reached without a search: static networks, and exits and bits as a rule of thumb would have them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from benchmarks.recorded.parts import LOSSES
from benchmarks.recorded.table_study import TableStudy
from models.architecture import Architecture

EQUAL_DISTANCES = (4, 7)
"""Of the recorded exits those nearest to a third and two thirds of twelve blocks."""


@dataclass(frozen=True)
class Baseline:
    """Networks and where they may run.

    Attributes:
        name: What it is.
        takes: Whether a network belongs to it.
        any_array: The best PE arrays of all, not the default ones.
    """

    name: str
    takes: Callable[[Architecture], bool]
    any_array: bool


@dataclass(frozen=True)
class BaselineResult:
    """The best of a baseline's networks.

    Attributes:
        networks: How many of them are recorded.
        least_products: Least mean energy-latency product over the static reference's, by accuracy given away.
    """

    networks: int
    least_products: dict[str, float]


def _is_uniform(architecture: Architecture) -> bool:
    return len({*architecture.weight_bits, *architecture.activation_bits}) == 1


def _has_head(architecture: Architecture, head: str) -> bool:
    return set(architecture.heads) == {head}


def _is_plain_static(bits: int, architecture: Architecture) -> bool:
    return (
        architecture.is_static
        and _has_head(architecture, "fc")
        and {*architecture.weight_bits, *architecture.activation_bits} == {bits}
    )


def baselines() -> list[Baseline]:
    """In the order of what they use; the last one is the best of the whole table."""
    found = [
        Baseline(f"static, {bits} bit, fc head, default arrays", partial(_is_plain_static, bits), False)
        for bits in (8, 6, 4)
    ]
    return [
        *found,
        Baseline(
            "static, 8 bit, any head, any arrays", lambda a: a.is_static and {*a.weight_bits} == {8}, True
        ),
        Baseline("static, any bits, any head, any arrays", lambda a: a.is_static, True),
        Baseline(
            "exits at equal distances, fc heads, uniform bits, default arrays",
            lambda a: a.exits == EQUAL_DISTANCES and _has_head(a, "fc") and _is_uniform(a),
            False,
        ),
        Baseline(
            "exits at equal distances, fc heads, uniform bits, any arrays",
            lambda a: a.exits == EQUAL_DISTANCES and _has_head(a, "fc") and _is_uniform(a),
            True,
        ),
        Baseline("any exits, 8 bit, default arrays", lambda a: {*a.weight_bits} == {8}, False),
        Baseline("everything in the table", lambda a: True, True),
    ]


def best_of(study: TableStudy, baseline: Baseline) -> BaselineResult:
    """The best designs of a baseline among the recorded networks, under any policy target; no exits are left out."""
    searched = study if baseline.any_array else study.only(("exits", "bits"))
    keys = {a.key() for a in searched.architectures if baseline.takes(a)}
    return BaselineResult(
        len(keys), {f"{loss:g}": searched.least_product(keys, loss, all_exits=True) for loss in LOSSES}
    )
