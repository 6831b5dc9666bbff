"""What every tile would move over one link between two memories: the equations of `hwcost.mapping.traffic` and
`hwcost.mapping.timing` for all tiles of a batch at once, to be looked up for candidates.

Tables of transfers have one row per distinct point of the operand (`OperandPaths.distinct`), results one per tile,
a prefix of the operand's loops (rows of `OperandPaths.tile`). Outputs move in two kinds of events, finished ones up,
and unfinished ones up and back; weights and inputs in one.
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
        elements: Per event and instance: (n_distinct, n).
        cycles: The same in cycles of the port: (n_distinct, n).
        finished: Whether it moves finished outputs; what there is one kind of counts as not finished.
        hidden_cycles: That pass before the first or after the last MAC, never more than the flow has: a table like
            `cycles`, or (n,).
    """

    port: Port
    elements: Array
    cycles: Array
    finished: bool
    hidden_cycles: Array


@dataclass(frozen=True, eq=False)
class Link:
    """One operand between two memories.

    Attributes:
        operand: Which.
        lower: Index of the memory nearer to the PEs.
        upper: Index of the other one.
        once_pj: Energy per event in the lower and in the upper memory: (n_distinct, n) each.
        finished_pj: The same of finished outputs; None for weights and inputs.
        energy_pj: Over the whole layer, both memories: (n_tiles, n).
        edge_cycles: Before the first MAC (weights, inputs) or behind the last one (outputs): (n_tiles, n) or (n,).
        flows: Through the ports.
        lag: By row of `OperandPaths.stream`, how far the first tile's stream lags behind the PEs: (n_streams, n);
            None where nothing streams or nothing lags.
    """

    operand: Operand
    lower: int
    upper: int
    once_pj: tuple[Array, Array]
    finished_pj: tuple[Array, Array] | None
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
    energy: Array = round_up(bits / granule)
    energy *= granule * per_bit
    return energy


def fill_link(tables: PointTables, operand: Operand, lower: int, upper: int) -> Link:
    """Weights or inputs from one memory into the one below."""
    core, paths = tables.core, tables.paths.operands[operand]
    low, high = core.memories[lower], core.memories[upper]
    layers = tables.jobs.layers
    word = layers.weight_bits if operand == Operand.W else layers.input_bits
    low_elements, high_elements = tables.elements(operand, lower), tables.elements(operand, upper)
    written, read = low_elements * word, high_elements * word
    once = (
        charged_pj(low, True, written) * tables.instances(lower),
        charged_pj(high, False, read) * tables.instances(upper),
    )
    row = tables.tile_rows(operand)
    written /= low.write_bits_per_cycle
    read /= high.read_bits_per_cycle
    streams = core.memories[core.chain(operand)[0]].level == "register"
    if streams:
        empty = paths.distinct.row[0]
        hidden = written[empty], read[empty]
        edge = round_up(np.maximum(*hidden))
    else:
        hidden = written, read
        edge = round_up(np.maximum(*hidden))[row]
    return Link(
        operand,
        lower,
        upper,
        once,
        None,
        (once[0] + once[1])[row] * tables.tile_events(operand),
        edge,
        (
            LinkFlow(side(core, upper, False), high_elements, read, False, hidden[1]),
            LinkFlow(side(core, lower, True), low_elements, written, False, hidden[0]),
        ),
        _lag(tables, operand, np.maximum(written, read)) if streams else None,
    )


def _lag(tables: PointTables, operand: Operand, cycles: Array) -> Array | None:
    """See `hwcost.mapping.traffic`: the largest lag over the prefixes of every stream."""
    paths = tables.paths.operands[operand]
    # the last word of a prefix is not used before as many iterations as the prefix has words at every PE
    behind = cycles - cycles[paths.distinct.row[0]]
    if (behind <= (tables.products(operand) - 1) * tables.jobs.pace).all():
        return None
    first_use = tables.first_use(operand)
    lag = np.zeros_like(first_use)
    for rows, shorter, point, _ in paths.stream_depths:
        late = behind[paths.distinct.row[point]]
        late -= first_use[rows]
        lag[rows] = np.maximum(lag[shorter], late, out=late)
    return lag


