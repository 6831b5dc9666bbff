"""What moves between memories, as a list of flows.

A flow is one operand through one port: so many events, each of so many bits per instance, in a period with a
window of cycles in which the port may do it without stalling the PEs.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np

from hwcost.chip.core import ComputeCore
from hwcost.mapping.loops import Operand
from hwcost.mapping.nest import Nest
from hwcost.mapping.tiling import Tiling
from hwcost.rounding import round_up

Array = np.ndarray


@dataclass(frozen=True, eq=False)
class Flow:
    """One operand through one port; arrays are (n,), one entry per candidate.

    Attributes:
        memory: Index of the memory.
        operand: Which operand.
        write: Whether it writes the memory, else reads it.
        towards_pe: Whether the other end are the PEs themselves.
        bits: Per event and instance.
        instances: How many instances take part (average over edge tiles).
        events: How often, over the whole layer.
        window: Cycles per event in which it costs no time.
        hidden_bits: Bits per instance that move before the first or after the last MAC.
    """

    memory: int
    operand: Operand
    write: bool
    towards_pe: bool
    bits: Array
    instances: Array
    events: Array
    window: Array
    hidden_bits: Array

    @property
    def total_bits(self) -> Array:
        """All bits over all instances and events."""
        return self.bits * self.instances * self.events


@dataclass(frozen=True, eq=False)
class Traffic:
    """All flows of the candidates and the times that do not overlap with MACs.

    Attributes:
        flows: See `Flow`.
        fill_cycles: From the start to the first MAC: (n,).
        drain_cycles: From the last MAC to the end: (n,).
        first_tile_stall: By memory read from and memory filled: cycles the first tile's stream lags behind.
    """

    flows: list[Flow]
    fill_cycles: Array
    drain_cycles: Array
    first_tile_stall: dict[tuple[int, int], Array]


@dataclass(frozen=True, eq=False)
class _Scene:
    """A core with its candidates."""

    core: ComputeCore
    nest: Nest
    tiling: Tiling

    @property
    def nothing(self) -> Array:
        return np.zeros(self.nest.n)

    def served(self, m: int) -> tuple[bool, ...]:
        return self.core.served_dimensions(self.core.memories[m])

    def instances(self, m: int) -> Array:
        return self.nest.instances(self.served(m))

    def words(self, operand: Operand, m: int, prefix: Array | None) -> Array:
        """Elements of an operand in the reach of an instance of memory m; of the empty prefix when None."""
        start = np.zeros(self.nest.n, dtype=np.int64) if prefix is None else prefix
        return self.nest.elements(operand, self.served(m), start)

    def window(self, operand: Operand, lower: int, prefix: Array) -> Array:
        """Cycles per event: the whole period if there is room for two tiles, else the last pass over one.

        Instances along systolic dimensions are through with their tiles one after another, so that the pass ends
        so much later in the last one.
        """
        nest = self.nest
        period = nest.at(nest.cycles, prefix)
        last_pass = nest.at(nest.cycles, nest.at(nest.ends[operand], prefix))
        staggered = np.minimum(period, last_pass + nest.skew_cycles(self.core, self.core.memories[lower]))
        periods = np.where(self.tiling.double_buffered[lower], period, staggered)
        result: Array = periods * nest.pace
        return result


def trace(core: ComputeCore, nest: Nest, tiling: Tiling) -> Traffic:
    """Lists the flows of every candidate."""
    scene = _Scene(core, nest, tiling)
    flows: list[Flow] = []
    fill, drain = scene.nothing, scene.nothing
    stalls: dict[tuple[int, int], Array] = {}
    for operand in (Operand.I, Operand.W):
        chain = core.chain(operand)
        flows.append(_pe_read(scene, operand))
        for lower, upper in itertools.pairwise(chain):
            pair, cycles = _fill(scene, operand, lower, upper)
            flows.extend(pair)
            fill = fill + round_up(cycles)
            if _has_register(core, operand):
                stalls[upper, lower] = _stream_stall(scene, operand, lower, upper)
    chain = core.chain(Operand.O)
    flows.extend(_accumulate(scene))
    for lower, upper in itertools.pairwise(chain):
        drains, cycles = _drain(scene, lower, upper)
        flows.extend(drains)
        drain = drain + round_up(cycles)
    return Traffic(flows, fill, drain, stalls)


def _has_register(core: ComputeCore, operand: Operand) -> bool:
    return core.memories[core.chain(operand)[0]].level == "register"


def _pe_read(scene: _Scene, operand: Operand) -> Flow:
    """The PEs read a word each time it changes; consecutive cycles with the same word read it once."""
    nest = scene.nest
    m = scene.core.chain(operand)[0]
    bits = scene.words(operand, m, None) * nest.storage_bits(operand)
    still = nest.still_cycles(operand)
    events = nest.cycles[-1] / still
    return Flow(m, operand, False, True, bits, scene.instances(m), events, still * nest.pace, scene.nothing)


def _fill(scene: _Scene, operand: Operand, lower: int, upper: int) -> tuple[list[Flow], Array]:
    """Weights or inputs from one memory into the one below, and the cycles of it before the first MAC."""
    nest, core = scene.nest, scene.core
    word = nest.storage_bits(operand)
    prefix = scene.tiling.prefix[lower, operand]
    events = nest.cycles[-1] / nest.at(nest.cycles, prefix)
    window = scene.window(operand, lower, prefix)
    # streamed operands need one word per PE to start, others their whole tile
    first = None if _has_register(core, operand) else prefix

    def flow(m: int, write: bool) -> Flow:
        # the reader sees every distinct element once: words that several instances need are broadcast
        bits, start = scene.words(operand, m, prefix) * word, scene.words(operand, m, first) * word
        return Flow(m, operand, write, False, bits, scene.instances(m), events, window, start)

    reads, writes = flow(upper, False), flow(lower, True)
    width_out, width_in = core.memories[upper].read_bits_per_cycle, core.memories[lower].write_bits_per_cycle
    return [reads, writes], np.maximum(reads.hidden_bits / width_out, writes.hidden_bits / width_in)


def _stream_stall(scene: _Scene, operand: Operand, lower: int, upper: int) -> Array:
    """How far the stream of the first tile lags behind the PEs.

    The last word of prefix q arrives `cycles(q) - cycles(0)` after the first MAC may start, and must be there when
    it is used for the first time; the largest lag over the prefixes of the tile is the stall. In between both are
    linear in the index of every slot, so no other word lags more.
    """
    nest, core = scene.nest, scene.core
    prefix = scene.tiling.prefix[lower, operand]
    if not prefix.any():
        return scene.nothing
    word = nest.storage_bits(operand)
    written = nest.elements(operand, scene.served(lower)) * word / core.memories[lower].write_bits_per_cycle
    taken = nest.elements(operand, scene.served(upper)) * word / core.memories[upper].read_bits_per_cycle
    cycles = np.maximum(written, taken)
    position = np.arange(len(cycles))[:, None]
    counts = (nest.ends[operand] == position) & (position <= prefix)
    lag: Array = np.where(counts, cycles - cycles[0] - nest.first_use_cycles(operand) * nest.pace, 0.0).max(
        axis=0
    )
    return np.maximum(lag, 0.0)


def _accumulate(scene: _Scene) -> list[Flow]:
    """Each cycle adds to partial sums.

    An accumulator register is read and written in every cycle (it is cleared beforehand); in a larger memory
    the first product of an output is written without a read.
    """
    nest = scene.nest
    m = scene.core.chain(Operand.O)[0]
    bits = scene.words(Operand.O, m, None) * nest.storage_bits(Operand.O)
    total = nest.cycles[-1]
    instances, one = scene.instances(m), nest.pace
    reads = total if _has_register(scene.core, Operand.O) else total - nest.products[Operand.O][-1]
    return [
        Flow(m, Operand.O, True, True, bits, instances, total, one, scene.nothing),
        Flow(m, Operand.O, False, True, bits, instances, reads, one, scene.nothing),
    ]


def _drain(scene: _Scene, lower: int, upper: int) -> tuple[list[Flow], Array]:
    """Outputs from one memory into the one above, and the cycles of it behind the last MAC.

    Finished ones move at output width; others at partial-sum width, and back again.
    """
    nest, core = scene.nest, scene.core
    prefix = scene.tiling.prefix[lower, Operand.O]
    events = nest.cycles[-1] / nest.at(nest.cycles, prefix)
    finished = nest.products[Operand.O][-1] / nest.at(nest.products[Operand.O], prefix)
    window = scene.window(Operand.O, lower, prefix)
    psum, out = nest.storage_bits(Operand.O), nest.output_bits
    low, high = scene.words(Operand.O, lower, prefix), scene.words(Operand.O, upper, prefix)
    tail_low = scene.words(Operand.O, lower, None) * out
    tail_high = scene.words(Operand.O, upper, None) * out

    def flow(m: int, write: bool, bits: Array, events: Array, tail: Array) -> Flow:
        return Flow(m, Operand.O, write, False, bits, scene.instances(m), events, window, tail)

    unfinished = events - finished
    none = scene.nothing
    flows = [
        flow(lower, False, low * out, finished, tail_low),
        flow(upper, True, high * out, finished, tail_high),
        flow(lower, False, low * psum, unfinished, none),
        flow(upper, True, high * psum, unfinished, none),
        flow(upper, False, high * psum, unfinished, none),
        flow(lower, True, low * psum, unfinished, none),
    ]
    width_out, width_in = core.memories[lower].read_bits_per_cycle, core.memories[upper].write_bits_per_cycle
    return flows, np.maximum(tail_low / width_out, tail_high / width_in)
