"""Published early-exit networks against `paper_models.csv` and `paper_backbone.csv`: all exits run, 8 bit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from hwcost.chip.accelerator_file import load_accelerator
from hwcost.errors import OfframpError
from hwcost.evaluate import CostModel
from hwcost.networks import early_exit_workload, load_backbone, uniform_precision
from hwcost.validation.table import Row, read_rows
from hwcost.workload import Workload

COLUMNS = ("exit_blocks", "heads", "w_bits", "a_bits", "total_energy_pj", "total_latency_cycles")
BACKBONE_COLUMNS = ("block", "stream_cumulative_latency_cycles")
_HEADS = ("fc", "fc_hidden")
_BITS = (8, 8)
_IMAGE_SIZE, _CLASSES = 32, 10
# The published totals include activations through DRAM (see docs/cost-model.md).
PRESET = "paper_quad"


def network(exits: tuple[int, ...], heads: tuple[str, ...]) -> Workload:
    """The paper's backbone at 8 bit with exits after these blocks, and a head for each and for the last block."""
    spec = load_backbone("paper")
    precision = uniform_precision(spec.n_blocks, *_BITS)
    return early_exit_workload(spec, exits, heads, precision, _IMAGE_SIZE, _CLASSES)


def network_of(row: Row) -> Workload:
    """The early-exit network of a row with `exit_blocks` and `heads`.

    Raises:
        OfframpError: The row names exits or heads that the backbone has not.
    """
    blocks, heads = row.text("exit_blocks").split("-"), tuple(row.text("heads").split())
    last = load_backbone("paper").n_blocks - 1
    if not all(block.isdecimal() for block in blocks) or int(blocks[-1]) != last:
        raise OfframpError(
            f"{row.where}: expected blocks joined by '-', {last} the last, in 'exit_blocks', "
            f"got {row.text('exit_blocks')!r}"
        )
    unknown = [head for head in heads if head not in _HEADS]
    if unknown:
        raise OfframpError(f"{row.where}: expected heads {' or '.join(_HEADS)}, got {unknown[0]!r}")
    try:
        return network(tuple(int(block) for block in blocks[:-1]), heads)
    except OfframpError as error:
        raise OfframpError(f"{row.where}: {error}") from None


def validate_paper_models(path: Path, backbone_path: Path | None) -> dict[str, Any]:
    """Ratio to the published totals, and of heavy final heads (`fc_hidden`) to light ones (`fc`).

    What a folder has no rows for is None.
    """
    rows = [
        row for row in read_rows(path, COLUMNS) if (row.integer("w_bits"), row.integer("a_bits")) == _BITS
    ]
    accelerator = load_accelerator(PRESET)
    model = CostModel(accelerator)
    allocation = np.array([accelerator.default_allocation])
    ours, theirs = np.zeros((len(rows), 2)), np.zeros((len(rows), 2))
    heavy = np.zeros(len(rows), dtype=bool)
    for i, row in enumerate(rows):
        costs = model.evaluate(network_of(row), allocation)
        heavy[i] = row.text("heads").split()[-1] == "fc_hidden"
        ours[i] = costs.latency_cycles[0, -1], costs.energy_pj[0, -1]
        theirs[i] = row.positive("total_latency_cycles"), row.positive("total_energy_pj")
    result: dict[str, Any] = {"n": len(rows)}
    for i, name in enumerate(("latency", "energy")):
        result[name] = {
            "ratio_median": _median(ours[:, i] / theirs[:, i]),
            "heavy_over_light": _ratio(ours[:, i], heavy),
            "heavy_over_light_reference": _ratio(theirs[:, i], heavy),
        }
    share = None if backbone_path is None else _share_difference(backbone_path, model, allocation)
    return {**result, "backbone_share_max_difference": share}


def _median(values: np.ndarray) -> float | None:
    return float(np.median(values)) if len(values) else None


def _ratio(values: np.ndarray, heavy: np.ndarray) -> float | None:
    if heavy.all() or not heavy.any():
        return None
    return float(np.median(values[heavy]) / np.median(values[~heavy]))


def _share_difference(path: Path, model: CostModel, allocation: np.ndarray) -> float | None:
    """Largest difference of a mounting point's share of the backbone's latency, up to the last block of the table."""
    known = {
        row.integer("block"): row.positive("stream_cumulative_latency_cycles")
        for row in read_rows(path, BACKBONE_COLUMNS)
        if row.has("stream_cumulative_latency_cycles")
    }
    if not known:
        return None
    workload = network((), ("fc",))
    latency = model.schedule(workload, allocation).latency_cycles[0]
    block = np.array([_block_of(name) for name in workload.names])
    ours = {b: float(latency[~workload.head & (block <= b)].sum()) for b in known}
    last = max(known)
    return max(abs(ours[b] / ours[last] - cycles / known[last]) for b, cycles in known.items())


def _block_of(name: str) -> int:
    return int(name[1:].split(".")[0]) if name.startswith("b") else -1
