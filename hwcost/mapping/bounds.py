"""What no nest of a job can beat: bounds that tell hopeless unrollings apart before their nests are tried.

The innermost loop of a nest belongs to K, to the reduction or to the positions; only inputs, only outputs or only
weights stay in place while it runs. For each of the three: MACs and sums as they are, words that move in every
iteration but for the operand that stays, and every element once through every other link. The bound is the least of
the three; a port is at least as long busy as it has bits to move.
"""

from __future__ import annotations

import itertools

import numpy as np

from hwcost.chip.core import ComputeCore
from hwcost.mapping.jobs import Jobs
from hwcost.mapping.link_tables import charged_pj, side
from hwcost.mapping.loops import RELEVANT, Loop, Operand
from hwcost.mapping.nest import Layers, touched
from hwcost.mapping.objective import scores
from hwcost.mapping.spatial import skew_cycles
from hwcost.mapping.tiling import usable_bits
from hwcost.mapping.timing import Port
from hwcost.rounding import round_up

Array = np.ndarray
# Share by which sums in another order may differ.
_ROUNDING = 1e-9
# The operand that stays while a group of loops runs innermost.
_CASES = {
    Operand.I: [Loop.K],
    Operand.O: [Loop.C, Loop.FX, Loop.FY],
    Operand.W: [Loop.OX, Loop.OY, Loop.B],
}
_PLAIN = {
    Operand.W: [Loop.G, Loop.K, Loop.C, Loop.FX, Loop.FY],
    Operand.I: [Loop.B, Loop.G, Loop.C],
    Operand.O: [Loop.B, Loop.G, Loop.K, Loop.OX, Loop.OY],
}


class ScoreBounds:
    """Scores (see `hwcost.mapping.objective.scores`) that no candidate of a job is below.

    Attributes:
        first: By innermost loop and job: (3, n).
        second: What counts among equals, likewise: (3, n).
    """

    def __init__(self, core: ComputeCore, jobs: Jobs, objective: str) -> None:
        bounds = _Bounds(core, jobs)
        cases = [scores(*bounds.case(stays), objective) for stays in _CASES]
        # sums in another order differ in the last digits
        self.first = np.stack([first for first, _ in cases]) * (1.0 - _ROUNDING)
        self.second = np.stack([second for _, second in cases]) * (1.0 - _ROUNDING)

    def order(self) -> tuple[Array, Array]:
        """The least first score of each job, and the second one that goes with it: (n,) each."""
        case = self.first.argmin(axis=0)
        job = np.arange(self.first.shape[1])
        return self.first[case, job], self.second[case, job]

    def may_beat(self, first: Array, second: Array) -> Array:
        """Whether some candidate of each job may be better than given scores: (n,) bool."""
        equal = (self.first <= first) & (self.second < second)
        less = self.first < first * (1.0 - 2 * _ROUNDING)
        result: Array = np.any(less | equal, axis=0)
        return result


def fitting(core: ComputeCore, jobs: Jobs) -> Array:
    """Whether every memory has room for what one iteration needs; no candidate of the others fits: (n,) bool."""
    fits = np.ones(jobs.n, dtype=bool)
    layers = jobs.layers
    # outputs may arrive finished
    words = (layers.weight_bits, layers.input_bits, np.minimum(layers.psum_bits, layers.output_bits))
    extents: dict[tuple[bool, ...], Array] = {}
    for m, memory in enumerate(core.memories):
        inner = [operand for operand in memory.operands if core.chain(operand)[-1] != m]
        if not inner:
            continue
        served = core.served_dimensions(memory)
        if served not in extents:
            unrolled = jobs.spatial.factors(np.array(served), average=False).T
            extents[served] = np.minimum(unrolled, jobs.sizes)
        bits = np.zeros(jobs.n)
        for operand in inner:
            bits += _count(operand, extents[served], layers) * words[operand]
        fits &= bits <= usable_bits(memory)
    return fits


