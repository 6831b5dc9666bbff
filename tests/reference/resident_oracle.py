"""Resident weights by trying everything: memory set aside, core and residency of every layer, in plain Python."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True)
class OracleCosts:
    """Costs as (latency, energy) by [layer][core]; moves by [layer][core before][core]."""

    streamed: list[list[tuple[float, float]]]
    half_streamed: list[list[tuple[float, float]]]
    resident: list[list[tuple[float, float]]]
    moves: list[list[list[tuple[float, float]]]]
    weight_bits: list[float]
    room_bits: list[float]


def every_placement(costs: OracleCosts) -> Iterator[tuple[float, float]]:
    """Latency and energy of all placements of a chain of layers."""
    n_layers, n_cores = len(costs.weight_bits), len(costs.room_bits)
    for shares in itertools.product((0.0, 0.5, 1.0), repeat=n_cores):
        for cores in itertools.product(range(n_cores), repeat=n_layers):
            for resident in itertools.product((False, True), repeat=n_layers):
                totals = _totals(costs, shares, cores, resident)
                if totals is not None:
                    yield totals


def _totals(
    costs: OracleCosts, shares: tuple[float, ...], cores: tuple[int, ...], resident: tuple[bool, ...]
) -> tuple[float, float] | None:
    left = [share * room for share, room in zip(shares, costs.room_bits, strict=True)]
    latency = energy = 0.0
    before = 0
    for i, (core, stays) in enumerate(zip(cores, resident, strict=True)):
        if stays:
            left[core] -= costs.weight_bits[i]
            own = costs.resident[i][core]
        elif shares[core] == 1.0:
            return None
        else:
            own = (costs.half_streamed if shares[core] else costs.streamed)[i][core]
        move = costs.moves[i][before if i else 0][core]
        latency, energy, before = latency + own[0] + move[0], energy + own[1] + move[1], core
    return None if min(left) < 0 else (latency, energy)
