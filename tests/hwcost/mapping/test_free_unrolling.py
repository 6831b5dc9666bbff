"""Any loop on any dimension against the fixed rules of the reference, on every layer of its networks."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from hwcost.chip.core import ComputeCore
from hwcost.mapping.mapper import map_layers
from hwcost.validation.table import layer_of, read_rows
from hwcost.validation.zigzag import core_of
from hwcost.workload import Workload

COLUMNS = ("uid", "B", "K", "C", "G", "OX", "OY", "FX", "FY", "stride")
FIXED_RULES = ("depthwise_g_on_d1", "depthwise_ox_oy_only")
SETUPS = [
    ("edge_tpu_like", "8x8x4x4", "dram"),
    ("edge_tpu_like", "8x8x4x4", "onchip"),
    ("edge_tpu_like", "4x4x4x4", "onchip"),
    ("tpu_like", "32x32", "onchip"),
    ("tpu_like", "64x64", "onchip"),
]


@pytest.fixture(scope="module")
def rows(reference_dir: Path) -> np.ndarray:
    path = reference_dir / "layers.csv"
    distinct = {row.text("uid"): row for row in read_rows(path, COLUMNS)}
    layers = [layer_of(row, uid, 8, 8, 16) for uid, row in distinct.items()]
    return Workload.from_layers(layers).cost_rows()


def best(core: ComputeCore, rows: np.ndarray, objective: str) -> np.ndarray:
    """Latency or energy of each layer, infinite where it fits no mapping: (n,)."""
    arrays = np.tile(core.default_array.sizes, (len(rows), 1))
    costs = map_layers(core, rows, arrays, objective, must_fit=False)
    return costs.latency_cycles if objective == "latency" else costs.energy_pj.sum(axis=1)


@pytest.mark.parametrize(("accelerator", "array", "activations"), SETUPS)
@pytest.mark.parametrize("objective", ["latency", "energy"])
def test_free_unrolling_is_never_worse_than_a_fixed_rule(
    rows: np.ndarray, accelerator: str, array: str, activations: str, objective: str
) -> None:
    free = best(core_of(accelerator, activations, "auto", array), rows, objective)
    assert np.isfinite(free).all()
    for rule in FIXED_RULES:
        fixed = best(core_of(accelerator, activations, rule, array), rows, objective)
        assert (free <= fixed * (1 + 1e-9)).all(), rule
    assert (free < fixed * 0.99).any()


@pytest.mark.parametrize("objective", ["latency", "energy"])
def test_idle_pes_on_top_are_never_worse(rows: np.ndarray, objective: str) -> None:
    free = core_of("edge_tpu_like", "onchip", "auto", "4x4x2x2")
    full = best(free, rows, objective)
    assert (best(replace(free, idle_pes=True), rows, objective) <= full * (1 + 1e-9)).all()