def _count(operand: Operand, extent: Array, layers: Layers) -> Array:
    """Elements in so many iterations of each loop: extent (8, n) -> (n,)."""
    result: Array = np.prod(extent[_PLAIN[operand]], axis=0)
    if operand == Operand.I:
        result *= touched(extent[Loop.OX], extent[Loop.FX], layers.stride, layers.ix)
        result *= touched(extent[Loop.OY], extent[Loop.FY], layers.stride, layers.iy)
        result = np.minimum(result, layers.input_elements * extent[Loop.G])
    return result


class _Bounds:
    """Bounds of a batch of jobs."""

    def __init__(self, core: ComputeCore, jobs: Jobs) -> None:
        self._core, self._jobs = core, jobs
        self._tiles: dict[tuple[Operand, tuple[bool, ...], bool], Array] = {}
        self._served: dict[tuple[bool, ...], tuple[Array, Array]] = {}
        self._iterations = np.ascontiguousarray(jobs.spatial.temporal.T).astype(np.float64)
        layers = jobs.layers
        self._words = (layers.weight_bits, layers.input_bits, layers.psum_bits)
        # before, behind and between MACs, and what of it the ports are busy for
        self._edges = skew_cycles(core, jobs.spatial)
        self._hidden: dict[Port, Array] = {}
        # what is the same in all cases
        self._energy = jobs.mac_pj.copy()
        self._busy: dict[Port, Array] = {}
        # per operand whose words move one by one: energy and cycles by port of one more event
        self._per_event: list[tuple[Operand, Array, dict[Port, Array]]] = []
        for operand in Operand:
            self._towards_pes(operand)
            for lower, upper in itertools.pairwise(core.chain(operand)):
                self._link(operand, lower, upper)

    def case(self, stays: Operand) -> tuple[Array, Array]:
        """Latency and energy if a certain operand stays while the innermost loop runs: (n,) each."""
        energy = self._energy.copy()
        busy = dict(self._busy)
        total = self._jobs.iterations
        for operand, once, cycles in self._per_event:
            events = total
            if operand == stays:
                events = total / np.prod(self._iterations[_CASES[operand]], axis=0)
            if operand == Operand.O:
                # the last time they go up finished, which is counted already
                events = events - np.prod(self._iterations[RELEVANT[operand]], axis=0)
            energy += once * events
            for port, each in cycles.items():
                busy[port] = busy.get(port, 0.0) + each * events
        latency = self._jobs.layers.compute_cycles
        for port, port_cycles in busy.items():
            latency = np.maximum(latency, port_cycles - self._hidden.get(port, 0.0))
        return round_up(latency + self._edges), energy

    def _within(self, m: int) -> tuple[Array, Array]:
        """Average unrolling of each loop within the reach of one instance (8, n), and instances (n,)."""
        served = self._core.served_dimensions(self._core.memories[m])
        if served not in self._served:
            spatial = self._jobs.spatial
            inside = np.ascontiguousarray(spatial.factors(np.array(served)).T)
            instances = np.where(~np.array(served), spatial.average, 1.0).prod(axis=1)
            self._served[served] = inside, instances
        return self._served[served]

    def _elements(self, operand: Operand, m: int, whole: bool) -> Array:
        """Elements in the reach of an instance: of one iteration, or of all."""
        key = operand, self._core.served_dimensions(self._core.memories[m]), whole
        if key not in self._tiles:
            inside = self._within(m)[0]
            self._tiles[key] = _count(
                operand, inside * self._iterations if whole else inside, self._jobs.layers
            )
        return self._tiles[key]

    def _access(self, m: int, write: bool, bits: Array, towards_pe: bool) -> tuple[Array, Port, Array]:
        """Energy of an access at all instances, its port and its cycles."""
        memory = self._core.memories[m]
        energy = charged_pj(memory, write, bits) * self._within(m)[1]
        width = memory.write_bits_per_cycle if write else memory.read_bits_per_cycle
        if towards_pe and memory.level == "register":
            return energy, (m, "pe_write" if write else "pe_read"), bits / width
        return energy, side(self._core, m, write), bits / width

    def _count(self, access: tuple[Array, Port, Array], events: Array) -> None:
        energy, port, cycles = access
        self._energy += energy * events
        self._busy[port] = self._busy.get(port, 0.0) + cycles * events

    def _towards_pes(self, operand: Operand) -> None:
        m = self._core.chain(operand)[0]
        bits = self._elements(operand, m, whole=False) * self._words[operand]
        read = self._access(m, False, bits, towards_pe=True)
        if operand != Operand.O:
            self._per_event.append((operand, read[0], {read[1]: read[2]}))
            return
        total = self._jobs.iterations
        self._count(self._access(m, True, bits, towards_pe=True), total)
        first = np.prod(self._iterations[RELEVANT[operand]], axis=0)
        register = self._core.memories[m].level == "register"
        self._count(read, total if register else total - first)

    def _link(self, operand: Operand, lower: int, upper: int) -> None:
        output = operand == Operand.O
        layers = self._jobs.layers
        word = layers.output_bits if output else self._words[operand]
        single = np.zeros(self._jobs.n)
        if lower == self._core.chain(operand)[0]:
            single += self._holds_one_word(operand, lower)
        # every element once, whatever the tile
        for m, write in ((lower, not output), (upper, output)):
            memory = self._core.memories[m]
            bits = self._elements(operand, m, whole=True) * word
            _, port, cycles = self._access(m, write, bits, towards_pe=False)
            energy = bits * (memory.write_pj_per_bit if write else memory.read_pj_per_bit)
            energy = energy * self._within(m)[1]
            if output and single.any():
                # those that go up one by one are charged in whole granules
                bits = self._elements(operand, m, whole=False) * word
                charged, _, _ = self._access(m, write, bits, towards_pe=False)
                events = np.prod(self._iterations[RELEVANT[operand]], axis=0)
                energy = np.where(single > 0, charged * events, energy)
            self._count((energy, port, cycles), np.ones(self._jobs.n) if output else 1.0 - single)
        if output or self._core.memories[self._core.chain(operand)[0]].level == "register":
            self._edge(operand, ((lower, not output), (upper, output)), word)
        if not single.any():
            return
        directions = ((lower, True), (upper, False), (lower, False), (upper, True))
        energy, busy = np.zeros(self._jobs.n), dict[Port, Array]()
        for m, write in directions if output else directions[:2]:
            bits = self._elements(operand, m, whole=False) * self._words[operand]
            more, port, cycles = self._access(m, write, bits, towards_pe=False)
            energy += more * single
            busy[port] = busy.get(port, 0.0) + cycles * single
        self._per_event.append((operand, energy, busy))

    def _edge(self, operand: Operand, sides: tuple[tuple[int, bool], tuple[int, bool]], word: Array) -> None:
        """The first word of a stream, or the last output, crosses a link while no MAC runs."""
        longest = np.zeros(self._jobs.n)
        for m, write in sides:
            bits = self._elements(operand, m, whole=False) * word
            _, port, cycles = self._access(m, write, bits, towards_pe=False)
            self._hidden[port] = self._hidden.get(port, 0.0) + cycles
            longest = np.maximum(longest, cycles)
        self._edges = self._edges + round_up(longest)

    def _holds_one_word(self, operand: Operand, m: int) -> Array:
        """Whether a memory has no room for more words than those of one iteration: (n,) bool."""
        memory = self._core.memories[m]
        if operand == Operand.I or len(memory.operands) > 1:
            # windows overlap: less than two words can be the next tile
            return np.zeros(self._jobs.n, dtype=bool)
        served = np.array(self._core.served_dimensions(memory))
        most = np.ascontiguousarray(self._jobs.spatial.factors(served, average=False).T)
        sizes = self._jobs.sizes
        words = np.prod(np.minimum(most, sizes)[_PLAIN[operand]], axis=0)
        grown = np.minimum(2.0 * most, sizes) / most
        growth = np.where(self._iterations > 1, grown, np.inf)[_PLAIN[operand]].min(axis=0)
        result: Array = words * growth * self._words[operand] > usable_bits(memory)
        return result
