"""What a layer table costs on an accelerator: arrays in, arrays out."""

from hwcost.chip.accelerator import Accelerator
from hwcost.chip.accelerator_file import accelerator_names, load_accelerator
from hwcost.chip.core import PeArray
from hwcost.errors import OfframpError
from hwcost.evaluate import CostModel, evaluate
from hwcost.report import LayerReport, layer_report
from hwcost.stage_costs import StageCosts
from hwcost.workload import Layer, Op, Workload
from hwcost.workload_batch import WorkloadBatch

__all__ = [
    "Accelerator",
    "CostModel",
    "Layer",
    "LayerReport",
    "OfframpError",
    "Op",
    "PeArray",
    "StageCosts",
    "Workload",
    "WorkloadBatch",
    "accelerator_names",
    "evaluate",
    "layer_report",
    "load_accelerator",
]
