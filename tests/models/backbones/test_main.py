"""The command that checks a backbone."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from hwcost.layer_file import read_layers
from hwcost.networks import early_exit_workload, uniform_precision
from hwcost.workload import Workload
from models.backbones.__main__ import main
from models.backbones.open import open_backbone


def test_the_stages_of_the_paper(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["paper"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2 + 13 + 1  # title and columns, stem and twelve blocks, the sum
    assert lines[-1].startswith("in all 195.33 M MACs")  # arXiv 2512.04705
    assert [line.split()[0] for line in lines[2:-1]] == ["stem", *map(str, range(12))]
    assert [line.endswith("may follow") for line in lines[3:-1]] == [True] * 10 + [False] * 2


def test_a_factory_without_a_stem(capsys: pytest.CaptureFixture[str]) -> None:
    name = "tests.models.backbones.user_backbone:unnamed"
    assert main([name, "--in-channels", "1", "--image-size", "16"]) == 0
    text = capsys.readouterr().out
    assert "stem" not in text
    assert "8x8" in text


def test_a_mistake_is_one_line_and_exit_code_2(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["tests.models.backbones.user_backbone:broken_concatenate", "--in-channels", "1"]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith("error: expected only Conv2d")
    assert printed.err.count("\n") == 1


@pytest.mark.parametrize("name", ["efficientnet_b0", "tests.models.backbones.user_backbone:small"])
def test_layers_written_for_the_simulator_come_back_the_same(name: str, tmp_path: Path) -> None:
    path = tmp_path / "layers.csv"
    arguments = ["--in-channels", "1", "--exits", "0,1", "--heads", "conv2,gap,fc_hidden", "--bits", "4/6"]
    assert main([name, *arguments, "--layers", str(path), "--classes", "7"]) == 0
    found = read_layers(path)
    trunk = open_backbone(name, 1.0, 1, 32).trunk
    bits = uniform_precision(trunk.n_blocks, 4, 6)
    expected = early_exit_workload(trunk, (0, 1), ("conv2", "gap", "fc_hidden"), bits, 32, 7)
    assert found.names == expected.names
    for field in dataclasses.fields(Workload):
        np.testing.assert_array_equal(getattr(found, field.name), getattr(expected, field.name), field.name)


@pytest.mark.parametrize(
    ("arguments", "text"),
    [(["--exits", "x"], "exits such as 1,3"), (["--bits", "8"], "bits such as 8/8"), (["--exits", "11"], "ascending"),
     (["--heads", "fc,fc"], "1 heads"), (["--heads", "none"], "head kind")],
)  # fmt: skip
def test_impossible_designs_are_one_line(
    arguments: list[str], text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["paper", *arguments, "--layers", str(tmp_path / "layers.csv")]) == 2
    error = capsys.readouterr().err
    assert text in error
    assert error.count("\n") == 1
    assert not (tmp_path / "layers.csv").exists()


def test_a_file_that_cannot_be_written_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["paper", "--layers", str(tmp_path / "no_folder" / "layers.csv")]) == 2
    assert "expected to write" in capsys.readouterr().err
