"""When the tiles of fused layers run: one pass over layers in network order, for many assignments at once.

Every core works through its layers in network order, every layer through its tiles from the top row down. A tile
starts when its core is idle, the source tiles it needs have arrived and the weights are there. Ports serve in
network order as well: a link moves one tile at a time, the DRAM port one load, move or streamed layer at a time. A
core holds the weights of the layer it runs and, where both fit, those being loaded for its next one; weights that
stay from one inference to the next have room of their own. After an exit everything waits for the decision:
nothing of the next segment starts, loads of weights included.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hwcost.placement.fused_plan import FusedPlan, kept_layers
from hwcost.workload import BoolArray, IntArray

Array = np.ndarray


@dataclass
class FusedState:
    """Where assignments are after some layers; a row is one assignment of one design.

    Attributes:
        design: Of the plan: (m,).
        idle: When each place has run all its layers so far: (m, n_places).
        before: When it had run all but the last one: (m, n_places).
        holds: Bits of weights of the last one: (m, n_cores).
        ports: When each port is free: (m, n_ports).
        decided: When the running segment could start: (m,).
        end: When everything so far has run: (m,).
        place: Of each layer so far: (m, n_layers).
        kept: Layers whose weights stay on the chip: (m, n_layers).
        finish: Per layer so far the end of each tile: (m, n_tiles).
    """

    design: IntArray
    idle: Array
    before: Array
    holds: Array
    ports: Array
    decided: Array
    end: Array
    place: IntArray
    kept: BoolArray
    finish: list[Array]

    @classmethod
    def start(cls, plan: FusedPlan, design: IntArray, kept: BoolArray | None = None) -> FusedState:
        """Before the first layer; `kept`: layers whose weights are on the chip already, (m, n_layers)."""
        m, n_places = len(design), len(plan.routes.port)
        return cls(
            design,
            np.zeros((m, n_places)),
            np.zeros((m, n_places)),
            np.zeros((m, plan.held.shape[2])),
            np.zeros((m, plan.routes.dram_port + 1)),
            np.zeros(m),
            np.zeros(m),
            np.zeros((m, plan.workload.n_layers), dtype=np.int64),
            np.zeros((m, plan.workload.n_layers), dtype=bool) if kept is None else kept,
            [],
        )

    def take(self, rows: IntArray) -> FusedState:
        """Copies of some rows."""
        return FusedState(
            self.design[rows],
            self.idle[rows],
            self.before[rows],
            self.holds[rows],
            self.ports[rows],
            self.decided[rows],
            self.end[rows],
            self.place[rows],
            self.kept[rows],
            [tiles[rows] for tiles in self.finish],
        )

    def decide(self, plan: FusedPlan, slot: int) -> None:
        """Waits for the decision at the end of a slot, in designs that have an exit there."""
        exits = plan.exits[self.design, slot]
        self.decided = np.where(exits, self.end, self.decided)
        for array in (self.idle, self.before, self.ports):
            np.maximum(array, self.decided[:, None], out=array)

    def run(self, plan: FusedPlan, layer: int, option: IntArray) -> None:
        """Runs the next layer on one of its options: (m,); where it is not active nothing happens."""
        n_tiles = int(plan.tiles.n_tiles[layer])
        finish = np.broadcast_to(self.decided[:, None], (len(option), n_tiles)).copy()
        place = plan.places[layer][option]
        self.place[:, layer] = place
        at = np.arange(len(option))
        if plan.active is not None:
            at = np.flatnonzero(plan.active[self.design, layer])
        if at.size:
            _Step(self, plan, layer, at, option[at], place[at]).run(finish)
        self.finish.append(finish)
        self.end = np.maximum(self.end, finish[:, -1])


@dataclass
class _Step:
    """One layer of the rows `at`, where it is active."""

    state: FusedState
    plan: FusedPlan
    layer: int
    at: IntArray
    option: IntArray
    place: IntArray

    def run(self, finish: Array) -> None:
        state, plan, at, place = self.state, self.plan, self.at, self.place
        cost = state.design[at], self.layer, self.option
        held = plan.held[cost]
        ready = self._load(cost, held)
        for s, source in enumerate(plan.workload.sources[self.layer]):
            if source > -2:
                arrived = self._receive(int(source))[:, plan.tiles.needed[self.layer][s]]
                ready = np.maximum(ready, arrived)
        done = self._run_tiles(cost, held, ready)
        finish[at] = np.where(held[:, None], done, done[:, -1:])
        state.before[at, place] = state.idle[at, place]
        state.idle[at, place] = done[:, -1]

    def _load(self, cost: tuple[IntArray, int, IntArray], held: Array) -> Array:
        """When the weights are there: (n, 1)."""
        state, plan, at = self.state, self.plan, self.at
        if not plan.workload.has_weights[self.layer]:
            return state.decided[at, None]
        core, dram = self.place, plan.routes.dram_port
        size = plan.weight_bits[self._shared(plan.weight_bits), self.layer]
        room = plan.room_bits[self._shared(plan.room_bits), core]
        beside = size + state.holds[at, core] <= room
        possible = np.where(beside, state.before[at, core], state.idle[at, core])
        loaded = np.maximum(possible, state.ports[at, dram]) + plan.load_cycles[cost]
        kept = state.kept[at, self.layer]
        loads = held & ~kept
        state.ports[at, dram] = np.where(loads, loaded, state.ports[at, dram])
        state.holds[at, core] = np.where(kept, 0.0, np.where(held, size, np.inf))
        return np.where(loads, loaded, state.decided[at])[:, None]

    def _receive(self, source: int) -> Array:
        """When each tile of a source is where the layer runs: (n, n_tiles of the source)."""
        state, plan, at = self.state, self.plan, self.at
        routes = plan.routes
        if source < 0:
            sender = np.full(at.size, routes.dram)
            row_bits = plan.input_row_bits(self.layer)
            rows = plan.tiles.input_rows[self.layer]
            sent = np.broadcast_to(state.decided[at, None], (at.size, len(rows)))
        else:
            sender = state.place[at, source]
            row_bits = plan.tile_bits(source, 1)
            rows = np.full(int(plan.tiles.n_tiles[source]), plan.tiles.rows[source])
            rows[-1] = plan.tiles.last_rows[source]
            sent = state.finish[source][at]
        port = routes.port[sender, self.place]
        moves = port >= 0
        if not moves.any():
            return sent
        row_bits = row_bits[self._shared(row_bits)]
        clock = state.ports[at, port]
        arrived = np.empty((at.size, len(rows)))
        for t, n_rows in enumerate(rows):
            cycles = routes.cycles(row_bits * n_rows, sender, self.place)
            clock = np.maximum(clock, sent[:, t]) + cycles
            arrived[:, t] = clock
        state.ports[at[moves], port[moves]] = clock[moves]
        return np.where(moves[:, None], arrived, sent)

    def _run_tiles(self, cost: tuple[IntArray, int, IntArray], held: Array, ready: Array) -> Array:
        """End of each tile: (n, n_tiles); a layer that is not held is all in the last one."""
        state, plan, at = self.state, self.plan, self.at
        n_tiles = int(plan.tiles.n_tiles[self.layer])
        ready = np.broadcast_to(ready, (at.size, n_tiles))
        clock = state.idle[at, self.place]
        done = np.empty((at.size, n_tiles))
        full, last = plan.latency_cycles[cost], plan.last_latency_cycles[cost]
        dram_full, dram_last = plan.dram_cycles[cost], plan.last_dram_cycles[cost]
        uses_dram = bool((dram_full > 0).any() or (dram_last > 0).any())
        for t in range(n_tiles):
            final = t == n_tiles - 1
            begin = np.maximum(clock, ready[:, t])
            clock = begin + (last if final else np.where(held, full, 0.0))
            if uses_dram:
                busy = dram_last if final else np.where(held, dram_full, 0.0)
                port = state.ports[at, plan.routes.dram_port]
                served = np.maximum(begin, port) + busy
                state.ports[at, plan.routes.dram_port] = np.where(busy > 0, served, port)
                clock = np.where(busy > 0, np.maximum(clock, served), clock)
            done[:, t] = clock
        return done

    def _shared(self, array: Array) -> IntArray:
        """Rows of an array with one entry a design, or a single one for all."""
        if len(array) == 1:
            return np.zeros(self.at.size, dtype=np.int64)
        return self.state.design[self.at]


@dataclass(frozen=True, eq=False)
class FusedTimes:
    """When layers are done.

    Attributes:
        end: When all layers up to each one are done: (m, n_layers).
    """

    end: Array

    @property
    def latency_cycles(self) -> Array:
        """What each layer adds to the time all before it take: (m, n_layers)."""
        return np.diff(self.end, axis=1, prepend=0.0)


def run_fused(plan: FusedPlan, design: IntArray, option: IntArray) -> FusedTimes:
    """Schedules assignments.

    Args:
        plan: Of the designs.
        design: Which design of the plan a row is: (m,).
        option: Option of each layer: (m, n_layers).
    """
    state = FusedState.start(plan, design, kept_layers(plan, design, option))
    segment = plan.workload.segment
    end = np.empty(option.shape)
    for i in range(plan.workload.n_layers):
        if i and segment[i] != segment[i - 1]:
            state.decide(plan, int(segment[i - 1]))
        state.run(plan, i, option[:, i])
        end[:, i] = state.end
    return FusedTimes(end)
