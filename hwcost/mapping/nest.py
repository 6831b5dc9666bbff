"""Cumulative sizes of every prefix of the candidates' loop nests."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np

from hwcost.chip.core import ComputeCore
from hwcost.chip.memory import Memory
from hwcost.mapping.loops import RELEVANT, Loop, Operand
from hwcost.mapping.spatial import SpatialMappings, skew_cycles
from hwcost.mapping.temporal import TemporalNests
from hwcost.workload import COST_COLUMNS, IntArray

Array = np.ndarray
# Inputs depend on these in pairs: OX with FX, OY with FY.
_WINDOW_LOOPS = (Loop.OX, Loop.OY, Loop.FX, Loop.FY)


@dataclass(frozen=True, eq=False)
class Layers:
    """What the mapper needs of each job's layer: all (n_jobs,).

    `compute_cycles` is the time the PEs need for the layer: one cycle an iteration, or more.
    `input_elements` is the most one tile of inputs of one group is charged with; infinite where tiles are counted
    by their windows.
    """

    stride: Array
    ix: Array
    iy: Array
    weight_bits: Array
    input_bits: Array
    output_bits: Array
    psum_bits: Array
    compute_cycles: Array
    input_elements: Array

    @classmethod
    def from_rows(cls, rows: IntArray, compute_cycles: Array, input_elements: Array) -> Layers:
        """From rows of `Workload.cost_rows()`, one per job."""
        names = ("stride", "ix", "iy", "weight_bits", "input_bits", "output_bits", "psum_bits")
        column = {name: rows[:, COST_COLUMNS.index(name)].astype(np.float64) for name in names}
        return cls(**column, compute_cycles=compute_cycles, input_elements=input_elements)

    def take(self, index: Array) -> Layers:
        """The jobs of the given indices."""
        return Layers(**{field.name: getattr(self, field.name)[index] for field in fields(self)})

    def join(self, other: Layers) -> Layers:
        """These jobs and others behind them."""
        return Layers(
            **{f.name: np.concatenate([getattr(self, f.name), getattr(other, f.name)]) for f in fields(self)}
        )


class Nest:
    """Loop nests of n candidates; prefixes run along the first axis: (n_slots + 1, n).

    Attributes:
        n: Number of candidates.
        job: Job of each candidate: (n,).
        n_slots: Slots of each.
        cycles: Iterations of each prefix.
        compute_cycles: Time the PEs need for all iterations: (n,).
        pace: Time of one of them: (n,).
        ends: By operand: the longest prefix within p whose last slot the operand depends on.
        products: By operand: iterations of relevant slots in each prefix (inputs without window loops).
    """

    def __init__(self, candidates: TemporalNests, spatial: SpatialMappings, layers: Layers) -> None:
        self.job = candidates.job
        self.n = len(self.job)
        self._columns = np.arange(self.n)
        self._spatial = spatial
        self._layers = layers
        # by reach, filled on first use
        self._factors: dict[tuple[bool, ...], Array] = {}
        self._elements: dict[tuple[Operand, tuple[bool, ...]], Array] = {}
        self._largest: dict[tuple[Operand, tuple[bool, ...]], Array] = {}
        self._candidates = candidates
        factor, loop = candidates.factor, candidates.loop
        self.n_slots = len(factor)
        self.cycles = _cumulative(factor)
        steps = factor > 1
        position = np.arange(1, self.n_slots + 1)[:, None]
        self.ends: list[Array] = []
        self.products: list[Array] = []
        for operand in Operand:
            relevant = RELEVANT[operand][loop]
            ends = np.zeros((self.n_slots + 1, self.n), dtype=np.int64)
            np.maximum.accumulate(np.where(relevant & steps, position, 0), axis=0, out=ends[1:])
            self.ends.append(ends)
            if operand == Operand.I:
                plain = RELEVANT[operand].copy()
                plain[list(_WINDOW_LOOPS)] = False
                relevant = plain[loop]
            self.products.append(_cumulative(np.where(relevant, factor, 1.0)))
        self.compute_cycles = self.per_candidate(layers.compute_cycles)
        self.pace = self.compute_cycles / self.cycles[-1]
        self._groups = _cumulative(np.where(loop == Loop.G, factor, 1.0))
        self._window = {one: _cumulative(np.where(loop == one, factor, 1.0)) for one in _WINDOW_LOOPS}

    def at(self, values: Array, prefix: Array) -> Array:
        """Picks one prefix of each candidate: (n,)."""
        result: Array = values[prefix, self._columns]
        return result

    def per_candidate(self, values: Array) -> Array:
        """Values of jobs (n_jobs,) as values of candidates (n,)."""
        result: Array = values[self.job]
        return result

    def skew_cycles(self, core: ComputeCore, memory: Memory) -> Array:
        """Cycles between the first and the last instance of a memory in a systolic array: (n,)."""
        return self.per_candidate(skew_cycles(core, self._spatial, memory))

    def storage_bits(self, operand: Operand) -> Array:
        """Bits an element takes in a memory; unfinished outputs take those of a partial sum: (n,)."""
        layers = self._layers
        return self.per_candidate((layers.weight_bits, layers.input_bits, layers.psum_bits)[operand])

    @property
    def output_bits(self) -> Array:
        """Bits of a finished output: (n,)."""
        return self.per_candidate(self._layers.output_bits)

    def finished(self, prefix: Array) -> Array:
        """Whether all products of an output lie within a prefix: (n,) bool."""
        outputs = self.products[Operand.O]
        # whole numbers, so that equality is exact
        done: Array = outputs[-1] * self.at(self.cycles, prefix) == self.cycles[-1] * self.at(outputs, prefix)
        return done

    def still_cycles(self, operand: Operand) -> Array:
        """Consecutive iterations in which an operand's word does not change: (n,)."""
        return self.at(self.cycles, (self.ends[operand] == 0).sum(axis=0) - 1)

    def first_use_cycles(self, operand: Operand) -> Array:
        """Iteration in which the last word of each prefix is used for the first time: (n_slots + 1, n).

        All slots the operand depends on are at their last index then, all others still at their first.
        """
        position = np.arange(1, self.n_slots + 1)[:, None]
        steps = np.where(self.ends[operand][1:] == position, np.diff(self.cycles, axis=0), 0.0)
        result = np.zeros_like(self.cycles)
        np.cumsum(steps, axis=0, out=result[1:])
        return result

    def extended(self, operand: Operand, prefix: Array) -> Array:
        """The longest prefix that holds the same elements: (n,)."""
        result: Array = (self.ends[operand] <= self.at(self.ends[operand], prefix)).sum(axis=0) - 1
        return result

    def instances(self, served: tuple[bool, ...]) -> Array:
        """Instances in use of a memory that serves some dimensions: (n,)."""
        outside = tuple(not one for one in served)
        return self.per_candidate(np.prod(self._unrolling(outside), axis=1))

    def elements(self, operand: Operand, served: tuple[bool, ...], prefix: Array | None = None) -> Array:
        """Distinct elements of an operand within the reach of one memory instance.

        Args:
            operand: Which.
            served: Per array dimension, whether one instance serves all PEs along it.
            prefix: One prefix per candidate (n,); all prefixes when not given.

        Returns:
            (n,), or (n_slots + 1, n) for all prefixes.
        """
        if prefix is None and (operand, served) in self._elements:
            return self._elements[operand, served]
        unrolling = self._unrolling(served)
        plain = RELEVANT[operand].copy()
        if operand == Operand.I:
            plain[list(_WINDOW_LOOPS)] = False
        unrolled = self.per_candidate(np.prod(np.where(plain, unrolling, 1.0), axis=1))
        result: Array = self._pick(self.products[operand], prefix) * unrolled
        if operand == Operand.I:
            columns = self._span(Loop.OX, Loop.FX, unrolling, self._layers.ix, prefix)
            result = result * columns * self._span(Loop.OY, Loop.FY, unrolling, self._layers.iy, prefix)
            most = self.per_candidate(self._layers.input_elements)
            if np.isfinite(most).any():
                groups = self._pick(self._groups, prefix) * self.per_candidate(unrolling[:, Loop.G])
                result = np.minimum(result, most * groups)
        if prefix is None:
            self._elements[operand, served] = result
        return result

    def largest_elements(self, operand: Operand, served: tuple[bool, ...]) -> Array:
        """Like `elements` of all prefixes, but of the largest tile instead of the average one."""
        if (operand, served) not in self._largest:
            result = self.elements(operand, served)
            uneven = np.flatnonzero((self._spatial.average != self._spatial.unroll).any(axis=1)[self.job])
            if uneven.size:
                result = result.copy()
                result[:, uneven] = self._largest_elements(operand, served, uneven)
            self._largest[operand, served] = result
        return self._largest[operand, served]

    def _largest_elements(self, operand: Operand, served: tuple[bool, ...], index: Array) -> Array:
        candidates, job = self._candidates, self.job[index]
        loops, factors = candidates.loop[:, index], candidates.factor[:, index]
        sizes = self._spatial.sizes
        unrolling = self._spatial.factors(np.array(served), average=False)

        def extent(loop: Loop) -> Array:
            """Iterations met: a full tile, or the whole loop where it ends before that."""
            met = _cumulative(np.where(loops == loop, factors, 1.0))
            return np.minimum(met * unrolling[job, loop], sizes[job, loop])

        result = np.ones((self.n_slots + 1, len(index)))
        for loop in Loop:
            if RELEVANT[operand, loop] and not (operand == Operand.I and loop in _WINDOW_LOOPS):
                result *= extent(loop)
        if operand == Operand.I:
            stride = self._layers.stride[job]
            result *= touched(extent(Loop.OX), extent(Loop.FX), stride, self._layers.ix[job])
            result *= touched(extent(Loop.OY), extent(Loop.FY), stride, self._layers.iy[job])
            result = np.minimum(result, self._layers.input_elements[job] * extent(Loop.G))
        return result

    def _pick(self, values: Array, prefix: Array | None) -> Array:
        return values if prefix is None else self.at(values, prefix)

    def _unrolling(self, dimensions: tuple[bool, ...]) -> Array:
        if dimensions not in self._factors:
            self._factors[dimensions] = self._spatial.factors(np.array(dimensions))
        return self._factors[dimensions]

    def _span(self, out: Loop, window: Loop, unrolling: Array, limit: Array, prefix: Array | None) -> Array:
        """Input columns (or rows) that `out` positions of a window of `window` touch; never the padding."""
        outs = self._pick(self._window[out], prefix) * self.per_candidate(unrolling[:, out])
        taps = self._pick(self._window[window], prefix) * self.per_candidate(unrolling[:, window])
        return touched(outs, taps, self.per_candidate(self._layers.stride), self.per_candidate(limit))

    def take(self, index: Array) -> Nest:
        """The candidates of the given indices."""
        return Nest(self._candidates.take(index), self._spatial, self._layers)


def touched(outs: Array, taps: Array, stride: Array, limit: Array) -> Array:
    """Input columns (or rows) under `outs` positions of a window of `taps`; at most those of the map."""
    touched = np.where(taps >= stride, (outs - 1) * stride + taps, outs * taps)
    result: Array = np.minimum(touched, limit)
    return result


def _cumulative(factor: Array) -> Array:
    result = np.ones((len(factor) + 1, *factor.shape[1:]))
    for slot in range(len(factor)):
        np.multiply(result[slot], factor[slot], out=result[slot + 1])
    return result
