"""Costs of a part of a placement problem, designs last, and its cheapest options."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hwcost.placement.graph import Part
from hwcost.placement.problem import PlacementProblem
from hwcost.placement.shortest_path import Paths, shortest_paths
from hwcost.workload import IntArray

Array = np.ndarray
# Stands for an option that is not to be had; finite, so that a weight of 0 makes it 0 and not undefined.
UNAVAILABLE = 1e30


@dataclass(frozen=True, eq=False)
class PartCosts:
    """Costs of a part.

    Attributes:
        part: The part.
        latency_cycles: Per layer (n_options, n).
        energy_pj: Per layer the same.
        move_latency_cycles: Per layer and source (n_options of the source, n_options, n or 1).
        move_energy_pj: Likewise.
    """

    part: Part
    latency_cycles: list[Array]
    energy_pj: list[Array]
    move_latency_cycles: list[list[Array]]
    move_energy_pj: list[list[Array]]

    @classmethod
    def of(cls, problem: PlacementProblem, part: Part, designs: IntArray | None = None) -> PartCosts:
        """The costs of a part for some designs, or for all."""

        def last(values: Array) -> Array:
            moved = np.moveaxis(values, 0, -1)
            if designs is not None:
                moved = _some(moved, designs) if moved.ndim == 3 else moved[:, designs]
            moved = np.ascontiguousarray(moved, dtype=np.float64)
            return np.minimum(moved, UNAVAILABLE) if moved.max(initial=0.0) > UNAVAILABLE else moved

        return cls(
            part,
            [last(problem.latency_cycles[i]) for i in part.layers],
            [last(problem.energy_pj[i]) for i in part.layers],
            [[last(move.latency_cycles) for move in problem.moves[i]] for i in part.layers],
            [[last(move.energy_pj) for move in problem.moves[i]] for i in part.layers],
        )

    @classmethod
    def joined(cls, part: Part, costs: list[PartCosts]) -> PartCosts:
        """The costs of parts of one shape, one behind the other, under the numbers of `part`."""
        if len(costs) == 1:
            only = costs[0]
            return cls(
                part, only.latency_cycles, only.energy_pj, only.move_latency_cycles, only.move_energy_pj
            )
        counts = [own.latency_cycles[0].shape[-1] for own in costs]

        def join(arrays: tuple[Array, ...]) -> Array:
            wide = [np.broadcast_to(a, (*a.shape[:-1], n)) for a, n in zip(arrays, counts, strict=True)]
            return np.concatenate(wide, axis=-1)

        def join_moves(moves: list[list[list[Array]]]) -> list[list[Array]]:
            return [
                [join(arrays) for arrays in zip(*layer, strict=True)] for layer in zip(*moves, strict=True)
            ]

        return cls(
            part,
            [join(arrays) for arrays in zip(*(own.latency_cycles for own in costs), strict=True)],
            [join(arrays) for arrays in zip(*(own.energy_pj for own in costs), strict=True)],
            join_moves([own.move_latency_cycles for own in costs]),
            join_moves([own.move_energy_pj for own in costs]),
        )

    def narrow(self, index: IntArray) -> PartCosts:
        """The costs of some designs."""
        return PartCosts(
            self.part,
            [values.take(index, axis=1) for values in self.latency_cycles],
            [values.take(index, axis=1) for values in self.energy_pj],
            [[_some(values, index) for values in moves] for moves in self.move_latency_cycles],
            [[_some(values, index) for values in moves] for moves in self.move_energy_pj],
        )

    def paths(self, cycle: Array, picojoule: Array, extra: dict[int, Array]) -> Paths:
        """Cheapest options when a cycle and a picojoule count so much.

        Args:
            cycle: Weights: (n,).
            picojoule: Weights: (n,).
            extra: Scores to add to layers of the part, (n_options, n) by layer.
        """
        layers = []
        for layer, latency, energy in zip(self.part.layers, self.latency_cycles, self.energy_pj, strict=True):
            score = _weigh(latency, energy, cycle, picojoule)
            if layer in extra:
                score += extra[layer]
            layers.append(score)
        moves = [
            [_weigh(*costs, cycle, picojoule) for costs in zip(*pair, strict=True)]
            for pair in zip(self.move_latency_cycles, self.move_energy_pj, strict=True)
        ]
        return shortest_paths(self.part, layers, moves)

    def costs(self, chosen: Array, at: int) -> tuple[Array, Array]:
        """Latency and energy of the part's layer number `at` with its moves: (n,) each; chosen (n_layers, n)."""
        n = chosen.shape[1]
        designs = np.arange(n)
        option = chosen[self.part.layers[at]].astype(np.int64)
        own = option * n + designs
        latency = self.latency_cycles[at].reshape(-1).take(own)
        energy = self.energy_pj[at].reshape(-1).take(own)
        for source, cycles, picojoules in zip(
            self.part.sources[at], self.move_latency_cycles[at], self.move_energy_pj[at], strict=True
        ):
            way = chosen[source] * cycles.shape[1] + option if source >= 0 else option
            if cycles.shape[2] > 1:
                way = way * n + designs
            latency += cycles.reshape(-1).take(way)
            energy += picojoules.reshape(-1).take(way)
        return latency, energy

    def totals(self, chosen: Array) -> tuple[Array, Array]:
        """Latency and energy of the part: (n,) each; chosen (n_layers, n)."""
        latency, energy = self.costs(chosen, 0)
        for at in range(1, len(self.part.layers)):
            cycles, picojoules = self.costs(chosen, at)
            latency += cycles
            energy += picojoules
        return latency, energy


def _weigh(latency: Array, energy: Array, cycle: Array, picojoule: Array) -> Array:
    score: Array = latency * cycle
    score += energy * picojoule
    return score


def _some(values: Array, index: IntArray) -> Array:
    return values.take(index, axis=-1) if values.shape[-1] > 1 else values
