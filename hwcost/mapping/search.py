"""All candidates of a batch at once: latency and energy of each, without breakdowns.

The same equations as `hwcost.mapping.traffic` and `hwcost.mapping.timing`, which spell single candidates out. A batch
is one family of nests times n jobs; what tiles cost is worked out once per tile (`hwcost.mapping.link_tables`) and
looked up for candidates. Ports that cannot stall any candidate of the batch are left out.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np

from hwcost.chip.core import ComputeCore
from hwcost.mapping.jobs import Jobs
from hwcost.mapping.link_tables import (
    Link,
    busy_and_late,
    busy_shares,
    charged_pj,
    drain_link,
    fill_link,
    never_late,
    side,
)
from hwcost.mapping.loops import Operand
from hwcost.mapping.paths import family_paths
from hwcost.mapping.tables import PointTables
from hwcost.mapping.temporal import Levels, NestFamily
from hwcost.mapping.tile_choice import TileChoice, Tiles
from hwcost.mapping.tiling import CAPACITY_USES
from hwcost.mapping.timing import Port, skew_cycles
from hwcost.rounding import round_up

Array = np.ndarray


@dataclass(frozen=True, eq=False)
class UseCosts:
    """Costs under one way of using the capacities, of those candidates it tiles in another way than earlier ones.

    Attributes:
        use: Index in `CAPACITY_USES`.
        cell: Candidate times number of jobs plus job, of each: (m,).
        latency_cycles: Infinite where a tile does not fit: (m,).
        energy_pj: Infinite as well: (m,).
    """

    use: int
    cell: Array
    latency_cycles: Array
    energy_pj: Array


class BatchSearch:
    """Costs of all candidates of one batch."""

    def __init__(self, core: ComputeCore, family: NestFamily, levels: Levels, jobs: Jobs) -> None:
        self._core, self._jobs = core, jobs
        self._paths = family_paths(family)
        self._tables = PointTables(core, self._paths, levels, jobs)
        self._exists = family.exists(levels.cuts)
        self._n_candidates = family.n_candidates
        self._links = self._make_links()
        self._ports = self._stalling_ports()

    def costs(self) -> list[UseCosts]:
        """One entry per way of using the capacities; every candidate is in at least one."""
        choice = TileChoice(self._tables)
        found: list[UseCosts] = []
        earlier: list[Tiles] = []
        for u, use in enumerate(CAPACITY_USES):
            tiles = choice.choose(use)
            fresh = self._exists
            for other in earlier:
                fresh = fresh & _differ(tiles, other)
            earlier.append(tiles)
            cell = np.flatnonzero(fresh)
            if cell.size:
                found.append(UseCosts(u, cell, *self._evaluate(tiles, cell)))
        return found

    def _make_links(self) -> list[Link]:
        core, tables = self._core, self._tables
        links = [
            fill_link(tables, operand, lower, upper)
            for operand in (Operand.I, Operand.W)
            for lower, upper in itertools.pairwise(core.chain(operand))
        ]
        links += [
            drain_link(tables, lower, upper) for lower, upper in itertools.pairwise(core.chain(Operand.O))
        ]
        return links

    def _pe_reads(self, operand: Operand) -> tuple[Port, Array, Array]:
        """Port, cycles and energy of reading one word into every PE."""
        m = self._core.chain(operand)[0]
        memory = self._core.memories[m]
        layers = self._jobs.layers
        bits = self._word_elements(operand, m) * (layers.weight_bits, layers.input_bits)[operand]
        port = (m, "pe_read") if memory.level == "register" else side(self._core, m, False)
        energy = charged_pj(memory, False, bits) * self._tables.instances(m)
        return port, bits / memory.read_bits_per_cycle, energy

    def _word_elements(self, operand: Operand, m: int) -> Array:
        empty = self._paths.operands[operand].distinct.row[0]
        result: Array = self._tables.elements(operand, m)[empty]
        return result

    def _sums(self) -> tuple[list[tuple[Port, Array, Array]], Array]:
        """Port, cycles per event and events of adding to partial sums, and the energy of all of it."""
        m = self._core.chain(Operand.O)[0]
        memory, tables = self._core.memories[m], self._tables
        bits = self._word_elements(Operand.O, m) * self._jobs.layers.psum_bits
        instances, total = tables.instances(m), self._jobs.iterations
        register = memory.level == "register"
        reads = total if register else total - tables.products(Operand.O).max(axis=0)
        flows = []
        energy = np.zeros(self._jobs.n)
        for write, events, width in (
            (True, total, memory.write_bits_per_cycle),
            (False, reads, memory.read_bits_per_cycle),
        ):
            port = (m, "pe_write" if write else "pe_read") if register else side(self._core, m, write)
            flows.append((port, bits / width, events))
            energy += charged_pj(memory, write, bits) * instances * events
        return flows, energy

    def _stalling_ports(self) -> set[Port]:
        """Ports that may stall some candidate of some job."""
        pace = self._jobs.pace
        share: dict[Port, Array] = {}
        late: set[Port] = set()
        for link in self._links:
            for port, most in busy_shares(self._tables, link):
                share[port] = share.get(port, 0.0) + most
            late |= {flow.port for flow in link.flows if not never_late(self._tables, link, flow)}
            if link.lag is not None:
                late.add(side(self._core, link.upper, False))
        pe_flows = [self._pe_reads(operand)[:2] for operand in (Operand.W, Operand.I)]
        for port, cycles in (*pe_flows, *(flow[:2] for flow in self._sums()[0])):
            share[port] = share.get(port, 0.0) + cycles / pace
            if (cycles > pace).any():
                late.add(port)
        return late | {port for port, most in share.items() if (most > 1.0).any()}

    def _evaluate(self, tiles: Tiles, cell: Array) -> tuple[Array, Array]:
        """Latency and energy of the candidates of some cells."""
        n, tables = self._jobs.n, self._tables
        candidate, job = np.divmod(cell, n)
        flows, sum_pj = self._sums()
        energy = (self._jobs.mac_pj + sum_pj)[job]
        total = self._jobs.layers.compute_cycles
        busy: dict[Port, Array] = {}
        late: dict[Port, Array] = {}
        for operand in (Operand.W, Operand.I):
            port, cycles, once = self._pe_reads(operand)
            still = self._paths.operands[operand].still_point[candidate] * n + job
            events = np.take(tables.events.reshape(-1), still)
            energy += once[job] * events
            if port in self._ports:
                window = np.take(tables.cycles.reshape(-1), still) * self._jobs.pace[job]
                _add(busy, port, cycles[job] * events)
                _add(late, port, np.maximum(cycles[job] - window, 0.0) * events)
        for port, cycles, each in flows:
            if port in self._ports:
                _add(busy, port, (cycles * each)[job])
                _add(late, port, (np.maximum(cycles - self._jobs.pace, 0.0) * each)[job])
        edges = (total + skew_cycles(self._core, self._jobs.spatial))[job]
        for link in self._links:
            paths = self._paths.operands[link.operand]
            at = candidate * paths.tile.shape[1] + np.take(
                tiles.position[link.lower, link.operand].reshape(-1), cell
            )
            tile = np.take(paths.tile.reshape(-1), at) * n + job
            energy += np.take(link.energy_pj.reshape(-1), tile)
            edges += link.edge_cycles[job] if link.edge_cycles.ndim == 1 else np.take(link.edge_cycles, tile)
            single = None
            for flow in link.flows:
                if flow.port not in self._ports:
                    continue
                flow_busy, flow_late = busy_and_late(tables, link, flow)
                _add(busy, flow.port, np.take(flow_busy.reshape(-1), tile))
                if flow_late is not None:
                    if single is None:
                        double = np.take(tiles.double_buffered[link.lower].reshape(-1), cell)
                        single = tile + np.where(double, 0, flow_busy.size)
                    _add(late, flow.port, np.take(flow_late.reshape(-1), single))
            if link.lag is not None:
                stream = np.take(paths.stream.reshape(-1), at) * n + job
                _add(late, side(self._core, link.upper, False), np.take(link.lag.reshape(-1), stream))
        worst = np.zeros(len(cell))
        for port, cycles in busy.items():
            worst = np.maximum(worst, cycles - total[job])
            if port in late:
                worst = np.maximum(worst, late[port])
        fits = np.take(tiles.fits.reshape(-1), cell)
        return np.where(fits, round_up(edges + worst), np.inf), np.where(fits, energy, np.inf)


def _add(sums: dict[Port, Array], port: Port, values: Array) -> None:
    sums[port] = sums[port] + values if port in sums else values


def _differ(tiles: Tiles, other: Tiles) -> Array:
    changed = np.zeros(tiles.fits.shape, dtype=bool)
    for key, position in tiles.position.items():
        if position is not other.position[key]:
            changed |= position != other.position[key]
    return changed
