"""Assignments of a placement problem under weights of a cycle and of a picojoule."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hwcost.errors import OfframpError
from hwcost.placement.graph import Graph, Part, cut
from hwcost.placement.problem import PlacementProblem
from hwcost.placement.shortest_path import Paths, shortest_paths
from hwcost.workload import IntArray

Array = np.ndarray
# Stands for an option that is not to be had; finite, so that a weight of 0 makes it 0 and not undefined.
UNAVAILABLE = 1e30


@dataclass(frozen=True, eq=False)
class PartCosts:
    """Costs of a part for the designs that run it, designs last.

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

    def narrow(self, index: IntArray) -> PartCosts:
        """The costs of some designs."""
        return PartCosts(
            self.part,
            [values[:, index] for values in self.latency_cycles],
            [values[:, index] for values in self.energy_pj],
            [[_some(values, index) for values in moves] for moves in self.move_latency_cycles],
            [[_some(values, index) for values in moves] for moves in self.move_energy_pj],
        )

    def paths(self, cycle: Array, picojoule: Array, extra: dict[int, Array]) -> Paths:
        """Cheapest options when a cycle and a picojoule count so much: (n,) each.

        Args:
            cycle: Weights.
            picojoule: Weights.
            extra: Scores to add to layers of the part, (n_options, n) by layer.
        """
        layers = []
        for layer, latency, energy in zip(self.part.layers, self.latency_cycles, self.energy_pj, strict=True):
            score = latency * cycle + energy * picojoule
            layers.append(score + extra[layer] if layer in extra else score)
        moves = [
            [latency * cycle + energy * picojoule for latency, energy in zip(*pair, strict=True)]
            for pair in zip(self.move_latency_cycles, self.move_energy_pj, strict=True)
        ]
        return shortest_paths(self.part, layers, moves)

    def costs(self, chosen: Array, at: int) -> tuple[Array, Array]:
        """Latency and energy of the part's layer number `at` with its moves: (n,) each; chosen (n_layers, n)."""
        designs = np.arange(chosen.shape[1])
        option = chosen[self.part.layers[at]]
        latency = self.latency_cycles[at][option, designs]
        energy = self.energy_pj[at][option, designs]
        for source, cycles, picojoules in zip(
            self.part.sources[at], self.move_latency_cycles[at], self.move_energy_pj[at], strict=True
        ):
            origin = chosen[source] if source >= 0 else 0
            column = designs if cycles.shape[2] > 1 else 0
            latency += cycles[origin, option, column]
            energy += picojoules[origin, option, column]
        return latency, energy


def _some(values: Array, index: IntArray) -> Array:
    return values[..., index] if values.shape[-1] > 1 else values


@dataclass(frozen=True, eq=False)
class Assigner:
    """Finds assignments of some designs.

    Attributes:
        n_layers: Of the workload.
        n: Designs.
        trunk: Costs of the trunk, all designs.
        heads: Per head the designs that run it, ascending, and its costs for them.
    """

    n_layers: int
    n: int
    trunk: PartCosts
    heads: tuple[tuple[IntArray, PartCosts], ...]

    @classmethod
    def of(cls, problem: PlacementProblem) -> Assigner:
        """Brings a problem's arrays into shape."""
        graph: Graph = cut(problem.workload, problem.active)
        n = problem.n_designs
        heads = []
        for head in graph.heads:
            index = np.arange(n)
            if problem.active is not None:
                index = np.flatnonzero(problem.active[:, head.layers[0]])
            if index.size:
                heads.append((index, _part_costs(problem, head, index)))
        return cls(problem.workload.n_layers, n, _part_costs(problem, graph.trunk, None), tuple(heads))

    def narrow(self, index: IntArray) -> Assigner:
        """The assigner of some designs, ascending."""
        heads = []
        for members, costs in self.heads:
            _, positions, inside = np.intersect1d(index, members, assume_unique=True, return_indices=True)
            if positions.size:
                heads.append((positions, costs.narrow(inside)))
        return Assigner(self.n_layers, len(index), self.trunk.narrow(index), tuple(heads))

    def assign(self, cycle: Array, picojoule: Array) -> Array:
        """Cheapest options, (n_layers, n), when a cycle and a picojoule count so much: (n,) each."""
        chosen = np.zeros((self.n_layers, self.n), dtype=np.int16)
        extra: dict[int, Array] = {}
        found = []
        for members, costs in self.heads:
            paths = costs.paths(cycle[members], picojoule[members], {})
            found.append((members, paths))
            if costs.part.given is not None:
                if costs.part.given not in extra:
                    extra[costs.part.given] = np.zeros((len(paths.score), self.n))
                extra[costs.part.given][:, members] += paths.score
        self.trunk.paths(cycle, picojoule, extra).options(chosen)
        for members, paths in found:
            own = chosen[:, members]
            paths.options(own)
            rows = np.array(paths.part.layers)[:, None]
            chosen[rows, members] = own[rows[:, 0]]
        return chosen

    def layer_costs(self, chosen: Array) -> tuple[Array, Array]:
        """Latency and energy of each layer with its moves, 0 where it is not run: (n_layers, n) each."""
        latency = np.zeros((self.n_layers, self.n))
        energy = np.zeros((self.n_layers, self.n))
        for members, costs in ((np.arange(self.n), self.trunk), *self.heads):
            own = chosen if len(members) == self.n else chosen[:, members]
            for at, layer in enumerate(costs.part.layers):
                latency[layer, members], energy[layer, members] = costs.costs(own, at)
        if latency.max(initial=0.0) >= UNAVAILABLE or energy.max(initial=0.0) >= UNAVAILABLE:
            layer = int(np.argmax(np.maximum(latency, energy).max(axis=1)))
            raise OfframpError(
                f"layer {layer} has no option that can be had; allow more cores or ways to run it"
            )
        return latency, energy

    def totals(self, chosen: Array) -> tuple[Array, Array]:
        """Latency and energy of assignments: (n,) each."""
        latency, energy = self.layer_costs(chosen)
        return latency.sum(axis=0), energy.sum(axis=0)


def _part_costs(problem: PlacementProblem, part: Part, index: IntArray | None) -> PartCosts:
    def last(values: Array) -> Array:
        moved = np.moveaxis(values, 0, -1)
        if index is not None and len(index) < problem.n_designs:
            moved = _some(moved, index) if moved.ndim == 3 else moved[:, index]
        moved = np.ascontiguousarray(moved, dtype=np.float64)
        return np.minimum(moved, UNAVAILABLE) if moved.max(initial=0.0) > UNAVAILABLE else moved

    return PartCosts(
        part,
        [last(problem.latency_cycles[i]) for i in part.layers],
        [last(problem.energy_pj[i]) for i in part.layers],
        [[last(move.latency_cycles) for move in problem.moves[i]] for i in part.layers],
        [[last(move.energy_pj) for move in problem.moves[i]] for i in part.layers],
    )
