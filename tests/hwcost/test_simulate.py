"""The command that prints what a network costs."""

from __future__ import annotations

import json
from importlib import resources
from pathlib import Path

import numpy as np
import pytest

from hwcost import evaluate, load_accelerator
from hwcost.networks import early_exit_workload, load_backbone, uniform_precision
from hwcost.simulate import main


def test_json_holds_what_evaluate_returns(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "figures.json"
    arguments = [
        "--network",
        "paper",
        "--exits",
        "0,4",
        "--heads",
        "fc,gap,fc",
        "--bits",
        "4/8",
        "--json",
        str(out),
    ]
    assert main(arguments) == 0
    assert "b0.depthwise" in capsys.readouterr().out
    figures = json.loads(out.read_text())
    accelerator = load_accelerator("edge_tpu_quad")
    precision = uniform_precision(12, 4, 8)
    workload = early_exit_workload(load_backbone("paper"), (0, 4), ("fc", "gap", "fc"), precision, 32, 10)
    costs = evaluate(workload, accelerator, np.array([accelerator.default_allocation]))
    assert [e["latency_cycles"] for e in figures["exits"]] == costs.latency_cycles[0].tolist()
    assert [e["energy_pj"] for e in figures["exits"]] == pytest.approx(costs.energy_pj[0].tolist())
    assert len(figures["layers"]) == workload.n_layers
    assert sum(layer["latency_cycles"] for layer in figures["layers"]) == costs.worst_latency_cycles[0]


def test_arrays_are_chosen_by_label(capsys: pytest.CaptureFixture[str]) -> None:
    arrays = "32x1x4x4,8x8x4x4,16x4x4x4,4x4x2x2"
    assert main(["--network", "paper", "--width", "0.25", "--arrays", arrays]) == 0
    used = capsys.readouterr().out
    assert "32x1x4x4" in used or "16x4x4x4" in used


def test_every_core_has_labels_of_its_own(capsys: pytest.CaptureFixture[str]) -> None:
    chosen = ["--network", "paper", "--width", "0.25", "--accelerator", "heterogeneous_quad", "--arrays"]
    assert main([*chosen, "4x4x4x4,8x8x2x2,16x16,16x4x4"]) == 0
    assert "16x4x4 " in capsys.readouterr().out
    assert main([*chosen, "4x4x4x4,8x8x2x2,16x16,16x16"]) == 2
    assert "for core 'depthwise' in --arrays, got '16x16'" in capsys.readouterr().err


@pytest.mark.parametrize(
    "option", ["--exits 4", "--bits 4/4", "--classes 100", "--image-size 64", "--heads fc", "--width 2"]
)
def test_what_a_table_of_layers_says_is_not_said_twice(
    tmp_path: Path, option: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "layers.csv"
    path.write_text("name,op,k,c,g,ox,oy,fx,fy,stride\nfc,linear,8,8,1,1,1,1,1,1\n")
    assert main(["--layers", str(path)]) == 0
    assert main(["--layers", str(path), *option.split()]) == 2
    assert f"expected {option.split()[0]} with --network only" in capsys.readouterr().err


@pytest.mark.parametrize("mode", ["layer_by_layer", "split", "fused"])
@pytest.mark.parametrize("weights", ["streamed", "resident"])
def test_words_wider_than_the_registers_are_refused(
    mode: str, weights: str, capsys: pytest.CaptureFixture[str]
) -> None:
    # weight registers of 8 bit
    options = [
        "--network",
        "paper",
        "--width",
        "0.25",
        "--bits",
        "16/8",
        "--mode",
        mode,
        "--weights",
        weights,
    ]
    assert main(options) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "'b0.depthwise' can run on no core of 'edge_tpu_quad': its weights of 16 bit" in error


def test_modes_weights_and_levels_are_passed_on(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    figures = {}
    for options in (
        "--mode split",
        "--mode fused",
        "--weights resident",
        "--level low",
        "--objective energy",
    ):
        out = tmp_path / "figures.json"
        arguments = ["--network", "paper", "--width", "0.25", *options.split(), "--json", str(out)]
        assert main(arguments) == 0
        figures[options] = json.loads(out.read_text())
        name, value = options.removeprefix("--").split()
        assert figures[options][name] == value
    assert "'low'" in capsys.readouterr().out
    assert len({(f["worst_case"]["latency_s"], f["worst_case"]["energy_j"]) for f in figures.values()}) == 5


def test_layers_and_accelerator_from_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    chip = tmp_path / "mine.toml"
    text = (resources.files("hwcost") / "presets" / "edge_tpu_like.toml").read_text()
    chip.write_text(text.replace('name = "edge_tpu_like"', 'name = "mine"'))
    table = tmp_path / "layers.csv"
    table.write_text("name,op,k,c,g,ox,oy,fx,fy,stride\nfull,conv,8,8,1,4,4,1,1,1\n")
    out = tmp_path / "figures.json"
    assert main(["--layers", str(table), "--accelerator", str(chip), "--json", str(out)]) == 0
    assert capsys.readouterr().out.splitlines()[1].startswith("full")
    figures = json.loads(out.read_text())
    # derived by hand in tests/hwcost/presets/test_goldens.py
    assert (figures["accelerator"], figures["worst_case"]["latency_cycles"]) == ("mine", 43)


@pytest.mark.parametrize(
    "arguments",
    [
        ["--network", "nothing"],
        ["--network", "paper", "--exits", "0,x"],
        ["--network", "paper", "--exits", "11"],
        ["--network", "paper", "--heads", "fc,fc"],
        ["--network", "paper", "--bits", "8"],
        ["--network", "paper", "--bits", "0/8"],
        ["--network", "paper", "--accelerator", "nothing"],
        ["--network", "paper", "--accelerator", "nothing.toml"],
        ["--network", "paper", "--arrays", "1x1"],
        ["--network", "paper", "--classes", "0"],
        ["--network", "paper", "--arrays", "8x8x4x4"],
        ["--network", "paper", "--level", "warp"],
        ["--network", "paper", "--accelerator", "tpu_quad", "--level", "low"],
        ["--layers", "nothing.csv"],
    ],
)
def test_bad_input_is_one_line_and_status_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == 2
    captured = capsys.readouterr()
    assert captured.err.startswith("error: ")
    assert captured.err.count("\n") == 1
