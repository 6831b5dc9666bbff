"""Published early-exit networks against `paper_models.csv` and `paper_backbone.csv`: all exits run, 8 bit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from hwcost.chip.accelerator_file import load_accelerator
from hwcost.errors import OfframpError
from hwcost.evaluate import CostModel
from hwcost.networks import early_exit_workload, load_backbone, uniform_precision
from hwcost.validation.table import integer, number, read_rows
from hwcost.workload import Workload

COLUMNS = ("exit_blocks", "heads", "w_bits", "a_bits", "total_energy_pj", "total_latency_cycles")
BACKBONE_COLUMNS = ("block", "stream_cumulative_latency_cycles")
_HEADS = {"fc": "fc", "fc_hidden": "fc_hidden"}
_IMAGE_SIZE, _CLASSES = 32, 10
# The published totals include activations through DRAM (see docs/cost-model.md).
_PRESET = "paper_quad"


def _network(exits: list[int], heads: list[str], weight_bits: int = 8, activation_bits: int = 8) -> Workload:
    spec = load_backbone("paper")
    precision = uniform_precision(spec.n_blocks, weight_bits, activation_bits)
    if exits[-1] != spec.n_blocks - 1:
        raise OfframpError(f"expected the final block {spec.n_blocks - 1} among the exits, got {exits}")
    unknown = [head for head in heads if head not in _HEADS]
    if unknown:
        raise OfframpError(f"expected heads fc or fc_hidden, got {unknown[0]!r}")
    names = tuple(_HEADS[head] for head in heads)
    return early_exit_workload(spec, tuple(exits[:-1]), names, precision, _IMAGE_SIZE, _CLASSES)


def validate_paper_models(path: Path, backbone_path: Path | None) -> dict[str, Any]:
    """Ratio to the published totals, and of heavy final heads (`fc_hidden`) to light ones (`fc`)."""
    rows = [
        row
        for row in read_rows(path, COLUMNS)
        if (integer(row, "w_bits", path.name), integer(row, "a_bits", path.name)) == (8, 8)
    ]
    accelerator = load_accelerator(_PRESET)
    model = CostModel(accelerator)
    allocation = np.array([accelerator.default_allocation])
    ours = np.zeros((len(rows), 2))
    heavy = np.zeros(len(rows), dtype=bool)
    for i, row in enumerate(rows):
        exits = [int(block) for block in row["exit_blocks"].split("-")]
        heads = row["heads"].split()
        heavy[i] = heads[-1] == "fc_hidden"
        costs = model.evaluate(_network(exits, heads), allocation)
        ours[i] = costs.latency_cycles[0, -1], costs.energy_pj[0, -1]
    theirs = np.array(
        [
            [number(row, column, path.name) for column in ("total_latency_cycles", "total_energy_pj")]
            for row in rows
        ]
    )
    result: dict[str, Any] = {"n": len(rows)}
    for i, name in enumerate(("latency", "energy")):
        result[name] = {
            "ratio_median": _median(ours[:, i] / theirs[:, i]),
            "heavy_over_light": _ratio(ours[:, i], heavy),
            "heavy_over_light_reference": _ratio(theirs[:, i], heavy),
        }
    if backbone_path is not None:
        result["backbone_share_max_difference"] = _share_difference(backbone_path, model, allocation)
    return result


def _median(values: np.ndarray) -> float | None:
    return float(np.median(values)) if len(values) else None


def _ratio(values: np.ndarray, heavy: np.ndarray) -> float | None:
    if heavy.all() or not heavy.any():
        return None
    return float(np.median(values[heavy]) / np.median(values[~heavy]))


def _share_difference(path: Path, model: CostModel, allocation: np.ndarray) -> float:
    """Largest difference of a mounting point's share of the backbone's latency."""
    workload = _network([load_backbone("paper").n_blocks - 1], ["fc"])
    latency = model.schedule(workload, allocation).latency_cycles[0]
    block = np.array([_block_of(name) for name in workload.names])
    total = latency[~workload.head].sum()
    pairs = [
        (integer(row, "block", path.name), number(row, "stream_cumulative_latency_cycles", path.name))
        for row in read_rows(path, BACKBONE_COLUMNS)
        if row["stream_cumulative_latency_cycles"]
    ]
    whole = max(cycles for _, cycles in pairs)
    trunk = ~workload.head
    return float(
        max(abs(latency[trunk & (block <= b)].sum() / total - cycles / whole) for b, cycles in pairs)
    )


def _block_of(name: str) -> int:
    return int(name[1:].split(".")[0]) if name.startswith("b") else -1
