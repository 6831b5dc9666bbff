"""Layers on cores, one after another, for many designs at once."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hwcost.chip.accelerator import Accelerator
from hwcost.cost_model import LayerCosts
from hwcost.placement.shortest_path import shortest_path
from hwcost.placement.transfers import LEVEL_NAMES, Transfers
from hwcost.workload import IntArray, Workload

Array = np.ndarray
# Steps that improve the energy-latency product of an assignment; two are enough almost always.
EDP_STEPS = 4


@dataclass(frozen=True, eq=False)
class Schedule:
    """What each layer costs where it was put; transfers to it included.

    Attributes:
        core: Option of each layer: (n_designs, n_layers).
        latency_cycles: (n_designs, n_layers).
        energy_pj: By level of `LEVEL_NAMES`: (n_designs, n_layers, n_levels).
    """

    core: IntArray
    latency_cycles: Array
    energy_pj: Array


class Scheduler:
    """Assigns the layers of one workload for a batch of designs."""

    def __init__(
        self,
        accelerator: Accelerator,
        transfers: Transfers,
        workload: Workload,
        costs: LayerCosts,
        allocations: IntArray,
    ) -> None:
        self._workload = workload
        self._costs = costs
        self._groups = np.array(accelerator.core_groups)
        self._allocations = allocations
        self._n_options = np.where(workload.has_weights, accelerator.n_compute_cores, 1)
        self._sources = [[int(s) for s in pair if s > -2] for pair in workload.sources]
        self._moves = [
            [transfers.costs(workload, i, source) for source in sources]
            for i, sources in enumerate(self._sources)
        ]
        # totals that the search needs; the breakdown is looked up for the result only
        self._move_energy = [[move.energy_pj.sum(axis=2) for move in moves] for moves in self._moves]
        self._latency = costs.latency_cycles[:, self._groups, allocations]
        self._energy = costs.energy_pj.sum(axis=3)[:, self._groups, allocations]

    def solve(self, objective: str) -> Schedule:
        """The best assignment of every design.

        `latency` and `energy` are solved exactly. `edp` minimises relative latency + relative energy, then
        again relative to the result: log L + log E is concave, so its tangent in a point is never below it and
        each step can only lower the product. The best of a few steps is kept.
        """
        n = len(self._allocations)
        everyone = np.arange(n)
        if objective == "latency":
            return self._breakdown(self._assign(everyone, np.ones(n), np.zeros(n)))
        if objective == "energy":
            return self._breakdown(self._assign(everyone, np.zeros(n), np.ones(n)))
        cycle = 1 / self._latency.min(axis=2).sum(axis=0)
        picojoule = 1 / self._energy.min(axis=2).sum(axis=0)
        core = self._assign(everyone, cycle, picojoule)
        latency, energy = self._totals(everyone, core)
        active = everyone
        for _ in range(EDP_STEPS):
            tried = self._assign(active, 1 / latency[active], 1 / energy[active])
            new_latency, new_energy = self._totals(active, tried)
            better = new_latency * new_energy < latency[active] * energy[active] * (1 - 1e-12)
            if not better.any():
                break
            active = active[better]
            core[active] = tried[better]
            latency[active], energy[active] = new_latency[better], new_energy[better]
        return self._breakdown(core)

    def _assign(self, designs: IntArray, cycle: Array, picojoule: Array) -> IntArray:
        """Cheapest assignment when a cycle and a picojoule count so much: (n_designs, n_layers)."""
        score = self._latency[:, designs] * cycle[:, None] + self._energy[:, designs] * picojoule[:, None]
        layer_scores = [score[i, :, :options] for i, options in enumerate(self._n_options)]
        cycle, picojoule = cycle[:, None, None], picojoule[:, None, None]
        move_scores = [
            [
                move.latency_cycles * cycle + energy * picojoule
                for move, energy in zip(moves, energies, strict=True)
            ]
            for moves, energies in zip(self._moves, self._move_energy, strict=True)
        ]
        return shortest_path(self._workload, layer_scores, move_scores)

    def _totals(self, designs: IntArray, core: IntArray) -> tuple[Array, Array]:
        """Latency and energy of assignments: (n_designs,) each."""
        layers = np.arange(core.shape[1])[:, None]
        latency = self._latency[layers, designs, core.T].sum(axis=0)
        energy = self._energy[layers, designs, core.T].sum(axis=0)
        for i, sources in enumerate(self._sources):
            for s, source in enumerate(sources):
                origin = core[:, source] if source >= 0 else 0
                latency += self._moves[i][s].latency_cycles[origin, core[:, i]]
                energy += self._move_energy[i][s][origin, core[:, i]]
        return latency, energy

    def _breakdown(self, core: IntArray) -> Schedule:
        """Costs of assignments by layer and level."""
        n, n_layers = core.shape
        layers = np.arange(n_layers)
        array = np.take_along_axis(self._allocations, core, axis=1)
        group = self._groups[core]
        latency = self._costs.latency_cycles[layers, group, array]
        energy = self._costs.energy_pj[layers, group, array]
        for i, sources in enumerate(self._sources):
            for s, source in enumerate(sources):
                origin = core[:, source] if source >= 0 else np.zeros(n, dtype=np.int64)
                latency[:, i] += self._moves[i][s].latency_cycles[origin, core[:, i]]
                energy[:, i] += self._moves[i][s].energy_pj[origin, core[:, i]]
        assert energy.shape[2] == len(LEVEL_NAMES)
        return Schedule(core, latency, energy)
