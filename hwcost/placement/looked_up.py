"""Layer costs of a whole batch: each distinct layer is costed once, then gathered per design."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hwcost.chip.accelerator import Accelerator
from hwcost.cost_model import LayerCosts, LayerCostTable
from hwcost.errors import OfframpError
from hwcost.workload import COST_COLUMNS, IntArray
from hwcost.workload_batch import WorkloadBatch

Array = np.ndarray
_BITS = ("weight_bits", "input_bits", "output_bits")
_COLUMNS = [COST_COLUMNS.index(name) for name in _BITS]


@dataclass(frozen=True, eq=False)
class LookedUpCosts:
    """Costs of the layers of a batch.

    Attributes:
        costs: Of the distinct rows: (n_rows, n_groups, n_arrays, ...).
        total_energy_pj: All levels: (n_rows, n_groups, n_arrays).
        row: Row of each layer of each design: (n_layers, n_designs); any row where it does not run the layer.
    """

    costs: LayerCosts
    total_energy_pj: Array
    row: IntArray


def look_up(
    table: LayerCostTable, batch: WorkloadBatch, objective: str, weights: str = "streamed"
) -> LookedUpCosts:
    """Costs all layers of a batch.

    Layers of different designs are told apart by a number made of their template layer and their ranks among the
    widths that occur, so that no rows are compared.

    Args:
        table: Where distinct rows are costed and remembered.
        batch: The designs.
        objective: What the mapping inside a core minimises.
        weights: `streamed` or `resident`.
    """
    n_layers = batch.template.n_layers
    code = np.zeros((n_layers, batch.n_designs), dtype=np.int32)
    widths = []
    for name in _BITS:
        bits = getattr(batch, name).T
        occurs = np.zeros(65, dtype=bool)
        occurs[bits] = True
        values = np.flatnonzero(occurs)
        rank = np.zeros(65, dtype=np.int32)
        rank[values] = np.arange(values.size)
        code *= np.int32(values.size)
        code += rank[bits]
        widths.append(values)
    n_codes = int(np.prod([values.size for values in widths]))
    code += np.arange(n_layers, dtype=np.int32)[:, None] * np.int32(n_codes)
    # what a design does not run is not costed; its entry points anywhere
    needed = np.zeros(n_layers * n_codes, dtype=bool)
    needed[code[batch.active.T]] = True
    distinct = np.flatnonzero(needed)
    layer, rest = np.divmod(distinct, n_codes)
    rows = batch.template.cost_rows()[layer]
    for column, values in reversed(list(zip(_COLUMNS, widths, strict=True))):
        rest, at = np.divmod(rest, values.size)
        rows[:, column] = values[at]
    place = np.zeros(n_layers * n_codes, dtype=np.int64)
    place[distinct] = np.arange(distinct.size)
    costs = table.costs(rows, objective, weights)
    return LookedUpCosts(costs, costs.energy_pj.sum(axis=3), place[code])


def check_runs(accelerator: Accelerator, batch: WorkloadBatch, found: LookedUpCosts) -> None:
    """Refuses designs with a layer that fits no array of any core.

    Raises:
        OfframpError: Names the layer and its bits.
    """
    runs = np.isfinite(found.costs.latency_cycles).any(axis=(1, 2))
    if runs.all():
        return
    stuck = ~runs[found.row] & batch.active.T
    layer, design = (int(index) for index in np.argwhere(stuck)[0])
    name = batch.template.names[layer]
    weight, read, written = (int(getattr(batch, bits)[design, layer]) for bits in _BITS)
    raise OfframpError(
        f"layer {name!r} can run on no core of {accelerator.name!r}: its weights of {weight} bit, inputs of {read}, "
        f"outputs of {written} or sums of {int(batch.template.psum_bits[layer])} are wider than a memory at the PEs; "
        "use fewer bits or another accelerator"
    )
