"""Plain-Python placements: every assignment of a small problem; non-dominated labels of a larger one."""

from __future__ import annotations

import itertools

from hwcost.placement.problem import EvenMove, Move, PlacementProblem


def cost_of(problem: PlacementProblem, design: int, option: dict[int, int]) -> tuple[float, float]:
    """Latency and energy of one design when each layer of `option` takes its option."""
    latency = energy = 0.0
    for layer, own in option.items():
        latency += float(problem.latency_cycles[layer][design, own])
        energy += float(problem.energy_pj[layer][design, own])
        for move in moves_of(problem, layer):
            origin = option[move.source] if move.source >= 0 else 0
            row = design if move.latency_cycles.shape[0] > 1 else 0
            latency += float(move.latency_cycles[row, origin, own])
            energy += float(move.energy_pj[row, origin, own])
    return latency, energy


def moves_of(problem: PlacementProblem, layer: int) -> list[Move]:
    return [move.spread() if isinstance(move, EvenMove) else move for move in problem.moves[layer]]


def running_layers(problem: PlacementProblem, design: int) -> list[int]:
    layers = range(problem.workload.n_layers)
    return [i for i in layers if problem.active is None or problem.active[design, i]]


def every_assignment(problem: PlacementProblem, design: int) -> list[tuple[float, float]]:
    """Latency and energy of all assignments of one design."""
    layers = running_layers(problem, design)
    options = [range(problem.latency_cycles[i].shape[1]) for i in layers]
    return [
        cost_of(problem, design, dict(zip(layers, choice, strict=True)))
        for choice in itertools.product(*options)
    ]


def non_dominated(problem: PlacementProblem, design: int) -> list[tuple[float, float]]:
    """The non-dominated (latency, energy) pairs of one design, by labels kept per state."""
    layers = running_layers(problem, design)
    last_use = {i: i for i in layers}
    for i in layers:
        for move in moves_of(problem, i):
            if move.source >= 0:
                last_use[move.source] = i
    # state: (tensor, option) pairs still needed -> its labels
    states: dict[tuple[tuple[int, int], ...], list[tuple[float, float]]] = {(): [(0.0, 0.0)]}
    for i in layers:
        following: dict[tuple[tuple[int, int], ...], list[tuple[float, float]]] = {}
        for state, labels in states.items():
            before = dict(state)
            for own in range(problem.latency_cycles[i].shape[1]):
                latency = float(problem.latency_cycles[i][design, own])
                energy = float(problem.energy_pj[i][design, own])
                for move in moves_of(problem, i):
                    row = design if move.latency_cycles.shape[0] > 1 else 0
                    origin = before[move.source] if move.source >= 0 else 0
                    latency += float(move.latency_cycles[row, origin, own])
                    energy += float(move.energy_pj[row, origin, own])
                behind = tuple(sorted((t, o) for t, o in {**before, i: own}.items() if last_use[t] > i))
                following.setdefault(behind, []).extend((a + latency, b + energy) for a, b in labels)
        states = {state: _undominated(labels) for state, labels in following.items()}
    (labels,) = states.values()
    return labels


def _undominated(labels: list[tuple[float, float]]) -> list[tuple[float, float]]:
    kept: list[tuple[float, float]] = []
    for latency, energy in sorted(labels):
        if not kept or energy < kept[-1][1]:
            kept.append((latency, energy))
    return kept
