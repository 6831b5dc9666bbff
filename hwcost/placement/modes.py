"""Ways of sharing the cores among layers other than whole layers one after another with streamed weights."""

from __future__ import annotations

from hwcost.chip.accelerator import Accelerator
from hwcost.cost_model import LayerCostTable
from hwcost.placement.design_costs import design_rows
from hwcost.placement.fused import fused_plans, schedule_fused
from hwcost.placement.resident import schedule_resident
from hwcost.placement.resident_options import ResidentOptions, with_weight_memory_shared
from hwcost.placement.routes import find_routes
from hwcost.placement.schedule import Schedule
from hwcost.placement.solve import solve
from hwcost.placement.split import split_options
from hwcost.placement.weight_memory import weight_bits, weight_room_bits
from hwcost.workload import IntArray
from hwcost.workload_batch import WorkloadBatch


class ModeScheduler:
    """Schedules `split`, `fused` and resident weights on one accelerator; keeps costs it has seen."""

    def __init__(self, accelerator: Accelerator, table: LayerCostTable) -> None:
        self._accelerator = accelerator
        self._table = table
        self._half_table = LayerCostTable(with_weight_memory_shared(accelerator, 0.5))
        self._routes = find_routes(accelerator)

    def split(self, batch: WorkloadBatch, allocations: IntArray, objective: str) -> Schedule:
        """Layers on one core or cut over all of them, one after another, weights streamed: exact."""
        options = split_options(self._table, self._routes, batch, allocations, objective)
        return options.schedule(solve(options.problem(), objective))

    def resident(
        self, batch: WorkloadBatch, allocations: IntArray, objective: str, distributed: bool
    ) -> Schedule:
        """Layers one after another, on one core or (distributed) cut over all; weights stay where they fit."""
        common = self._routes, batch, allocations, objective
        rows = design_rows(batch)
        options = ResidentOptions(
            split_options(self._table, *common, "streamed", distributed),
            split_options(self._half_table, *common, "streamed", distributed),
            split_options(self._table, *common, "resident", distributed),
            weight_room_bits(self._accelerator, rows),
            weight_bits(rows),
        )
        return schedule_resident(options, objective)

    def fused(
        self, batch: WorkloadBatch, allocations: IntArray, objective: str, weights: str = "streamed"
    ) -> Schedule:
        """Layers cut into rows, cores at the same time; weights loaded at each inference, or some of them stay."""
        half = self._half_table if weights == "resident" else None
        plans = fused_plans(self._table, self._routes, batch, allocations, objective, half_table=half)
        return schedule_fused(plans, objective)
