"""Costs of the layers of many designs on the cores each design has."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np

from hwcost.cost_model import LayerCosts, LayerCostTable
from hwcost.workload import COST_COLUMNS, BoolArray, IntArray
from hwcost.workload_batch import WorkloadBatch

Array = np.ndarray
COLUMN = {name: i for i, name in enumerate(COST_COLUMNS)}


@dataclass(frozen=True, eq=False)
class DesignCosts:
    """Costs by design, layer and compute core; a layer of a vector core costs the same in every column.

    Attributes:
        latency_cycles: (n_designs, n_layers, n_cores).
        energy_pj: By level: (n_designs, n_layers, n_cores, n_levels).
        dram_cycles: Busy cycles of the DRAM port: (n_designs, n_layers, n_cores).
        operand_energy_pj: Energy in memories by operand W, I, O: (n_designs, n_layers, n_cores, 3).
    """

    latency_cycles: Array
    energy_pj: Array
    dram_cycles: Array
    operand_energy_pj: Array

    @classmethod
    def at(cls, costs: LayerCosts, index: tuple[IntArray, ...]) -> DesignCosts:
        """Picks (row, core group, array) triples."""
        return cls(*(getattr(costs, item.name)[index] for item in fields(cls)))

    def where(self, condition: BoolArray, other: DesignCosts | float) -> DesignCosts:
        """These costs where a condition (n_designs, n_layers, n_cores) holds, others elsewhere."""
        chosen = []
        for item in fields(self):
            own = getattr(self, item.name)
            mask = condition if own.ndim == 3 else condition[..., None]
            chosen.append(
                np.where(mask, own, other if isinstance(other, float) else getattr(other, item.name))
            )
        return DesignCosts(*chosen)


def design_costs(
    table: LayerCostTable, rows: IntArray, allocations: IntArray, objective: str, weights: str = "streamed"
) -> DesignCosts:
    """Costs of every layer on every core of every design.

    Args:
        table: Where layers are costed and remembered.
        rows: Rows of layers: (n_designs or 1, n_layers, n_columns), or one row for each core:
            (n_designs or 1, n_layers, n_cores, n_columns).
        allocations: (n_designs, n_cores).
        objective: What the mapping inside a core minimises.
        weights: `streamed` or `resident`.
    """
    n_cores = allocations.shape[1]
    if rows.ndim == 3:
        rows = rows[:, :, None]
    distinct, index = distinct_rows(rows.reshape(-1, rows.shape[-1]))
    found = table.costs(distinct, objective, weights)
    group = np.array(table.accelerator.core_groups)
    at = (
        index.reshape(rows.shape[:-1]),
        group[None, None],
        allocations[:, None, :].reshape(len(allocations), 1, n_cores),
    )
    return DesignCosts.at(found, at)


def design_rows(batch: WorkloadBatch) -> IntArray:
    """Rows of the layers at the bits of each design: (n_designs of the batch, n_layers, n_columns)."""
    bits = {
        name: getattr(batch, name).astype(np.int64) for name in ("weight_bits", "input_bits", "output_bits")
    }
    return with_columns(batch.template.cost_rows(), **bits)


def active_layers(batch: WorkloadBatch, n_designs: int) -> BoolArray | None:
    """Which layers each design runs: (n_designs, n_layers), or None where all run all."""
    if batch.active.all():
        return None
    return np.broadcast_to(batch.active, (n_designs, batch.template.n_layers))


def distinct_rows(rows: IntArray) -> tuple[IntArray, IntArray]:
    """Distinct rows (m, n_columns), and for every row its index among them (n,)."""
    rows = np.ascontiguousarray(rows, dtype=np.int64)
    keys = rows.view(np.dtype((np.void, rows.itemsize * rows.shape[1]))).ravel()
    _, first, index = np.unique(keys, return_index=True, return_inverse=True)
    return rows[first], index.reshape(-1)


def with_columns(rows: IntArray, **columns: IntArray | int) -> IntArray:
    """Rows with some columns replaced; the new values broadcast against the rows' leading axes."""
    shape = np.broadcast_shapes(rows.shape[:-1], *(np.shape(values) for values in columns.values()))
    changed = np.broadcast_to(rows, (*shape, rows.shape[-1])).copy()
    for name, values in columns.items():
        changed[..., COLUMN[name]] = values
    return changed
