"""Costs of layers on cores, remembered: a layer that was seen before is looked up."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import cast

import numpy as np

from hwcost.capacity import activations_fit
from hwcost.chip.accelerator import Accelerator
from hwcost.chip.core import ComputeCore, VectorCore
from hwcost.errors import OfframpError
from hwcost.mapping.loops import Operand
from hwcost.mapping.mapper import check_objective, map_layers
from hwcost.mapping.timing import ENERGY_LEVELS
from hwcost.mapping.vector_cost import charge, vector_costs
from hwcost.placement.routes import LEVEL_NAMES
from hwcost.workload import COST_COLUMNS, BoolArray, IntArray, Op

Array = np.ndarray
WEIGHTS = ("streamed", "resident")
# Rows handed to the mapper at once: bounds the memory of its jobs.
CHUNK_ROWS = 1024


@dataclass(frozen=True, eq=False)
class LayerCosts:
    """Costs of layers by row, core group and array of the group's catalogue.

    Where a group has fewer arrays than another, and where a layer cannot run as asked or its activations do not fit
    the core, everything is infinite.
    Layers of a vector core have the same value for every group and array.

    Attributes:
        latency_cycles: (n, n_groups, n_arrays).
        energy_pj: By level of `LEVEL_NAMES`, without leakage: (n, n_groups, n_arrays, n_levels).
        dram_cycles: Busy cycles of the DRAM port: (n, n_groups, n_arrays).
        operand_energy_pj: Energy in memories by operand W, I, O: (n, n_groups, n_arrays, 3).
    """

    latency_cycles: Array
    energy_pj: Array
    dram_cycles: Array
    operand_energy_pj: Array

    def take(self, index: IntArray) -> LayerCosts:
        """The costs of some rows."""
        return LayerCosts(*(getattr(self, item.name)[index] for item in fields(self)))

    def copy_group(self, origin: int, target: int) -> None:
        """Gives a group the costs of another."""
        for item in fields(self):
            values = getattr(self, item.name)
            values[:, target] = values[:, origin]

    def bar(self, index: IntArray, group: int, arrays: BoolArray | None = None) -> None:
        """Makes rows infinite on a group, or on some of its arrays: (n_index, n_arrays)."""
        for item in fields(self):
            values = getattr(self, item.name)
            if arrays is None:
                values[index, group] = np.inf
            else:
                at, array = np.nonzero(arrays)
                values[index[at], group, array] = np.inf


class _Table:
    """Layer costs by row; grows."""

    def __init__(self, n_groups: int, n_arrays: int) -> None:
        self.index: dict[bytes, int] = {}
        self._costs = _infinite(0, n_groups, n_arrays)

    def extend(self, keys: list[bytes], costs: LayerCosts) -> None:
        """Appends rows; the arrays double where they are full, so that growing costs no more than filling."""
        first = len(self.index)
        end = first + len(keys)
        if end > len(self._costs.latency_cycles):
            room = max(end, 2 * first) - first
            self._costs = LayerCosts(
                *(
                    np.concatenate([old[:first], np.empty((room, *old.shape[1:]))])
                    for old in (getattr(self._costs, item.name) for item in fields(LayerCosts))
                )
            )
        for item in fields(LayerCosts):
            getattr(self._costs, item.name)[first:end] = getattr(costs, item.name)
        self.index.update(zip(keys, range(first, end), strict=True))

    def take(self, keys: list[bytes]) -> LayerCosts:
        """Costs of known rows."""
        return self._costs.take(np.fromiter((self.index[key] for key in keys), np.int64, len(keys)))


class LayerCostTable:
    """Layer costs on one accelerator; each distinct layer is mapped once per objective and way of its weights."""

    def __init__(self, accelerator: Accelerator) -> None:
        self.accelerator = accelerator
        groups = accelerator.core_groups
        self._cores = [accelerator.compute_cores[groups.index(g)] for g in sorted(set(groups))]
        # groups may differ in their links alone; the first of equal cores is costed for all
        alike = [replace(core, name="") for core in self._cores]
        self._first = [alike.index(core) for core in alike]
        self._n_arrays = max(len(core.catalogue) for core in self._cores)
        self._tables: dict[tuple[str, str], _Table] = {}

    def costs(self, rows: IntArray, objective: str, weights: str = "streamed") -> LayerCosts:
        """Costs of layers on every core group and array.

        Args:
            rows: Rows of `Workload.cost_rows()`, parts or tiles of layers with changed sizes among them:
                (n, n_columns). Repeated rows cost nothing.
            objective: What the mapping inside a core minimises: latency, energy or edp.
            weights: `streamed` from DRAM at each inference, or `resident` in the core's outermost weight memory
                on the chip, where they are taken to fit; infinite on cores that have none but registers.

        Raises:
            OfframpError: An argument is unknown, a layer fits no mapping or has no core.
        """
        check_objective(objective)
        if weights not in WEIGHTS:
            raise OfframpError(f"expected weights of {', '.join(WEIGHTS)}, got {weights!r}")
        rows = np.ascontiguousarray(rows, dtype=np.int64)
        if rows.ndim != 2 or rows.shape[1] != len(COST_COLUMNS):
            raise OfframpError(f"expected rows of shape (n, {len(COST_COLUMNS)}), got {rows.shape}")
        table = self._tables.setdefault((objective, weights), _Table(len(self._cores), self._n_arrays))
        void = rows.view(np.dtype((np.void, rows.itemsize * rows.shape[1])))
        keys = cast(list[bytes], void.ravel().tolist())
        new = {key: i for i, key in enumerate(keys) if key not in table.index}
        order, names = list(new.values()), list(new)
        for start in range(0, len(order), CHUNK_ROWS):
            part = slice(start, start + CHUNK_ROWS)
            table.extend(names[part], self._compute(rows[order[part]], objective, weights))
        return table.take(keys)

    def _compute(self, rows: IntArray, objective: str, weights: str) -> LayerCosts:
        costs = _infinite(len(rows), len(self._cores), self._n_arrays)
        n_levels = len(ENERGY_LEVELS)
        op = rows[:, 0]
        weighted = np.flatnonzero((op == Op.CONV) | (op == Op.LINEAR))
        for g, core in enumerate(self._cores):
            if self._first[g] < g:
                costs.copy_group(self._first[g], g)
                continue
            chosen = core if weights == "streamed" else resident_core(core)
            fitting = weighted[activations_fit(core, rows[weighted])]
            if chosen is None or not fitting.size:
                continue
            sizes = np.array([array.sizes for array in core.catalogue], dtype=np.int64)
            shape = fitting.size, len(sizes)
            jobs = np.repeat(rows[fitting], len(sizes), axis=0), np.tile(sizes, (fitting.size, 1))
            found = map_layers(chosen, *jobs, objective, must_fit=False)
            own = slice(len(sizes))
            costs.latency_cycles[fitting, g, own] = found.latency_cycles.reshape(shape)
            costs.dram_cycles[fitting, g, own] = found.dram_cycles.reshape(shape)
            costs.energy_pj[fitting, g, own] = 0.0
            costs.energy_pj[fitting, g, own, :n_levels] = found.energy_pj.reshape(*shape, -1)
            costs.operand_energy_pj[fitting, g, own] = found.operand_energy_pj.reshape(*shape, -1)
            costs.bar(fitting, g, np.isinf(costs.latency_cycles[fitting, g]))
        for kind in (Op.POOL, Op.ADD):
            members = np.flatnonzero(op == kind)
            if members.size:
                vector = self.accelerator.vector_cores[self.accelerator.vector_core_index(kind)]
                cycles, by_level = vector_costs(vector, rows[members])
                costs.latency_cycles[members] = cycles[:, None, None]
                costs.dram_cycles[members] = 0.0
                costs.energy_pj[members] = 0.0
                costs.energy_pj[members, :, :, :n_levels] = by_level[:, None, None]
                costs.operand_energy_pj[members] = 0.0
                memory = by_level.sum(axis=1) - by_level[:, ENERGY_LEVELS.index("mac")]
                written = output_energy_pj(vector, rows[members])
                costs.operand_energy_pj[members, :, :, Operand.I] = (memory - written)[:, None, None]
                costs.operand_energy_pj[members, :, :, Operand.O] = written[:, None, None]
        return costs


def resident_core(core: ComputeCore) -> ComputeCore | None:
    """The core with no shared DRAM behind its weights, or None where registers are all it has for them."""
    memories = []
    for memory in core.memories:
        if memory.shared:
            operands = tuple(operand for operand in memory.operands if operand != Operand.W)
            if operands:
                memories.append(replace(memory, operands=operands))
        else:
            memories.append(memory)
    if not any(memory.level != "register" and Operand.W in memory.operands for memory in memories):
        return None
    return replace(core, memories=tuple(memories))


def output_energy_pj(core: VectorCore, rows: IntArray) -> Array:
    """Energy of writing the outputs of layers on a vector core: (n,)."""
    column = {name: rows[:, COST_COLUMNS.index(name)] for name in ("b", "g", "ox", "oy", "output_bits")}
    bits = np.prod(list(column.values()), axis=0)
    return charge(bits, core.memory.write_granule_bits, core.memory.write_pj_per_bit)


def _infinite(n: int, n_groups: int, n_arrays: int) -> LayerCosts:
    shape = n, n_groups, n_arrays
    return LayerCosts(
        np.full(shape, np.inf),
        np.full((*shape, len(LEVEL_NAMES)), np.inf),
        np.full(shape, np.inf),
        np.full((*shape, len(Operand)), np.inf),
    )
