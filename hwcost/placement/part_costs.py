"""Costs of a part of a placement problem, designs last, and its cheapest options."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np

from hwcost.placement.graph import Part
from hwcost.placement.problem import EvenMove, Move, PlacementProblem
from hwcost.placement.shortest_path import MoveScores, Paths, shortest_paths
from hwcost.workload import IntArray

Array = np.ndarray
# Stands for an option that is not to be had; finite, so that a weight of 0 makes it 0 and not undefined.
UNAVAILABLE = 1e30


@dataclass(frozen=True, eq=False)
class MoveCosts:
    """Costs of bringing a tensor; see `MoveScores` for the shapes.

    Attributes:
        latency_cycles: (n_from, n_to, n or 1), or (1, 1, n or 1) where all ways are even.
        energy_pj: Likewise.
        n_from: Options of the source.
        n_to: Options of the layer.
        even: Whether every way costs the same.
        stays: Whether that is but for equal options, between which nothing moves.
    """

    latency_cycles: Array
    energy_pj: Array
    n_from: int
    n_to: int
    even: bool
    stays: bool

    @classmethod
    def of(cls, move: Move | EvenMove, designs: IntArray | None) -> MoveCosts:
        """A move's costs for some designs, or for all."""
        if isinstance(move, EvenMove):
            latency, energy = move.latency_cycles[None, None], move.energy_pj[None, None]
            found = cls(_finite(latency), _finite(energy), move.n_from, move.n_to, True, move.stays)
        else:
            n_from, n_to = move.latency_cycles.shape[1:]
            latency, energy = (v.transpose(1, 2, 0) for v in (move.latency_cycles, move.energy_pj))
            found = cls(_finite(latency), _finite(energy), n_from, n_to, False, False)
        return found if designs is None else found.narrow(designs)

    def narrow(self, index: IntArray) -> MoveCosts:
        """The costs for some designs."""
        latency, energy = _some(self.latency_cycles, index), _some(self.energy_pj, index)
        return MoveCosts(latency, energy, self.n_from, self.n_to, self.even, self.stays)

    def scores(self, cycle: Array, picojoule: Array) -> MoveScores:
        """Costs under weights (n,)."""
        values = _weigh(self.latency_cycles, self.energy_pj, cycle, picojoule)
        return MoveScores(values, self.n_from, self.even, self.stays)

    def costs(self, origin: Array | int, option: Array) -> tuple[Array, Array]:
        """Latency and energy of single moves: options (n,) each."""
        n = len(option)
        # Options are 16 bits wide; their number times that of the designs is not.
        way: Array = np.zeros(n, dtype=np.int64) if self.even else origin * np.int64(self.n_to) + option
        latency, energy = _of_each(self.latency_cycles, way), _of_each(self.energy_pj, way)
        if self.stays:
            moving = origin != option
            latency, energy = latency * moving, energy * moving
        return latency, energy


@dataclass(frozen=True, eq=False)
class PartCosts:
    """Costs of a part.

    Attributes:
        part: The part.
        latency_cycles: Per layer (n_options, n).
        energy_pj: Per layer the same.
        moves: Per layer and source.
    """

    part: Part
    latency_cycles: list[Array]
    energy_pj: list[Array]
    moves: list[list[MoveCosts]]

    @classmethod
    def of(cls, problem: PlacementProblem, part: Part, designs: IntArray | None = None) -> PartCosts:
        """The costs of a part for some designs, or for all."""

        def last(values: Array) -> Array:
            moved = values.T if designs is None else values.T.take(designs, axis=1)
            return _finite(moved)

        return cls(
            part,
            [last(problem.latency_cycles[i]) for i in part.layers],
            [last(problem.energy_pj[i]) for i in part.layers],
            [[MoveCosts.of(move, designs) for move in problem.moves[i]] for i in part.layers],
        )

    @classmethod
    def joined(cls, part: Part, costs: list[PartCosts]) -> PartCosts:
        """The costs of parts of one shape, one behind the other, under the numbers of `part`."""
        if len(costs) == 1:
            return replace(costs[0], part=part)
        counts = [own.latency_cycles[0].shape[-1] for own in costs]

        def join(arrays: Iterable[Array]) -> Array:
            wide = [np.broadcast_to(a, (*a.shape[:-1], n)) for a, n in zip(arrays, counts, strict=True)]
            return np.concatenate(wide, axis=-1)

        def join_moves(moves: tuple[MoveCosts, ...]) -> MoveCosts:
            latency, energy = (join(m.latency_cycles for m in moves), join(m.energy_pj for m in moves))
            return replace(moves[0], latency_cycles=latency, energy_pj=energy)

        return cls(
            part,
            [join(arrays) for arrays in zip(*(own.latency_cycles for own in costs), strict=True)],
            [join(arrays) for arrays in zip(*(own.energy_pj for own in costs), strict=True)],
            [
                [join_moves(moves) for moves in zip(*layer, strict=True)]
                for layer in zip(*(own.moves for own in costs), strict=True)
            ],
        )

    @property
    def shape(self) -> tuple[object, ...]:
        """Parts equal in this and in their graph can be joined."""
        options = tuple(len(values) for values in self.latency_cycles)
        moves = tuple(tuple((m.n_from, m.n_to, m.even, m.stays) for m in own) for own in self.moves)
        return options, moves

    def narrow(self, index: IntArray) -> PartCosts:
        """The costs of some designs."""
        return PartCosts(
            self.part,
            [values.take(index, axis=1) for values in self.latency_cycles],
            [values.take(index, axis=1) for values in self.energy_pj],
            [[move.narrow(index) for move in own] for own in self.moves],
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
        moves = [[move.scores(cycle, picojoule) for move in own] for own in self.moves]
        return shortest_paths(self.part, layers, moves)

    def costs(self, chosen: Array, at: int) -> tuple[Array, Array]:
        """Latency and energy of the part's layer number `at` with its moves: (n,) each; chosen (n_layers, n)."""
        n = chosen.shape[1]
        option = chosen[self.part.layers[at]]
        own = option * np.int64(n) + np.arange(n)
        latency = self.latency_cycles[at].reshape(-1).take(own)
        energy = self.energy_pj[at].reshape(-1).take(own)
        for source, move in zip(self.part.sources[at], self.moves[at], strict=True):
            cycles, picojoules = move.costs(chosen[source] if source >= 0 else 0, option)
            latency += cycles
            energy += picojoules
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


def _of_each(values: Array, way: Array) -> Array:
    """Entries (n,) of (n_from, n_to, n or 1) at ways (n,).

    The last axis is one for some tables and not for others: leakage differs by design where latency does not.
    """
    designs = values.shape[2]
    at = way if designs == 1 else way * designs + np.arange(designs)
    return values.reshape(-1).take(at)


def _some(values: Array, index: IntArray) -> Array:
    return values.take(index, axis=-1) if values.shape[-1] > 1 else values


def _finite(values: Array) -> Array:
    values = np.ascontiguousarray(values, dtype=np.float64)
    return np.minimum(values, UNAVAILABLE) if values.max(initial=0.0) > UNAVAILABLE else values
