"""The figures the simulator is held to, and the command that prints them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from hwcost.validate import main, validate
from hwcost.validation.zigzag import COLUMNS

# Mean, 95th percentile and maximum of the latency error where activations stay on the chip.
ON_CHIP = {"edge256": (0.02, 1, 0.12), "edge1024": (0.02, 1, 0.12), "tpu16": (0.02, 1, 0.12),
           "tpu32": (0.05, 0.12, 10), "tpu64": (0.07, 0.30, 10), "edge4096": (0.07, 0.30, 10)}  # fmt: skip


@pytest.fixture(scope="module")
def found(reference_dir: Path) -> dict[str, Any]:
    return validate(reference_dir)


def test_energy_of_single_layers(found: dict[str, Any]) -> None:
    for config, part in found["zigzag"].items():
        energy = part["energy"]
        assert energy["mape"] <= 0.01, config
        assert energy["max"] <= 0.05, config
        assert energy["spearman"] >= 0.99, config


def test_latency_of_single_layers(found: dict[str, Any]) -> None:
    for config, part in found["zigzag"].items():
        latency = part["latency"]
        kind = config.split("_")[0]
        if kind.endswith("oc"):
            mean, p95, largest = ON_CHIP[kind.removesuffix("oc")]
            assert latency["spearman"] >= 0.98, config
        else:
            mean, p95, largest = 0.04, 0.08, 0.20
            assert latency["spearman"] >= 0.97, config
        assert latency["mape"] <= mean, config
        assert latency["p95"] <= p95, config
        assert latency["max"] <= largest, config


def row(**changes: str) -> str:
    cells = dict.fromkeys(COLUMNS, "1") | {
        "config": "c", "accelerator": "edge_tpu_like", "array": "8x8x4x4", "activations": "dram",
        "spatial_mapping_rule": "depthwise_g_on_d1", "uid": "u", "K": "64", "C": "64", "OX": "8", "OY": "8",
        "w_bits": "8", "a_bits": "8", "psum_bits": "16", "latency_cycles": "2000", "energy_pj": "1e6",
    } | changes  # fmt: skip
    return ",".join(cells[column] for column in COLUMNS)


def table(tmp_path: Path, *rows: str) -> Path:
    (tmp_path / "zigzag_layers.csv").write_text("\n".join([",".join(COLUMNS), *rows]) + "\n")
    return tmp_path


def test_any_rows_are_read(tmp_path: Path) -> None:
    folder = table(
        tmp_path,
        row(),
        row(config="d", accelerator="edge_tpu_like_dram256", array="16x16x4x4", w_bits="4"),
        row(config="d", accelerator="tpu_like", array="16x16", activations="onchip"),
        row(config="e", spatial_mapping_rule="auto"),
        row(config="e", spatial_mapping_rule="depthwise_ox_oy_only", K="1", C="1", G="32", FX="3", FY="3"),
    )
    out = tmp_path / "figures.json"
    assert main([str(folder), "--json", str(out)]) == 0
    figures = json.loads(out.read_text())["zigzag"]
    assert {config: part["n"] for config, part in figures.items()} == {"c": 1, "d": 2, "e": 2}
    assert set(figures["c"]["latency"]) == {
        "mape",
        "p95",
        "max",
        "worse_max",
        "raw_mape",
        "spearman",
        "kendall",
    }


def test_a_wider_dram_port_is_faster(tmp_path: Path) -> None:
    big = {"K": "512", "C": "512", "OX": "4", "OY": "4"}
    folder = table(tmp_path, row(config="narrow", **big),
                   row(config="wide", accelerator="edge_tpu_like_dram256", **big))  # fmt: skip
    errors = {config: part["latency"]["raw_mape"] for config, part in validate(folder)["zigzag"].items()}
    assert errors["narrow"] > 3.5 * errors["wide"]


@pytest.mark.parametrize(
    "changes",
    [{"accelerator": "abacus"}, {"array": "big"}, {"spatial_mapping_rule": "best"}, {"activations": "cloud"},
     {"K": "many"}, {"latency_cycles": "fast"}, {"array": "8x8"}],
)  # fmt: skip
def test_bad_rows_are_one_line_and_status_2(
    tmp_path: Path, changes: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(table(tmp_path, row(**changes)))]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_an_empty_folder_is_refused(tmp_path: Path) -> None:
    assert main([str(tmp_path)]) == 2
    assert main([str(tmp_path / "nowhere")]) == 2
