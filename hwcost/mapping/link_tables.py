"""What every tile would move over one link between two memories: the equations of `hwcost.mapping.traffic` and
`hwcost.mapping.timing` for all tiles of a batch at once, to be looked up for candidates.

A tile is a prefix of an operand's loops (rows of `OperandPaths.tile`). Tables whose first half is for double-buffered
memories and whose second half for others have twice the rows.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hwcost.chip.core import ComputeCore
from hwcost.chip.memory import Memory
from hwcost.mapping.loops import Operand
from hwcost.mapping.tables import PointTables
from hwcost.mapping.timing import Port
from hwcost.rounding import round_up

Array = np.ndarray


@dataclass(frozen=True, eq=False)
class LinkFlow:
    """One direction through one port.

    Attributes:
        port: Which.
        cycles: Per event, at each distinct point of the operand: (n_distinct, n).
        finished: Whether it moves finished outputs (True), unfinished ones (False) or something else (None).
        hidden_cycles: That pass before the first or after the last MAC: a table like `cycles`, (n,) or 0.
    """

    port: Port
    cycles: Array
    finished: bool | None
    hidden_cycles: Array | float


@dataclass(frozen=True, eq=False)
class Link:
    """One operand between two memories.

    Attributes:
        operand: Which.
        lower: Index of the memory nearer to the PEs.
        upper: Index of the other one.
        energy_pj: Over the whole layer: (n_tiles, n).
        edge_cycles: Before the first MAC (weights, inputs) or behind the last one (outputs): (n_tiles, n) or (n,).
        flows: Through the ports.
        lag: By row of `OperandPaths.stream`, how far the first tile's stream lags behind the PEs: (n_streams, n);
            None where nothing streams or nothing lags.
    """

    operand: Operand
    lower: int
    upper: int
    energy_pj: Array
    edge_cycles: Array
    flows: tuple[LinkFlow, ...]
    lag: Array | None


def side(core: ComputeCore, m: int, write: bool) -> Port:
    """The port of a memory towards other memories."""
    return m, "shared" if core.memories[m].shared_port else "write" if write else "read"


def charged_pj(memory: Memory, write: bool, bits: Array) -> Array:
    """Energy of one access to one instance, in whole granules."""
    granule = memory.write_granule_bits if write else memory.read_granule_bits
    per_bit = memory.write_pj_per_bit if write else memory.read_pj_per_bit
    energy: Array = round_up(bits / granule) * (granule * per_bit)
    return energy


def fill_link(tables: PointTables, operand: Operand, lower: int, upper: int) -> Link:
    """Weights or inputs from one memory into the one below."""
    core, paths = tables.core, tables.paths.operands[operand]
    low, high = core.memories[lower], core.memories[upper]
    layers = tables.jobs.layers
    word = layers.weight_bits if operand == Operand.W else layers.input_bits
    written, read = tables.elements(operand, lower) * word, tables.elements(operand, upper) * word
    once = charged_pj(low, True, written) * tables.instances(lower)
    once += charged_pj(high, False, read) * tables.instances(upper)
    row = paths.distinct.row[paths.tile_point]
    write_cycles, read_cycles = written / low.write_bits_per_cycle, read / high.read_bits_per_cycle
    streams = core.memories[core.chain(operand)[0]].level == "register"
    if streams:
        empty = paths.distinct.row[0]
        write_hidden, read_hidden = write_cycles[empty], read_cycles[empty]
        edge = round_up(np.maximum(write_hidden, read_hidden))
    else:
        write_hidden, read_hidden = write_cycles, read_cycles
        edge = round_up(np.maximum(write_cycles, read_cycles))[row]
    return Link(
        operand,
        lower,
        upper,
        once[row] * tables.events[paths.tile_point],
        edge,
        (
            LinkFlow(side(core, upper, False), read_cycles, None, read_hidden),
            LinkFlow(side(core, lower, True), write_cycles, None, write_hidden),
        ),
        _lag(tables, operand, np.maximum(write_cycles, read_cycles)) if streams else None,
    )


def _lag(tables: PointTables, operand: Operand, cycles: Array) -> Array | None:
    """See `hwcost.mapping.traffic`: the largest lag over the prefixes of every stream."""
    paths = tables.paths.operands[operand]
    pace = tables.jobs.pace
    # the last word of a prefix is not used before as many iterations as the prefix has words at every PE
    behind = cycles - cycles[paths.distinct.row[0]]
    if (behind <= (tables.products(operand) - 1) * pace).all():
        return None
    n = tables.jobs.n
    lag, first_use = np.zeros((paths.n_streams, n)), np.zeros((paths.n_streams, n))
    for rows, shorter, point, below in paths.stream_depths:
        use = first_use[shorter] + (tables.cycles[point] - tables.cycles[below]) * pace
        first_use[rows] = use
        lag[rows] = np.maximum(lag[shorter], behind[paths.distinct.row[point]] - use)
    return lag


def drain_link(tables: PointTables, lower: int, upper: int) -> Link:
    """Outputs from one memory into the one above, and unfinished ones back again."""
    core, paths = tables.core, tables.paths.operands[Operand.O]
    low, high = core.memories[lower], core.memories[upper]
    layers = tables.jobs.layers
    low_elements, high_elements = tables.elements(Operand.O, lower), tables.elements(Operand.O, upper)
    low_instances, high_instances = tables.instances(lower), tables.instances(upper)
    psum, out = layers.psum_bits, layers.output_bits
    once_finished = charged_pj(low, False, low_elements * out) * low_instances
    once_finished += charged_pj(high, True, high_elements * out) * high_instances
    once = charged_pj(low, False, low_elements * psum) + charged_pj(low, True, low_elements * psum)
    once *= low_instances
    once_high = charged_pj(high, True, high_elements * psum) + charged_pj(high, False, high_elements * psum)
    once += once_high * high_instances
    products = tables.products(Operand.O)
    finished = products.max(axis=0) / products
    row = paths.distinct.row[paths.tile_point]
    energy = ((once_finished - once) * finished)[row] + once[row] * tables.events[paths.tile_point]
    empty = paths.distinct.row[0]
    tail_low = low_elements[empty] * out / low.read_bits_per_cycle
    tail_high = high_elements[empty] * out / high.write_bits_per_cycle

    def flow(m: int, write: bool, final: bool, hidden: Array | float) -> LinkFlow:
        memory = core.memories[m]
        width = memory.write_bits_per_cycle if write else memory.read_bits_per_cycle
        elements = low_elements if m == lower else high_elements
        return LinkFlow(side(core, m, write), elements * (out if final else psum) / width, final, hidden)

    return Link(
        Operand.O,
        lower,
        upper,
        energy,
        round_up(np.maximum(tail_low, tail_high)),
        (
            flow(lower, False, True, tail_low),
            flow(upper, True, True, tail_high),
            flow(lower, False, False, 0.0),
            flow(upper, True, False, 0.0),
            flow(upper, False, False, 0.0),
            flow(lower, True, False, 0.0),
        ),
        None,
    )


def flow_events(tables: PointTables, flow: LinkFlow) -> Array | None:
    """Events of outputs at each tile, finished or not: (n_tiles, n); None where it is every tile."""
    if flow.finished is None:
        return None
    paths = tables.paths.operands[Operand.O]
    products = tables.products(Operand.O)
    finished: Array = (products.max(axis=0) / products)[paths.distinct.row[paths.tile_point]]
    return finished if flow.finished else tables.events[paths.tile_point] - finished


def busy_and_late(tables: PointTables, link: Link, flow: LinkFlow) -> tuple[Array, Array | None]:
    """What a flow adds to its port: busy cycles between first and last MAC, and cycles behind the PEs.

    Returns:
        (n_tiles, n) and (2 x n_tiles, n), the latter None where the flow is never late.
    """
    paths = tables.paths.operands[link.operand]
    row = paths.distinct.row[paths.tile_point]
    events = flow_events(tables, flow)
    if events is None:
        events = tables.events[paths.tile_point]
    cycles = flow.cycles[row]
    hidden = flow.hidden_cycles
    if isinstance(hidden, np.ndarray) and hidden.ndim == 2:
        hidden = hidden[row]
    all_cycles = cycles * events
    busy = all_cycles - np.minimum(hidden, all_cycles)
    if never_late(tables, link, flow):
        return busy, None
    repeats = np.maximum(events - 1.0, 0.0)
    pace = tables.jobs.pace
    double = np.maximum(cycles - tables.cycles[paths.tile_point] * pace, 0.0) * repeats
    single = np.maximum(cycles - tables.cycles[paths.tile_end] * pace, 0.0) * repeats
    return busy, np.concatenate([double, single])


def never_late(tables: PointTables, link: Link, flow: LinkFlow) -> bool:
    """Whether no event takes longer than the iterations of the loops the operand depends on."""
    return bool((flow.cycles <= tables.products(link.operand) * tables.jobs.pace).all())


def busy_shares(tables: PointTables, link: Link) -> list[tuple[Port, Array]]:
    """At most these shares of the MAC cycles a link keeps ports busy, whatever the tile: (n,) each."""
    products = tables.products(link.operand) * tables.jobs.pace
    shares = [(flow.port, (flow.cycles / products).max(axis=0)) for flow in link.flows]
    if link.operand != Operand.O:
        return shares
    # an output goes up finished or unfinished, once
    read, write = (np.maximum(shares[i][1], shares[i + 2][1]) for i in (0, 1))
    return [(shares[0][0], read), (shares[1][0], write), *shares[4:]]
