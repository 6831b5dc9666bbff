"""Tables for people say what the figures for programs say."""

from __future__ import annotations

import numpy as np
import pytest

from hwcost import load_accelerator
from hwcost.networks import early_exit_workload, load_backbone, uniform_precision
from hwcost.simulation import simulate
from hwcost.simulation_json import simulation_json
from hwcost.simulation_text import simulation_text


@pytest.mark.parametrize("preset", ["heterogeneous_quad", "eyeriss_like"])
@pytest.mark.parametrize(
    "ways", [("layer_by_layer", "streamed"), ("split", "resident"), ("fused", "streamed")]
)
def test_people_read_the_same_numbers(preset: str, ways: tuple[str, str]) -> None:
    spec = load_backbone("paper").scaled(0.25)
    workload = early_exit_workload(spec, (0, 4), ("fc", "gap", "fc"), uniform_precision(12), 32, 10)
    accelerator = load_accelerator(preset)
    found = simulate(workload, accelerator, np.array(accelerator.default_allocation), "edp", *ways)
    figures, text = simulation_json(found), simulation_text(found)
    lines = text.splitlines()
    worst = next(line for line in lines if line.startswith("2 (worst)")).split()
    assert float(worst[2]) == pytest.approx(figures["worst_case"]["latency_cycles"], abs=0.5)
    assert float(worst[3]) == pytest.approx(figures["worst_case"]["latency_s"] * 1e6, abs=0.05)
    assert float(worst[4]) == pytest.approx(figures["worst_case"]["energy_pj"], abs=0.5)
    for core in figures["worst_case"]["cores"]:
        assert f"{core['core']:14s}{core['layers']:8d}" in text
    for layer in figures["layers"]:
        assert any(line.startswith(layer["name"]) and layer["core"] in line for line in lines)
    assert (("cores overlap" in text), ("0.8 V" in text)) == (
        ways[0] == "fused",
        preset == "heterogeneous_quad",
    )
    assert "area not described" in text
