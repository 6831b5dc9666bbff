"""All candidates of a batch at once: latency and energy of each, and what the chosen ones consist of.

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
from hwcost.mapping.link_tables import charged_pj, drain_link, fill_link, link_parts, side
from hwcost.mapping.loops import Operand
from hwcost.mapping.paths import family_paths
from hwcost.mapping.port_tables import PeFlow, port_loads, stalling_ports
from hwcost.mapping.spatial import skew_cycles
from hwcost.mapping.tables import PointTables
from hwcost.mapping.temporal import Levels, NestFamily
from hwcost.mapping.tile_choice import TileChoice, Tiles
from hwcost.mapping.tiling import CAPACITY_USES
from hwcost.mapping.timing import ENERGY_LEVELS, Port
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


@dataclass(frozen=True, eq=False)
class Breakdown:
    """What candidates consist of: one per job.

    Attributes:
        energy_pj: By level of `ENERGY_LEVELS`: (n, n_levels).
        operand_energy_pj: Of the memories by operand W, I, O: (n, 3).
        dram_cycles: Cycles the busiest DRAM port is busy: (n,).
    """

    energy_pj: Array
    operand_energy_pj: Array
    dram_cycles: Array


class _Cells:
    """Some candidates of some jobs: all of them as a grid (n_candidates, n), or a list (m,) of cells."""

    def __init__(self, n_candidates: int, n: int, cell: Array | None) -> None:
        self.n, self.cell = n, cell
        self.candidate: Array
        self.job: Array
        if cell is None:
            self.candidate, self.job = np.arange(n_candidates)[:, None], np.arange(n)
        else:
            self.candidate, self.job = np.divmod(cell, n)

    def of_job(self, values: Array) -> Array:
        """Values (n,) of the jobs."""
        return values if self.cell is None else values[self.job]

    def of_cell(self, values: Array) -> Array:
        """Values (n_candidates, n)."""
        return values if self.cell is None else np.take(values.reshape(-1), self.cell)

    def row(self, table: Array, position: Array) -> Array:
        """Rows (n_candidates, n_positions) at positions of the cells, as indices of flat tables (n_rows, n)."""
        at = self.candidate * table.shape[1] + position
        result: Array = np.take((table * self.n).reshape(-1), at)
        result += self.job
        return result


class BatchSearch:
    """Costs of all candidates of one batch."""

    def __init__(self, core: ComputeCore, family: NestFamily, levels: Levels, jobs: Jobs) -> None:
        self._core, self._jobs = core, jobs
        self._family = family
        self._paths = family_paths(family)
        self._tables = tables = PointTables(core, self._paths, levels, jobs)
        self._exists = family.exists(levels.cuts)
        self._links = [
            fill_link(tables, operand, lower, upper)
            for operand in (Operand.I, Operand.W)
            for lower, upper in itertools.pairwise(core.chain(operand))
        ]
        self._links += [
            drain_link(tables, lower, upper) for lower, upper in itertools.pairwise(core.chain(Operand.O))
        ]
        self._pe_flows, self._pe_pj = self._towards_pes()
        self._ports = stalling_ports(tables, self._links, self._pe_flows)
        self._loads = [port_loads(tables, link, self._ports) for link in self._links]
        self._tiles = TileChoice(tables)

    def costs(self) -> list[UseCosts]:
        """One entry per way of using the capacities; every candidate is in at least one."""
        found: list[UseCosts] = []
        earlier: list[Tiles] = []
        n_candidates, n = self._family.n_candidates, self._jobs.n
        for u, use in enumerate(CAPACITY_USES):
            tiles = self._tiles.choose(use)
            fresh = self._exists
            for other in earlier:
                changed = _differ(tiles, other)
                if changed is not None:
                    fresh = changed if fresh is None else fresh & changed
                else:
                    fresh = np.zeros((n_candidates, n), dtype=bool)
            earlier.append(tiles)
            cell = None if fresh is None else np.flatnonzero(fresh)
            if cell is None or cell.size:
                latency, energy = self._evaluate(tiles, _Cells(n_candidates, n, cell))
                cell = np.arange(n_candidates * n) if cell is None else cell
                found.append(UseCosts(u, cell, latency.reshape(-1), energy.reshape(-1)))
        return found

    def _towards_pes(self) -> tuple[list[PeFlow], list[Array]]:
        """Words between PEs and lowest memories, in the order W, I, O write, O read, and their energy per event."""
        core, tables, layers = self._core, self._tables, self._jobs.layers
        total = self._jobs.iterations
        flows, once = [], []
        for operand, write in ((Operand.W, False), (Operand.I, False), (Operand.O, True), (Operand.O, False)):
            m = core.chain(operand)[0]
            memory = core.memories[m]
            register = memory.level == "register"
            word = (layers.weight_bits, layers.input_bits, layers.psum_bits)[operand]
            bits = tables.elements(operand, m)[self._paths.operands[operand].distinct.row[0]] * word
            width = memory.write_bits_per_cycle if write else memory.read_bits_per_cycle
            port = (m, "pe_write" if write else "pe_read") if register else side(core, m, write)
            events = None
            if operand == Operand.O:
                # a register is read in every iteration, a larger memory only where there is a sum already
                first = 0.0 if write or register else tables.products(Operand.O).max(axis=0)
                events = total - first
            flows.append(PeFlow(port, operand, bits / width, events))
            once.append(charged_pj(memory, write, bits) * tables.instances(m))
        return flows, once

    def _evaluate(self, tiles: Tiles, cells: _Cells) -> tuple[Array, Array]:
        """Latency and energy of some cells."""
        tables, jobs = self._tables, self._jobs
        total = cells.of_job(jobs.layers.compute_cycles)
        energy = cells.of_job(self._fixed_pj())
        busy: dict[Port, Array] = {}
        late: dict[Port, Array] = {}
        for flow, once in zip(self._pe_flows, self._pe_pj, strict=True):
            if flow.events is None:
                still = self._paths.operands[flow.operand].still_point
                events = _at(tables.events, cells, still)
                energy = energy + cells.of_job(once) * events
            if flow.port not in self._ports:
                continue
            cycles = cells.of_job(flow.cycles)
            if flow.events is not None:
                events, window = cells.of_job(flow.events), cells.of_job(jobs.pace)
            else:
                window = _at(tables.cycles, cells, still) * cells.of_job(jobs.pace)
            _add(busy, flow.port, cycles * events)
            if (flow.cycles > jobs.pace).any():
                _add(late, flow.port, np.maximum(cycles - window, 0.0) * events)
        edges = total + cells.of_job(self._edge_cycles())
        for link, loads in zip(self._links, self._loads, strict=True):
            paths = self._paths.operands[link.operand]
            position = cells.of_cell(tiles.position[link.lower, link.operand])
            tile = cells.row(paths.tile, position)
            energy += np.take(link.energy_pj.reshape(-1), tile)
            if link.edge_cycles.ndim == 2:
                edges = edges + np.take(link.edge_cycles.reshape(-1), tile)
            single: Array | None = None
            for port, load in loads.items():
                _add(busy, port, np.take(load.busy.reshape(-1), tile))
                if load.late is not None:
                    if single is None:
                        double = cells.of_cell(tiles.double_buffered[link.lower])
                        single = tile + np.where(double, 0, load.busy.size)
                    _add(late, port, np.take(load.late.reshape(-1), single))
            if link.lag is not None:
                stream = cells.row(paths.stream, position)
                _add(late, side(self._core, link.upper, False), np.take(link.lag.reshape(-1), stream))
        worst: Array | float = 0.0
        for port, cycles in busy.items():
            worst = np.maximum(worst, cycles - total)
            if port in late:
                worst = np.maximum(worst, late[port])
        latency = round_up(np.broadcast_to(edges + worst, energy.shape))
        fits = cells.of_cell(tiles.fits)
        if not fits.all():
            latency, energy = np.where(fits, latency, np.inf), np.where(fits, energy, np.inf)
        return latency, energy

    def _fixed_pj(self) -> Array:
        """Energy that no candidate changes: (n,)."""
        result = self._jobs.mac_pj
        for flow, once in zip(self._pe_flows, self._pe_pj, strict=True):
            if flow.events is not None:
                result = result + once * flow.events
        return result

    def _edge_cycles(self) -> Array:
        """Cycles before, behind and between MACs that no candidate changes: (n,)."""
        result = skew_cycles(self._core, self._jobs.spatial)
        for link in self._links:
            if link.edge_cycles.ndim == 1:
                result = result + link.edge_cycles
        return result

    def breakdown(self, candidate: Array, use: Array) -> Breakdown:
        """What one candidate of each job consists of.

        Args:
            candidate: Of each job: (n,).
            use: Index in `CAPACITY_USES`: (n,).
        """
        n, tables = self._jobs.n, self._tables
        job = np.arange(n)
        levels, operands = np.zeros((len(ENERGY_LEVELS), n)), np.zeros((len(Operand), n))
        levels[0] = self._jobs.mac_pj

        def charge(m: int, operand: Operand, picojoules: Array) -> None:
            levels[ENERGY_LEVELS.index(self._core.memories[m].level)] += picojoules
            operands[operand] += picojoules

        for flow, once in zip(self._pe_flows, self._pe_pj, strict=True):
            still = self._paths.operands[flow.operand].still_point[candidate]
            charge(
                flow.port[0],
                flow.operand,
                once * (tables.events[still, job] if flow.events is None else flow.events),
            )
        ports: dict[Port, Array] = {}
        chosen = [self._tiles.choose(one) for one in CAPACITY_USES]
        for link in self._links:
            position = np.choose(use, [t.position[link.lower, link.operand][candidate, job] for t in chosen])
            tile = self._paths.operands[link.operand].tile[candidate, position]
            low, high, busy = link_parts(tables, link, tile, job)
            charge(link.lower, link.operand, low)
            charge(link.upper, link.operand, high)
            for port, cycles in busy.items():
                if self._core.memories[port[0]].shared:
                    _add(ports, port, cycles)
        for flow in self._pe_flows:
            if self._core.memories[flow.port[0]].shared:
                still = self._paths.operands[flow.operand].still_point[candidate]
                _add(
                    ports,
                    flow.port,
                    flow.cycles * (tables.events[still, job] if flow.events is None else flow.events),
                )
        dram = np.zeros(n)
        for cycles in ports.values():
            dram = np.maximum(dram, cycles)
        return Breakdown(levels.T, operands.T, dram)


def _at(table: Array, cells: _Cells, point: Array) -> Array:
    """A table (n_points, n) at one point per candidate."""
    if cells.cell is None:
        return table[point]
    return np.take(table.reshape(-1), point[cells.candidate] * cells.n + cells.job)


def _add(sums: dict[Port, Array], port: Port, values: Array) -> None:
    sums[port] = sums[port] + values if port in sums else values


def _differ(tiles: Tiles, other: Tiles) -> Array | None:
    """Where two ways of tiling differ; None where nowhere."""
    changed: Array | None = None
    for key, position in tiles.position.items():
        if position is not other.position[key]:
            here = position != other.position[key]
            changed = here if changed is None else changed | here
    return changed
