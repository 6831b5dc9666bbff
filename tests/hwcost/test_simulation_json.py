"""Figures for programs: every breakdown adds up to the same totals."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from hwcost import Workload, load_accelerator
from hwcost.networks import early_exit_workload, load_backbone, uniform_precision
from hwcost.simulation import simulate
from hwcost.simulation_json import simulation_json


def network() -> Workload:
    spec = load_backbone("paper").scaled(0.25)
    return early_exit_workload(spec, (0, 4), ("fc", "gap", "fc"), uniform_precision(12), 32, 10)


@pytest.fixture(scope="module", params=["heterogeneous_quad", "tpu_quad"])
def preset(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(
    scope="module", params=["layer_by_layer", "split", "fused", "layer_by_layer resident", "split resident"]
)
def figures(preset: str, request: pytest.FixtureRequest) -> dict[str, Any]:
    accelerator = load_accelerator(preset)
    mode, weights = (*request.param.split(), "streamed")[:2]
    allocation = np.array(accelerator.default_allocation)
    found = simulate(network(), accelerator, allocation, mode=mode, weights=weights)
    written: dict[str, Any] = json.loads(json.dumps(simulation_json(found), allow_nan=False))
    return written


OPERANDS = [f"energy_operand_{operand}_pj" for operand in ("w", "i", "o", "none")]


def test_every_breakdown_adds_up(figures: dict[str, Any]) -> None:
    layers = figures["layers"]
    assert figures["worst_case"] == {k: v for k, v in figures["exits"][-1].items() if k != "exit"}
    names = ("mac", "register", "sram", "dram", "link", "leakage")
    for k, entry in enumerate(figures["exits"]):
        assert entry["exit"] == k
        up_to_here = [layer for layer in layers if layer["segment"] <= k]
        for parts in (up_to_here, entry["cores"]):
            assert sum(part["energy_pj"] for part in parts) == pytest.approx(entry["energy_pj"])
            assert sum(part["latency_cycles"] for part in parts) == pytest.approx(entry["latency_cycles"])
        assert sum(core["layers"] for core in entry["cores"]) == len(up_to_here)
        for key in (*(f"energy_{name}_pj" for name in names), *OPERANDS):
            assert sum(layer[key] for layer in up_to_here) == pytest.approx(entry[key])
    for entry in (*layers, *figures["exits"]):
        assert sum(entry[f"energy_{name}_pj"] for name in names) == pytest.approx(entry["energy_pj"])
        assert sum(entry[key] for key in OPERANDS) == pytest.approx(entry["energy_pj"])
        assert all(entry[key] >= -1e-6 for key in OPERANDS)
    unweighted = [layer for layer in layers if layer["core"] in ("pooling", "adder")]
    assert unweighted
    assert all(layer["energy_operand_w_pj"] == 0 for layer in unweighted)


def test_seconds_and_joules_are_cycles_and_picojoules(figures: dict[str, Any]) -> None:
    for entry in figures["exits"]:
        assert entry["latency_s"] == pytest.approx(entry["latency_cycles"] / figures["clock_hz"])
        assert entry["energy_j"] == pytest.approx(entry["energy_pj"] / 1e12)


def test_a_level_slows_and_saves(preset: str) -> None:
    accelerator = load_accelerator(preset)
    allocation = np.array(accelerator.default_allocation)
    found = {
        level.name: simulation_json(simulate(network(), accelerator, allocation, level=level.name))
        for level in accelerator.levels
    }
    assert [found[level.name]["clock_hz"] for level in accelerator.levels] == [
        level.clock_hz for level in accelerator.levels
    ]
    worst = {name: figures["worst_case"] for name, figures in found.items()}
    if len(found) > 1:
        assert worst["low"]["latency_s"] > worst["nominal"]["latency_s"] > worst["high"]["latency_s"]
        assert worst["low"]["energy_mac_pj"] == pytest.approx(
            worst["nominal"]["energy_mac_pj"] * (0.65 / 0.8) ** 2
        )
        assert worst["low"]["energy_j"] < worst["nominal"]["energy_j"] < worst["high"]["energy_j"]
