"""Known networks and exit heads as layer tables."""

from hwcost.networks.backbone import BackboneSpec, BlockSpec, backbone_names, load_backbone
from hwcost.networks.early_exit import early_exit_workload
from hwcost.networks.early_exit_batch import EarlyExitGenes, EarlyExitGenomes, early_exit_batch
from hwcost.networks.heads import HEAD_KINDS, PoolWindow, head_parameters, pool_window
from hwcost.networks.precision import Precision, uniform_precision

__all__ = [
    "HEAD_KINDS",
    "BackboneSpec",
    "BlockSpec",
    "EarlyExitGenes",
    "EarlyExitGenomes",
    "PoolWindow",
    "Precision",
    "backbone_names",
    "early_exit_batch",
    "early_exit_workload",
    "head_parameters",
    "load_backbone",
    "pool_window",
    "uniform_precision",
]
