"""Ports that may stall: how long each tile keeps them busy and how far they fall behind."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hwcost.mapping.link_tables import Link, LinkFlow, side
from hwcost.mapping.loops import Operand
from hwcost.mapping.spatial import skew_cycles
from hwcost.mapping.tables import PointTables
from hwcost.mapping.timing import Port

Array = np.ndarray


@dataclass(frozen=True, eq=False)
class PortLoad:
    """What one link adds to one port.

    Attributes:
        busy: Busy cycles between the first and the last MAC: (n_tiles, n).
        late: Cycles behind the PEs, first half of the rows for double-buffered memories, second half for others:
            (2 x n_tiles, n); None where it is never late.
    """

    busy: Array
    late: Array | None


@dataclass(frozen=True, eq=False)
class PeFlow:
    """Words between the PEs and the lowest memory of an operand.

    Attributes:
        port: Which.
        operand: Weights or inputs are read when they change, outputs in every iteration.
        cycles: Per event: (n,).
        events: Of outputs: (n,); None for weights and inputs, which depend on the candidate.
    """

    port: Port
    operand: Operand
    cycles: Array
    events: Array | None


def stalling_ports(tables: PointTables, links: list[Link], pe_flows: list[PeFlow]) -> set[Port]:
    """Ports that may stall some candidate of some job."""
    pace = tables.jobs.pace
    share: dict[Port, Array] = {}
    users: dict[Port, int] = {}
    late: set[Port] = set()
    for link in links:
        for port, most in _busy_shares(tables, link):
            share[port] = share.get(port, 0.0) + most
            users[port] = users.get(port, 0) + 1
        late |= {flow.port for flow in link.flows if not _never_late(tables, link, flow)}
        if link.lag is not None:
            late.add(side(tables.core, link.upper, False))
    for flow in pe_flows:
        share[flow.port] = share.get(flow.port, 0.0) + flow.cycles / pace
        users[flow.port] = users.get(flow.port, 0) + 1
        if (flow.cycles > pace).any():
            late.add(flow.port)
    found = late | {port for port, most in share.items() if (most > 1.0).any()}
    for link in links:
        if link.operand == Operand.O:
            continue
        # the same words through a wider port that has nothing else to do: never later than the narrow one
        read, written = link.flows
        alone = users[written.port] == 1 and written.elements is read.elements
        if alone and (written.cycles[0] <= read.cycles[0]).all():
            found.discard(written.port)
    return found


def _never_late(tables: PointTables, link: Link, flow: LinkFlow) -> bool:
    """Whether no event takes longer than the iterations of the loops the operand depends on."""
    return bool((flow.cycles <= tables.products(link.operand) * tables.jobs.pace).all())


def _busy_shares(tables: PointTables, link: Link) -> list[tuple[Port, Array]]:
    """At most these shares of the MAC cycles a link keeps ports busy, whatever the tile: (n,) each."""
    products = tables.products(link.operand) * tables.jobs.pace
    shares = [(flow.port, (flow.cycles / products).max(axis=0)) for flow in link.flows]
    if link.operand != Operand.O:
        return shares
    # an output goes up finished or unfinished, once
    read, write = (np.maximum(shares[i][1], shares[i + 2][1]) for i in (0, 1))
    return [(shares[0][0], read), (shares[1][0], write), *shares[4:]]


def port_loads(tables: PointTables, link: Link, ports: set[Port]) -> dict[Port, PortLoad]:
    """What a link adds to those ports."""
    loads: dict[Port, PortLoad] = {}
    # unfinished outputs go up and come back: the same load where both directions are equally wide
    known: list[tuple[LinkFlow, PortLoad]] = []
    for flow in link.flows:
        if flow.port in ports:
            load = next((load for other, load in known if _alike(flow, other)), None)
            if load is None:
                load = _load(tables, link, flow)
                known.append((flow, load))
            if flow.port in loads:
                other = loads[flow.port]
                late = load.late if other.late is None else other.late
                if load.late is not None and other.late is not None:
                    late = load.late + other.late
                load = PortLoad(load.busy + other.busy, late)
            loads[flow.port] = load
    return loads


def _alike(flow: LinkFlow, other: LinkFlow) -> bool:
    """Whether two flows take the same time at their ports."""
    return (
        flow.cycles is other.cycles
        and flow.finished == other.finished
        and flow.hidden_cycles is other.hidden_cycles
    )


def _load(tables: PointTables, link: Link, flow: LinkFlow) -> PortLoad:
    row = tables.tile_rows(link.operand)
    paths = tables.paths.operands[link.operand]
    never_late = _never_late(tables, link, flow)
    if flow.finished:
        times = tables.finished_events()
        busy = (flow.cycles * times - flow.hidden_cycles)[row]
        if never_late:
            return PortLoad(busy, None)
        cycles = flow.cycles[row]
        repeats = times[row]
        repeats -= 1.0
    else:
        events = tables.unfinished_events() if link.operand == Operand.O else tables.tile_events(link.operand)
        cycles = flow.cycles[row]
        busy = cycles * events
        if link.operand != Operand.O:
            busy -= flow.hidden_cycles if flow.hidden_cycles.ndim == 1 else flow.hidden_cycles[row]
        if never_late:
            return PortLoad(busy, None)
        repeats = events - 1.0
        np.maximum(repeats, 0.0, out=repeats)
    skew = skew_cycles(tables.core, tables.jobs.spatial, tables.core.memories[link.lower])
    late = np.empty((2, *busy.shape))
    # clipping spares a copy; no index is out of bounds
    np.take(tables.time, paths.tile_point, axis=0, out=late[0], mode="clip")
    np.take(tables.time, paths.tile_end, axis=0, out=late[1], mode="clip")
    if skew.any():
        late[1] += skew
        np.minimum(late[1], late[0], out=late[1])
    for part in late:
        np.subtract(cycles, part, out=part)
        np.maximum(part, 0.0, out=part)
        part *= repeats
    return PortLoad(busy, late.reshape(-1, busy.shape[1]))
