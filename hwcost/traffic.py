"""What moves between memories, as a list of flows.

A flow is one operand through one port: so many events, each of so many bits per instance, in a period with a
window of cycles in which the port may do it without stalling the PEs.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np

from hwcost.core import ComputeCore
from hwcost.loops import Operand
from hwcost.spatial import SpatialMappings
from hwcost.tiling import Nest, Tiling

Array = np.ndarray


@dataclass(frozen=True, eq=False)
class Flow:
    """One operand through one port; arrays broadcast to (n_jobs, n_orders).

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
        fill_cycles: From the start to the first MAC: (n_jobs, n_orders).
        drain_cycles: From the last MAC to the end.
        first_tile_stall: By memory index read from and operand: cycles the first tile's stream lags behind.
    """

    flows: list[Flow]
    fill_cycles: Array
    drain_cycles: Array
    first_tile_stall: dict[tuple[int, int], Array]


def at(values: Array, prefix: Array) -> Array:
    """Picks one prefix of each candidate."""
    return np.take_along_axis(values, prefix[..., None], axis=2)[..., 0]


class _Reach:
    """Unrolling seen by one memory: inside an instance, and over instances."""

    def __init__(self, core: ComputeCore, m: int, spatial: SpatialMappings) -> None:
        served = np.array(core.served_dimensions(core.memories[m]))
        self.inside = spatial.factors(served)
        self.instances = np.prod(spatial.factors(~served), axis=1)[:, None]


def trace(core: ComputeCore, nest: Nest, spatial: SpatialMappings, tiling: Tiling) -> Traffic:
    """Lists the flows of every candidate."""
    reach = [_Reach(core, m, spatial) for m in range(len(core.memories))]
    flows: list[Flow] = []
    zero = np.zeros(nest.cycles.shape[:2])
    fill, drain = zero, zero
    stalls: dict[tuple[int, int], Array] = {}
    for operand in (Operand.I, Operand.W):
        chain = core.chain(operand)
        flows.append(_pe_read(core, nest, tiling, reach, operand))
        for lower, upper in itertools.pairwise(chain):
            pair, cycles, stall = _fill(core, nest, tiling, reach, operand, lower, upper)
            flows.extend(pair)
            fill = fill + np.ceil(cycles)
            stalls[upper, lower] = stall
    chain = core.chain(Operand.O)
    flows.extend(_accumulate(core, nest, reach, chain[0]))
    for lower, upper in itertools.pairwise(chain):
        drains, cycles = _drain(core, nest, tiling, reach, lower, upper)
        flows.extend(drains)
        drain = drain + np.ceil(cycles)
    return Traffic(flows, fill, drain, stalls)


def _pe_read(core: ComputeCore, nest: Nest, tiling: Tiling, reach: list[_Reach], operand: Operand) -> Flow:
    """The PEs read a word each time it changes; consecutive cycles with the same word read it once."""
    m = core.chain(operand)[0]
    bits = nest.elements(operand, reach[m].inside)[..., 0] * nest.layers.storage_bits(operand)[:, None]
    still = at(nest.cycles, (nest.ends[operand] == 0).sum(axis=2) - 1)
    events = nest.cycles[..., -1] / still
    return Flow(m, operand, False, True, bits, reach[m].instances, events, still, np.zeros_like(bits))


def _fill(
    core: ComputeCore,
    nest: Nest,
    tiling: Tiling,
    reach: list[_Reach],
    operand: Operand,
    lower: int,
    upper: int,
) -> tuple[list[Flow], Array, Array]:
    """Weights or inputs from one memory into the one below.

    Returns:
        The read and the write, the cycles before the first MAC, and the stall of the first tile.
    """
    word = nest.layers.storage_bits(operand)[:, None]
    prefix = tiling.prefix[lower, operand]
    written = nest.elements(operand, reach[lower].inside) * word[..., None]
    # the reader sees every distinct element below it once: words that several instances need are broadcast
    taken = nest.elements(operand, reach[upper].inside) * word[..., None]
    total = nest.cycles[..., -1]
    period = at(nest.cycles, prefix)
    events = total / period
    last_pass = at(nest.cycles, at(nest.ends[operand], prefix))
    window = np.where(tiling.double_buffered[lower], period, last_pass)
    source, target = core.memories[upper], core.memories[lower]
    has_register = core.memories[core.chain(operand)[0]].level == "register"
    first = np.zeros_like(prefix) if has_register else prefix
    width_in, width_out = target.write_bits_per_cycle, source.read_bits_per_cycle
    cycles = np.maximum(written / width_in, taken / width_out)
    reads = Flow(
        upper,
        operand,
        False,
        False,
        at(taken, prefix),
        reach[upper].instances,
        events,
        window,
        at(taken, first),
    )
    writes = Flow(
        lower,
        operand,
        True,
        False,
        at(written, prefix),
        reach[lower].instances,
        events,
        window,
        at(written, first),
    )
    start = at(cycles, first)
    stall = np.zeros_like(start)
    if has_register:
        stall = _stream_stall(nest, operand, cycles, prefix)
    return [reads, writes], start, stall


def _stream_stall(nest: Nest, operand: Operand, cycles: Array, prefix: Array) -> Array:
    """How far the stream of the first tile lags behind the PEs.

    The last word of prefix q arrives `cycles(q) - cycles(0)` after the first MAC may start, and is wanted when
    the nest has run through q once; the largest lag over the prefixes of the tile is the stall.
    """
    position = np.arange(cycles.shape[2])
    is_end = nest.ends[operand] == position
    still = at(nest.cycles, (nest.ends[operand] == 0).sum(axis=2) - 1)[..., None]
    lag = np.where(is_end, cycles - cycles[..., :1] - np.maximum(nest.cycles - still, 0.0), 0.0)
    return at(np.maximum.accumulate(np.maximum(lag, 0.0), axis=2), prefix)


def _accumulate(core: ComputeCore, nest: Nest, reach: list[_Reach], m: int) -> list[Flow]:
    """Each cycle adds to partial sums.

    An accumulator register is read and written in every cycle (it is cleared beforehand); in a larger memory
    the first product of an output is written without a read.
    """
    bits = nest.elements(Operand.O, reach[m].inside)[..., 0] * nest.layers.psum_bits[:, None]
    total = nest.cycles[..., -1]
    outputs = nest.products[Operand.O][..., -1]
    one, none = np.ones_like(total), np.zeros_like(bits)
    instances = reach[m].instances
    reads = total if core.memories[m].level == "register" else total - outputs
    return [
        Flow(m, Operand.O, True, True, bits, instances, total, one, none),
        Flow(m, Operand.O, False, True, bits, instances, reads, one, none),
    ]


def _drain(
    core: ComputeCore, nest: Nest, tiling: Tiling, reach: list[_Reach], lower: int, upper: int
) -> tuple[list[Flow], Array]:
    """Outputs from one memory into the one above: finished ones at output width, others at partial-sum width
    and back again.

    Returns:
        The flows and the cycles behind the last MAC.
    """
    layers = nest.layers
    prefix = tiling.prefix[lower, Operand.O]
    elements_low = nest.elements(Operand.O, reach[lower].inside)
    elements_high = nest.elements(Operand.O, reach[upper].inside)
    low, high = at(elements_low, prefix), at(elements_high, prefix)
    total = nest.cycles[..., -1]
    period = at(nest.cycles, prefix)
    events = total / period
    finished = nest.products[Operand.O][..., -1] / at(nest.products[Operand.O], prefix)
    unfinished = events - finished
    last_pass = at(nest.cycles, at(nest.ends[Operand.O], prefix))
    window = np.where(tiling.double_buffered[lower], period, last_pass)
    psum, out = layers.psum_bits[:, None], layers.output_bits[:, None]
    none = np.zeros_like(low)
    from_low, to_high = reach[lower].instances, reach[upper].instances
    tail_low, tail_high = elements_low[..., 0] * out, elements_high[..., 0] * out
    flows = [
        Flow(lower, Operand.O, False, False, low * out, from_low, finished, window, tail_low),
        Flow(upper, Operand.O, True, False, high * out, to_high, finished, window, tail_high),
        Flow(lower, Operand.O, False, False, low * psum, from_low, unfinished, window, none),
        Flow(upper, Operand.O, True, False, high * psum, to_high, unfinished, window, none),
        Flow(upper, Operand.O, False, False, high * psum, to_high, unfinished, window, none),
        Flow(lower, Operand.O, True, False, low * psum, from_low, unfinished, window, none),
    ]
    source, target = core.memories[lower], core.memories[upper]
    cycles = np.maximum(tail_low / source.read_bits_per_cycle, tail_high / target.write_bits_per_cycle)
    return flows, cycles
