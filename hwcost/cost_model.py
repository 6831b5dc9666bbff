"""Costs of layers on cores, remembered: a layer that was seen before is looked up."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hwcost.chip.accelerator import Accelerator
from hwcost.mapping.mapper import check_objective, map_layers
from hwcost.mapping.timing import ENERGY_LEVELS
from hwcost.mapping.vector_cost import vector_costs
from hwcost.placement.transfers import LEVEL_NAMES
from hwcost.workload import IntArray, Op, Workload

Array = np.ndarray


@dataclass(frozen=True, eq=False)
class LayerCosts:
    """Costs of the layers of one workload.

    Attributes:
        latency_cycles: By layer, core group and array of the catalogue: (n_layers, n_groups, n_arrays).
            Layers of a vector core have the same value everywhere.
        energy_pj: The same by level of `LEVEL_NAMES`: (n_layers, n_groups, n_arrays, n_levels).
    """

    latency_cycles: Array
    energy_pj: Array


class _Table:
    """Rows of layer costs by their key; grows."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        self.index: dict[bytes, int] = {}
        self.latency = np.zeros((0, *shape))
        self.energy = np.zeros((0, *shape, len(LEVEL_NAMES)))

    def extend(self, keys: list[bytes], latency: Array, energy: Array) -> None:
        for key in keys:
            self.index[key] = len(self.index)
        self.latency = np.concatenate([self.latency, latency])
        self.energy = np.concatenate([self.energy, energy])


class LayerCostTable:
    """Layer costs on one accelerator; each distinct layer is mapped once per objective."""

    def __init__(self, accelerator: Accelerator) -> None:
        self.accelerator = accelerator
        self._groups = sorted(set(accelerator.core_groups))
        self._tables: dict[str, _Table] = {}

    def costs(self, workload: Workload, objective: str) -> LayerCosts:
        """Costs of every layer on every core group and array.

        Args:
            workload: The layers.
            objective: What the mapping inside a core minimises: latency, energy or edp.
        """
        check_objective(objective)
        shape = (len(self._groups), len(self.accelerator.catalogue))
        table = self._tables.setdefault(objective, _Table(shape))
        rows = workload.cost_rows()
        keys = [row.tobytes() for row in rows]
        new = {key: i for i, key in enumerate(keys) if key not in table.index}
        if new:
            order = list(new.values())
            table.extend(list(new), *self._compute(rows[order], objective))
        where = [table.index[key] for key in keys]
        return LayerCosts(table.latency[where], table.energy[where])

    def _compute(self, rows: IntArray, objective: str) -> tuple[Array, Array]:
        shape = (len(rows), len(self._groups), len(self.accelerator.catalogue))
        latency = np.zeros(shape)
        energy = np.zeros((*shape, len(LEVEL_NAMES)))
        op = rows[:, 0]
        weighted = np.flatnonzero((op == Op.CONV) | (op == Op.LINEAR))
        if weighted.size:
            for g in self._groups:
                core = self.accelerator.compute_cores[self.accelerator.core_groups.index(g)]
                sizes = np.array([array.sizes for array in core.catalogue], dtype=np.int64)
                repeated = np.repeat(rows[weighted], len(sizes), axis=0)
                found = map_layers(core, repeated, np.tile(sizes, (weighted.size, 1)), objective)
                latency[weighted, g] = found.latency_cycles.reshape(weighted.size, -1)
                energy[weighted, g, :, : len(ENERGY_LEVELS)] = found.energy_pj.reshape(
                    weighted.size, len(sizes), -1
                )
        for kind in (Op.POOL, Op.ADD):
            members = np.flatnonzero(op == kind)
            if members.size:
                vector = self.accelerator.vector_cores[self.accelerator.vector_core_index(kind)]
                cycles, by_level = vector_costs(vector, rows[members])
                latency[members] = cycles[:, None, None]
                energy[members, :, :, : len(ENERGY_LEVELS)] = by_level[:, None, None]
        return latency, energy
