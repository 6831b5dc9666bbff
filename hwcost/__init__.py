"""What a layer table costs on an accelerator: arrays in, arrays out."""

from hwcost.chip.accelerator import Accelerator
from hwcost.chip.accelerator_file import accelerator_names, load_accelerator
from hwcost.chip.core import PeArray
from hwcost.errors import OfframpError
from hwcost.evaluate import CostModel, StageCosts, evaluate
from hwcost.report import LayerReport, layer_report
from hwcost.workload import Layer, Op, Workload

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
    "accelerator_names",
    "evaluate",
    "layer_report",
    "load_accelerator",
]