def drain_link(tables: PointTables, lower: int, upper: int) -> Link:
    """Outputs from one memory into the one above, and unfinished ones back again."""
    core, paths = tables.core, tables.paths.operands[Operand.O]
    low, high = core.memories[lower], core.memories[upper]
    layers = tables.jobs.layers
    low_elements, high_elements = tables.elements(Operand.O, lower), tables.elements(Operand.O, upper)
    low_instances, high_instances = tables.instances(lower), tables.instances(upper)
    psum, out = layers.psum_bits, layers.output_bits
    low_bits, high_bits = low_elements * psum, high_elements * psum
    finished = (
        charged_pj(low, False, low_elements * out) * low_instances,
        charged_pj(high, True, high_elements * out) * high_instances,
    )
    once = (
        (charged_pj(low, False, low_bits) + charged_pj(low, True, low_bits)) * low_instances,
        (charged_pj(high, True, high_bits) + charged_pj(high, False, high_bits)) * high_instances,
    )
    per_event = once[0] + once[1]
    times = tables.finished_events()
    row = tables.tile_rows(Operand.O)
    energy = per_event[row]
    energy *= tables.tile_events(Operand.O)
    energy += ((finished[0] + finished[1] - per_event) * times)[row]
    empty = paths.distinct.row[0]
    tails = (
        low_elements[empty] * out / low.read_bits_per_cycle,
        high_elements[empty] * out / (high.write_bits_per_cycle),
    )
    nothing = np.zeros(tables.jobs.n)
    # by memory, width and whether finished: directions of one width share a table
    cycles: dict[tuple[int, float, bool], Array] = {}

    def flow(m: int, write: bool, final: bool, hidden: Array) -> LinkFlow:
        memory = core.memories[m]
        width = memory.write_bits_per_cycle if write else memory.read_bits_per_cycle
        elements = low_elements if m == lower else high_elements
        key = m, width, final
        if key not in cycles:
            cycles[key] = elements * ((out if final else psum) / width)
        return LinkFlow(side(core, m, write), elements, cycles[key], final, hidden)

    return Link(
        Operand.O,
        lower,
        upper,
        once,
        finished,
        energy,
        round_up(np.maximum(*tails)),
        (
            flow(lower, False, True, tails[0]),
            flow(upper, True, True, tails[1]),
            flow(lower, False, False, nothing),
            flow(upper, True, False, nothing),
            flow(upper, False, False, nothing),
            flow(lower, True, False, nothing),
        ),
        None,
    )


def link_parts(
    tables: PointTables, link: Link, tile: Array, job: Array
) -> tuple[Array, Array, dict[Port, Array]]:
    """Of one tile per job: energy in the lower and in the upper memory, and busy cycles of the ports.

    Args:
        tables: Of the batch.
        link: Which.
        tile: Row of the tile: (m,).
        job: Whose: (m,).
    """
    paths = tables.paths.operands[link.operand]
    point = paths.tile_point[tile]
    row = paths.distinct.row[point]
    events = tables.events[point, job]
    finished = tables.finished_events()[row, job] if link.finished_pj is not None else np.zeros(len(job))
    low, high = (once[row, job] * (events - finished) for once in link.once_pj)
    if link.finished_pj is not None:
        low += link.finished_pj[0][row, job] * finished
        high += link.finished_pj[1][row, job] * finished
    busy: dict[Port, Array] = {}
    for flow in link.flows:
        times = finished if flow.finished else events - finished
        busy[flow.port] = busy.get(flow.port, 0.0) + flow.cycles[row, job] * times
    return low, high, busy
