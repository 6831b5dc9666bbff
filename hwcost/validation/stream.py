"""Whole networks on four cores against `stream_networks.csv`."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from hwcost.chip.accelerator_file import load_accelerator
from hwcost.errors import OfframpError
from hwcost.evaluate import CostModel
from hwcost.validation.table import Row, integer, layer_of, number, read_rows
from hwcost.workload import Workload

COLUMNS = ("config", "network", "accelerator", "schedule", "w_bits", "a_bits", "psum_bits", "latency_cycles",
           "energy_pj")  # fmt: skip
# Layer by layer, Stream brings activations through DRAM; fused they stay on the chip.
_PRESETS = {
    ("edge_tpu_like_quad_core", "layer_by_layer"): "edge_tpu_quad_dram",
    ("edge_tpu_like_quad_core", "layer_fused"): "edge_tpu_quad",
    ("tpu_like_quad_core", "layer_fused"): "tpu_quad",
}


def validate_stream(path: Path, layers_path: Path | None) -> dict[str, Any]:
    """Ours over theirs per config, and whether networks come in the same order on each system.

    The layer table has no residual sources: additions are left out, layers form a chain. Ours runs layer by
    layer whatever the row's schedule; activations go through DRAM where they do in the row.
    """
    rows = read_rows(path, COLUMNS)
    if layers_path is None:
        raise OfframpError(f"{path.name} needs layers.csv beside it; add it")
    networks: dict[str, list[Row]] = defaultdict(list)
    for row in read_rows(layers_path, ("net", "name", "op")):
        if row["op"] != "linear":
            networks[row["net"]].append(row)
    configs: dict[str, Any] = {}
    ours: dict[tuple[str, str], list[tuple[float, float]]] = defaultdict(list)
    for row in rows:
        preset = _PRESETS.get((row["accelerator"], row["schedule"]))
        if preset is None or row["network"] not in networks:
            raise OfframpError(
                f"{path.name}: no preset for accelerator {row['accelerator']!r} with schedule {row['schedule']!r}, "
                f"or no network {row['network']!r} in {layers_path.name}; known: {sorted(_PRESETS)}"
            )
        accelerator = load_accelerator(preset)
        costs = CostModel(accelerator).evaluate(
            _chain(networks[row["network"]], row, path.name), np.array([accelerator.default_allocation])
        )
        latency, energy = float(costs.latency_cycles[0, -1]), float(costs.energy_pj[0, -1])
        theirs = number(row, "latency_cycles", path.name), number(row, "energy_pj", path.name)
        configs[row["config"]] = {
            "latency_ratio": latency / theirs[0],
            "energy_ratio": energy / theirs[1],
        }
        ours[row["accelerator"], row["schedule"]].append((latency, theirs[0]))
    order = all(
        (np.argsort([pair[0] for pair in pairs]) == np.argsort([pair[1] for pair in pairs])).all()
        for pairs in ours.values()
    )
    return {"n": len(rows), "configs": configs, "same_order": bool(order)}


def _chain(rows: list[Row], config: Row, where: str) -> Workload:
    bits = [integer(config, column, where) for column in ("w_bits", "a_bits", "psum_bits")]
    layers = [
        replace(layer_of(row, row["name"], where, bits[0], bits[1], bits[2]), sources=(i - 1,))
        for i, row in enumerate(rows)
    ]
    return Workload.from_layers(layers)
