"""A fused schedule walked in plain Python: jobs in queues, each started when it is first in line and may.

Which rows of a source a tile needs is found by looking at every window of every output row.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

Job = tuple[str, int, int, int]


@dataclass(frozen=True)
class OracleLayer:
    """One layer where it runs; `sources` are indices of layers, -1 for the network's input."""

    core: int
    held: bool
    tile_cycles: list[float]
    tile_dram_cycles: list[float]
    load_cycles: float
    weight_bits: float
    has_weights: bool
    kept: bool
    sources: list[int]
    tile_rows: int
    out_rows: int
    in_rows: int
    stride: int
    window: int
    flattens: bool
    out_bits_per_row: float
    in_bits_per_row: float
    segment: int


@dataclass(frozen=True)
class OracleMachine:
    """`cycles(bits, sender, receiver)` of a move; `port(sender, receiver)` it takes, None where nothing moves."""

    cycles: Callable[[float, int, int], float]
    port: Callable[[int, int], int | None]
    dram_place: int
    dram_port: int
    room_bits: list[float]


@dataclass
class _Walk:
    layers: list[OracleLayer]
    machine: OracleMachine
    exits: list[bool]
    end: dict[Job, float] = field(default_factory=dict)
    begin: dict[Job, float] = field(default_factory=dict)

    def run(self) -> list[float]:
        """End of each layer's last tile."""
        queues: dict[tuple[str, int], deque[Job]] = {}
        for i, layer in enumerate(self.layers):
            if self.loads(i):
                queues.setdefault(("port", self.machine.dram_port), deque()).append(("load", i, 0, 0))
            for s, source in enumerate(layer.sources):
                port = self.machine.port(self.place_of(source), layer.core)
                for tile in range(self.n_pieces(i, source)):
                    job = ("send", i, s, tile)
                    queue = ("port", port) if port is not None else ("free", 1000 * i + 10 * s)
                    queues.setdefault(queue, deque()).append(job)
            for tile in range(self.n_tiles(i)):
                queues.setdefault(("core", layer.core), deque()).append(("tile", i, 0, tile))
                if self.dram_of(i, tile) > 0:
                    queues.setdefault(("port", self.machine.dram_port), deque()).append(
                        ("stream", i, 0, tile)
                    )
        free = dict.fromkeys(queues, 0.0)
        while any(queues.values()):
            begun, done = len(self.begin), 0
            for name, queue in queues.items():
                while queue and self.try_job(queue[0], free[name]):
                    free[name] = self.end[queue.popleft()]
                    done += 1
            assert done or len(self.begin) > begun, "no job can start"
        return [self.end["tile", i, 0, self.n_tiles(i) - 1] for i in range(len(self.layers))]

    def place_of(self, source: int) -> int:
        return self.machine.dram_place if source < 0 else self.layers[source].core

    def loads(self, i: int) -> bool:
        """Whether weights are brought before the layer runs: not those that stay, nor those that are streamed."""
        layer = self.layers[i]
        return layer.has_weights and layer.held and not layer.kept

    def n_tiles(self, i: int) -> int:
        """A layer that is not held runs as one."""
        layer = self.layers[i]
        return len(layer.tile_cycles) if layer.held else 1

    def dram_of(self, i: int, tile: int) -> float:
        layer = self.layers[i]
        return layer.tile_dram_cycles[tile] if layer.held else layer.tile_dram_cycles[-1]

    def n_pieces(self, i: int, source: int) -> int:
        """Pieces a tensor is sent in: as its maker cuts it; the network's input as the reader does."""
        layer = self.layers[i] if source < 0 else self.layers[source]
        return -(-layer.out_rows // layer.tile_rows)

    def rows_needed(self, i: int, tile: int) -> set[int]:
        """Input rows under the windows of a tile's output rows; the last tile waits for all."""
        layer = self.layers[i]
        n = -(-layer.out_rows // layer.tile_rows)
        if tile == n - 1:
            return set(range(layer.in_rows))
        padding = max(0, (layer.out_rows - 1) * layer.stride + layer.window - layer.in_rows) // 2
        rows = set()
        for y in range(tile * layer.tile_rows, min((tile + 1) * layer.tile_rows, layer.out_rows)):
            rows |= {y * layer.stride + f - padding for f in range(layer.window)}
        return {row for row in rows if 0 <= row < layer.in_rows} or {0}

    def pieces_needed(self, i: int, s: int, tile: int) -> list[int]:
        layer, source = self.layers[i], self.layers[i].sources[s]
        n = self.n_pieces(i, source)
        if not layer.held:
            return list(range(n))
        if source < 0:
            return list(range(tile + 1))
        maker = self.layers[source]
        if layer.flattens or layer.in_rows != maker.out_rows:
            return list(range(n))
        return sorted({row // maker.tile_rows for row in self.rows_needed(i, tile)})

    def piece_bits(self, i: int, source: int, piece: int) -> float:
        if source < 0:
            seen: set[int] = set()
            for tile in range(piece):
                seen |= set(range(max(self.rows_needed(i, tile)) + 1))
            now = set(range(max(self.rows_needed(i, piece)) + 1))
            return len(now - seen) * self.layers[i].in_bits_per_row
        maker = self.layers[source]
        rows = min((piece + 1) * maker.tile_rows, maker.out_rows) - piece * maker.tile_rows
        return rows * maker.out_bits_per_row

    def decided(self, segment: int) -> float | None:
        """When a segment may start; None where that is not known yet."""
        last = [s for s in range(segment) if self.exits[s]]
        if not last:
            return 0.0
        ends = [
            self.end.get(("tile", i, 0, self.n_tiles(i) - 1))
            for i, layer in enumerate(self.layers)
            if layer.segment <= last[-1]
        ]
        return None if None in ends else max(end for end in ends if end is not None)

    def tile_end(self, i: int, tile: int) -> float | None:
        return self.end.get(("tile", i, 0, tile if self.layers[i].held else 0))

    def needs(self, job: Job) -> list[float | None]:
        """Ends of what must come first; None where not known."""
        kind, i, s, number = job
        layer = self.layers[i]
        found: list[float | None] = [self.decided(layer.segment)]
        if kind == "load":
            earlier = [
                e for e in range(i) if self.layers[e].core == layer.core and self.layers[e].has_weights
            ]
            if earlier:
                last = self.layers[earlier[-1]]
                there = 0.0 if last.kept else last.weight_bits
                beside = last.held and layer.weight_bits + there <= self.machine.room_bits[layer.core]
                gone = earlier[:-1] if beside else earlier
                found += [self.tile_end(e, self.n_tiles(e) - 1) for e in gone]
        elif kind == "send":
            source = layer.sources[s]
            if source >= 0:
                found.append(self.tile_end(source, number))
        elif kind == "tile":
            if self.loads(i):
                found.append(self.end.get(("load", i, 0, 0)))
            for at in range(len(layer.sources)):
                found += [self.end.get(("send", i, at, p)) for p in self.pieces_needed(i, at, number)]
        else:
            found.append(self.begin.get(("tile", i, 0, number)))
        return found

    def try_job(self, job: Job, free: float) -> bool:
        """Whether a job that is first in line has ended; begins it where it can."""
        if job in self.end:
            return True
        needs = [self.begin.get(job), *self.needs(job)] if job in self.begin else self.needs(job)
        if None in needs:
            return False
        known = max(need for need in needs if need is not None)
        start = max(free, known)
        kind, i, s, number = job
        layer = self.layers[i]
        if kind == "load":
            self.end[job] = start + layer.load_cycles
        elif kind == "send":
            source = layer.sources[s]
            sender = self.place_of(source)
            bits = self.piece_bits(i, source, number)
            moves = self.machine.port(sender, layer.core) is not None
            self.end[job] = start + self.machine.cycles(bits, sender, layer.core) if moves else known
        elif kind == "tile":
            # a tile with traffic of its own keeps its core until that has passed the port
            self.begin[job] = start
            if self.dram_of(i, number) == 0:
                self.end[job] = start + self.cycles_of(i, number)
        else:
            self.end[job] = start + self.dram_of(i, number)
            tile = ("tile", i, 0, number)
            self.end[tile] = max(self.begin[tile] + self.cycles_of(i, number), self.end[job])
        return job in self.end

    def cycles_of(self, i: int, tile: int) -> float:
        layer = self.layers[i]
        return layer.tile_cycles[tile] if layer.held else layer.tile_cycles[-1]


def walk(layers: list[OracleLayer], machine: OracleMachine, exits: list[bool]) -> list[float]:
    """End of each layer's last tile."""
    return _Walk(layers, machine, exits).run()
