"""Moving activations between cores, and the network's input from DRAM."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hwcost.chip.accelerator import Accelerator
from hwcost.chip.core import ComputeCore, VectorCore
from hwcost.placement.routes import find_routes, place_of
from hwcost.workload import IntArray, Op, Workload

Array = np.ndarray
_MOST_TABLES = 10_000  # some 100 MB


def cores_for(accelerator: Accelerator, op: Op) -> tuple[ComputeCore | VectorCore, ...]:
    """Cores that can run a kind of layer: all compute cores, or the vector core of the operation."""
    if op in (Op.CONV, Op.LINEAR):
        return accelerator.compute_cores
    return (accelerator.vector_cores[accelerator.vector_core_index(op)],)


@dataclass(frozen=True, eq=False)
class TransferCosts:
    """Costs of bringing one source of a layer to the core that runs it.

    Attributes:
        latency_cycles: (n_from, n_to); n_from is 1 for the network's input.
        energy_pj: By level of `LEVEL_NAMES`: (n_from, n_to, n_levels).
    """

    latency_cycles: Array
    energy_pj: Array


@dataclass(frozen=True, eq=False)
class MoveTable:
    """Costs of bringing a tensor, by the width of its elements.

    Attributes:
        latency_cycles: (n_from, n_to, n_widths); n_from is 1 for the network's input.
        energy_pj: By level of `LEVEL_NAMES`: (n_from, n_to, n_widths, n_levels).
        total_pj: Over the levels: (n_from, n_to, n_widths).
        stays: Whether equal options are one place, between which nothing moves.
        even: Whether all other ways cost the same.
    """

    latency_cycles: Array
    energy_pj: Array
    total_pj: Array
    stays: bool
    even: bool

    @classmethod
    def of(cls, costs: TransferCosts) -> MoveTable:
        """From costs with widths first."""
        latency = np.ascontiguousarray(costs.latency_cycles.transpose(1, 2, 0))
        energy = np.ascontiguousarray(costs.energy_pj.transpose(1, 2, 0, 3))
        total = energy.sum(axis=3)
        n_from, n_to, _ = latency.shape
        away = np.ones((n_from, n_to), dtype=bool)
        here = np.arange(min(n_from, n_to)), np.arange(min(n_from, n_to))
        stays = n_from == n_to > 1 and not latency[here].any() and not total[here].any()
        if stays:
            away[here] = False
        cycles, picojoules = latency[away], total[away]
        even = bool((cycles == cycles[0]).all() and (picojoules == picojoules[0]).all())
        return cls(latency, energy, total, stays, even)


class Transfers:
    """Costs of moving tensors on one accelerator along its routes; a tensor that stays on its core costs nothing."""

    def __init__(self, accelerator: Accelerator) -> None:
        self._accelerator = accelerator
        self._routes = find_routes(accelerator)
        self._tables: dict[tuple[object, ...], MoveTable] = {}

    def table(self, workload: Workload, layer: int, source: int, widths: tuple[int, ...]) -> MoveTable:
        """Costs of moving the output of layer `source` (-1: the network's input) to where `layer` runs, by width.

        Networks of one backbone have few tensors that differ in this, so what was asked for is remembered.
        """
        origin = None if source < 0 else int(workload.op[source])
        key = origin, int(workload.op[layer]), _elements(workload, layer, source), widths
        found = self._tables.get(key)
        if found is None:
            if len(self._tables) >= _MOST_TABLES:
                self._tables.clear()
            found = MoveTable.of(self.costs_of_bits(workload, layer, source, np.array(widths)))
            self._tables[key] = found
        return found

    def costs(self, workload: Workload, layer: int, source: int) -> TransferCosts:
        """Cost of moving the output of layer `source` (-1: the network's input) to where `layer` runs."""
        bits = workload.input_bits[layer] if source < 0 else workload.output_bits[source]
        found = self.costs_of_bits(workload, layer, source, np.array([bits]))
        return TransferCosts(found.latency_cycles[0], found.energy_pj[0])

    def costs_of_bits(self, workload: Workload, layer: int, source: int, bits: IntArray) -> TransferCosts:
        """The same for elements of `bits` (n,): arrays (n, n_from, n_to) and (n, n_from, n_to, n_levels)."""
        origins: tuple[int, ...] = (self._routes.dram,)
        if source >= 0:
            origins = place_of(self._accelerator, Op(workload.op[source]))
        senders = np.array(origins)[:, None]
        receivers = np.array(place_of(self._accelerator, Op(workload.op[layer])))
        moved = (_elements(workload, layer, source) * bits.astype(np.float64))[:, None, None]
        return TransferCosts(
            self._routes.cycles(moved, senders, receivers), self._routes.energy_pj(moved, senders, receivers)
        )


def _elements(workload: Workload, layer: int, source: int) -> int:
    """Of the tensor that is brought."""
    return int(workload.map_elements[layer] if source < 0 else workload.output_elements[source])
