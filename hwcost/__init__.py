"""What a layer table costs on an accelerator: arrays in, arrays out."""

from hwcost.accelerator import Accelerator
from hwcost.accelerator_file import accelerator_names, load_accelerator
from hwcost.core import PeArray
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
