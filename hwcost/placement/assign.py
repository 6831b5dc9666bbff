"""Assignments of a placement problem under weights of a cycle and of a picojoule."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hwcost.errors import OfframpError
from hwcost.placement.graph import Part, cut
from hwcost.placement.part_costs import UNAVAILABLE, PartCosts
from hwcost.placement.problem import PlacementProblem
from hwcost.workload import IntArray

Array = np.ndarray


@dataclass(frozen=True, eq=False)
class Heads:
    """Heads of one shape, decided together: a column is one head of one design.

    Attributes:
        parts: The heads.
        ends: Column behind the last one of each head: (n_heads,).
        members: Design of each column: (n_columns,).
        costs: Of all columns, with layers numbered 0, 1, ... and what they are given as the number behind.
    """

    parts: tuple[Part, ...]
    ends: IntArray
    members: IntArray
    costs: PartCosts

    def narrow(self, place: IntArray) -> Heads:
        """The columns of some designs; `place` is their new number, -1 for the others: (n_designs,)."""
        kept = place[self.members] >= 0
        ends = np.concatenate([[0], np.cumsum(kept)])[self.ends]
        index = np.flatnonzero(kept)
        return Heads(self.parts, ends, place[self.members[index]], self.costs.narrow(index))

    def given(self, columns: slice) -> int | None:
        """The tensor that the head in these columns reads."""
        return self.parts[int(np.searchsorted(self.ends, columns.start, side="right"))].given

    def columns(self) -> list[tuple[Part, slice, IntArray]]:
        """Per head its columns and the designs that run it."""
        starts = np.concatenate([[0], self.ends[:-1]])
        slices = [slice(a, b) for a, b in zip(starts.tolist(), self.ends.tolist(), strict=True)]
        return [
            (part, s, self.members[s]) for part, s in zip(self.parts, slices, strict=True) if s.stop > s.start
        ]


@dataclass(frozen=True, eq=False)
class Assigner:
    """Finds assignments of some designs.

    Attributes:
        n_layers: Of the workload.
        n: Designs.
        trunk: Costs of the trunk, all designs.
        heads: By shape.
    """

    n_layers: int
    n: int
    trunk: PartCosts
    heads: tuple[Heads, ...]

    @classmethod
    def of(cls, problem: PlacementProblem) -> Assigner:
        """Brings a problem's arrays into shape."""
        graph = cut(problem.workload, problem.active)
        shapes: dict[tuple[object, ...], list[tuple[Part, IntArray, PartCosts]]] = {}
        for head in graph.heads:
            designs = None if problem.active is None else np.flatnonzero(problem.active[:, head.layers[0]])
            members = np.arange(problem.n_designs) if designs is None else designs
            if members.size:
                costs = PartCosts.of(problem, head, designs)
                shapes.setdefault((_renumbered(head), costs.shape), []).append((head, members, costs))
        heads = []
        for same in shapes.values():
            ends = np.cumsum([len(members) for _, members, _ in same])
            joined = PartCosts.joined(_renumbered(same[0][0]), [costs for _, _, costs in same])
            columns = np.concatenate([members for _, members, _ in same])
            heads.append(Heads(tuple(part for part, _, _ in same), ends, columns, joined))
        return cls(
            problem.workload.n_layers, problem.n_designs, PartCosts.of(problem, graph.trunk), tuple(heads)
        )

    def narrow(self, index: IntArray) -> Assigner:
        """The assigner of some designs."""
        place = np.full(self.n, -1)
        place[index] = np.arange(len(index))
        heads = (own.narrow(place) for own in self.heads)
        return Assigner(
            self.n_layers,
            len(index),
            self.trunk.narrow(index),
            tuple(own for own in heads if own.members.size),
        )

    def options(self, cycle: Array, picojoule: Array) -> Array:
        """Cheapest options, (n_layers, n), when a cycle and a picojoule count so much: (n,) each."""
        chosen, of_heads = self._assign(cycle, picojoule)
        for heads, own in zip(self.heads, of_heads, strict=True):
            for part, columns, members in heads.columns():
                chosen[np.array(part.layers)[:, None], members] = own[: len(part.layers), columns]
        return chosen

    def totals(self, cycle: Array, picojoule: Array) -> tuple[Array, Array]:
        """Latency and energy of the cheapest options: (n,) each."""
        chosen, of_heads = self._assign(cycle, picojoule)
        latency, energy = self.trunk.totals(chosen)
        costs = [heads.costs.totals(own) for heads, own in zip(self.heads, of_heads, strict=True)]
        for group, columns, members in self._in_order():
            latency[members] += costs[group][0][columns]
            energy[members] += costs[group][1][columns]
        return latency, energy

    def _in_order(self) -> list[tuple[int, slice, IntArray]]:
        """Per head its shape's number, its columns there and the designs that run it, in execution order.

        Sums over heads are made in this order, so that a design's do not depend on what others run beside it: the
        last digits decide between placements that are equally good.
        """
        every = [
            (part.layers[0], group, columns, members)
            for group, heads in enumerate(self.heads)
            for part, columns, members in heads.columns()
        ]
        return [entry[1:] for entry in sorted(every, key=lambda entry: entry[0])]

    def layer_costs(self, chosen: Array) -> tuple[Array, Array]:
        """Latency and energy of each layer with its moves, 0 where it is not run: (n_layers, n) each."""
        latency, energy = np.zeros((self.n_layers, self.n)), np.zeros((self.n_layers, self.n))
        for at, layer in enumerate(self.trunk.part.layers):
            latency[layer], energy[layer] = self.trunk.costs(chosen, at)
        for heads in self.heads:
            own = self._given(heads, chosen)
            for part, columns, members in heads.columns():
                own[: len(part.layers), columns] = chosen[np.array(part.layers)[:, None], members]
            for at in range(len(own) - 1):
                cycles, picojoules = heads.costs.costs(own, at)
                for part, columns, members in heads.columns():
                    latency[part.layers[at], members] = cycles[columns]
                    energy[part.layers[at], members] = picojoules[columns]
        worst = np.maximum(latency, energy).max(axis=1)
        if worst.max() >= UNAVAILABLE:
            layer = int(worst.argmax())
            raise OfframpError(
                f"layer {layer} has no option that can be had; allow more cores or ways to run it"
            )
        return latency, energy

    def _assign(self, cycle: Array, picojoule: Array) -> tuple[Array, list[Array]]:
        """Options of the trunk, in (n_layers, n), and of the columns of each shape of heads."""
        chosen = np.zeros((self.n_layers, self.n), dtype=np.int16)
        extra: dict[int, Array] = {}
        found = [
            heads.costs.paths(cycle[heads.members], picojoule[heads.members], {}) for heads in self.heads
        ]
        for group, columns, members in self._in_order():
            given, score = self.heads[group].given(columns), found[group].score
            if given is not None:
                if given not in extra:
                    extra[given] = np.zeros((len(score), self.n))
                extra[given][:, members] += score[:, columns]
        self.trunk.paths(cycle, picojoule, extra).options(chosen)
        of_heads = []
        for heads, paths in zip(self.heads, found, strict=True):
            own = self._given(heads, chosen)
            paths.options(own)
            of_heads.append(own)
        return chosen, of_heads

    @staticmethod
    def _given(heads: Heads, chosen: Array) -> Array:
        """Options of the columns with those of the tensors they are given filled in: (n_layers + 1, n_columns)."""
        own = np.zeros((len(heads.costs.part.layers) + 1, len(heads.members)), dtype=chosen.dtype)
        for part, columns, members in heads.columns():
            if part.given is not None:
                own[-1, columns] = chosen[part.given, members]
        return own


def _renumbered(part: Part) -> Part:
    """The part with its layers numbered from 0 and the tensor it is given as the number behind."""
    number = {layer: i for i, layer in enumerate(part.layers)}
    number[-1] = -1
    if part.given is not None:
        number[part.given] = len(part.layers)
    return Part(
        layers=tuple(range(len(part.layers))),
        given=None if part.given is None else len(part.layers),
        sources=tuple(tuple(number[s] for s in own) for own in part.sources),
        last_use=tuple(number[layer] for layer in part.last_use),
    )
