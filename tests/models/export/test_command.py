import json
from pathlib import Path
from typing import Any

import onnx
import pytest
import torch

from hwcost.networks import load_backbone
from models import brevitas_adapter
from models.architecture import Architecture
from models.checkpoint import CheckpointKeys, save_checkpoint
from models.checkpoint_notes import CheckpointNotes
from models.export.__main__ import default_cache, main
from models.network import architecture_mounts, initialize
from models.train import empty_network
from tests.models.small import digits


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A backbone with a name of ours, its weights drawn: what is compared is the files with the network."""
    spec = load_backbone("paper").scaled(0.125).with_in_channels(1)
    architecture = Architecture((4,), ("gap", "gap"), (4,) * 12, (6,) * 12, 4, 6)
    network = empty_network(spec, architecture_mounts(architecture, spec), architecture.precision(), 10, 16)
    generator = torch.Generator().manual_seed(0)
    initialize(network, generator)
    with torch.no_grad():  # equal scales before and behind a mean have ties; trained ones have none
        for scale in brevitas_adapter.scale_parameters(network):
            scale += 0.3 * torch.rand(scale.shape, generator=generator)
    path = tmp_path_factory.mktemp("run") / "trained.safetensors"
    keys = CheckpointKeys(architecture, spec.name, 10, 16, digits().fingerprint, "")
    save_checkpoint(path, network, keys, CheckpointNotes.of_training(digits()))
    return path


def test_from_a_checkpoint_to_files(
    checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OFFRAMP_CACHE", str(tmp_path / "cache"))
    arguments = [
        "--checkpoint",
        str(checkpoint),
        "--format",
        "qcdq",
        "--images",
        "50",
        "--json",
        "deep/figures.json",
    ]
    assert main([*arguments, "--score", "margin", "--thresholds", "0.01"]) == 0
    printed = capsys.readouterr()
    assert printed.err == ""
    assert "of 50 images take the same exit" in printed.out
    figures = json.loads((tmp_path / "deep" / "figures.json").read_text(encoding="utf-8"))
    assert figures["policy"]["score"] == "margin"
    assert figures["policy"]["thresholds"] == [0.01]
    assert figures["agreement"]["images"] == 50
    assert sorted(path.name for path in (tmp_path / "trained-qcdq").iterdir()) == sorted(figures["files"])
    assert figures["cost"]["macs"] == sorted(figures["cost"]["macs"])


def negate_weights(path: Path) -> None:
    """Every stored integer of a QCDQ file by its opposite: a file that loads and runs, and says something else."""
    model = onnx.load(str(path))
    stored = [tensor for tensor in model.graph.initializer if tensor.data_type == onnx.TensorProto.INT8]
    changed = [tensor for tensor in stored if tensor.dims]
    assert changed
    for tensor in changed:
        tensor.CopyFrom(onnx.numpy_helper.from_array(-onnx.numpy_helper.to_array(tensor), tensor.name))
    onnx.save(model, str(path))


@pytest.mark.parametrize("name", ["head_0", "segment_1", "head_1", "network"])
def test_a_file_with_wrong_weights_is_named_and_ends_with_1(
    checkpoint: Path,
    name: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Also the final head, which changes no exit, and files behind an exit that nearly nobody passes."""
    from models.export import export

    honest = export.write_onnx

    def spoilt(*arguments: Any) -> list[Path]:
        paths = honest(*arguments)
        negate_weights(next(path for path in paths if path.stem == name))
        return paths

    monkeypatch.setattr(export, "write_onnx", spoilt)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OFFRAMP_CACHE", str(tmp_path / "cache"))
    given = ["--checkpoint", str(checkpoint), "--format", "qcdq", "--images", "50", "--thresholds", "0"]
    assert main(given) == 1
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("do not deploy")]
    assert any(line.startswith(f"do not deploy these files: {name}.onnx") for line in lines)
    others = {"head_0", "segment_0", "segment_1", "head_1", "network"} - {name}
    assert not any(f"{other}.onnx" in line for line in lines for other in others)
    written = tmp_path / "trained-qcdq"
    figures = json.loads((written / "export.json").read_text(encoding="utf-8"))
    assert not figures["good"]
    assert [f"do not deploy these files: {fault}" for fault in figures["faults"]] == lines
    assert lines[0] in (written / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "required: --format; see"),
        (["--format", "tflite"], "invalid choice: 'tflite'"),
        (["--format", "qcdq", "--thresholds", "high"], "numbers separated by commas for --thresholds, got 'high'"),
        (["--format", "qcdq", "--thresholds", "0.5,0.6"], "expected 1 thresholds, one per early exit"),
        (["--format", "qcdq", "--thresholds", "nan"], "without NaN"),
        (["--format", "qcdq", "--temperatures", "1,1"], "--thresholds beside --temperatures"),
        (["--format", "qcdq", "--thresholds", "0.5", "--temperatures", "1"], "expected 2 temperatures"),
        (["--format", "qcdq", "--score", "luck"], "expected a score out of max_softmax"),
        (["--format", "qcdq", "--data", "/no/such"], "does not exist"),
        (["--format", "qcdq", "--images", "0"], "at least one image"),
        (["--format", "qcdq", "--split-seed", "7"], "--split-seed 7"),
        (["--format", "qcdq", "--accelerator", "abacus"], "abacus"),
        (["--format", "qcdq", "--allocation", "8x8x4x4"], "expected 4 PE arrays for --allocation"),
        (["--format", "qcdq", "--allocation", "1x1 8x8x4x4 8x8x4x4 8x8x4x4"], "in --allocation, got '1x1'"),
        (["--format", "qcdq", "--level", "turbo"], "expected a level of low, nominal, high"),
        (["--format", "qcdq", "--mapping", "area"], "invalid choice: 'area'"),
        (["--format", "qcdq", "--width", "0.25"], "expected the backbone paper-x0.125 of trained.safetensors"),
        (["--format", "qcdq", "--backbone", "nowhere:factory"], "import nowhere for the backbone nowhere:factory"),
        (["--format", "qcdq", "--backbone", "resnet18"], "expected the backbone paper-x0.125"),
        (["--format", "qcdq", "--out", "trained.safetensors/x"], "a place to write"),
    ],
)  # fmt: skip
def test_bad_input_is_one_line(
    checkpoint: Path,
    arguments: list[str],
    message: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    monkeypatch.chdir(checkpoint.parent)
    monkeypatch.setenv("OFFRAMP_CACHE", str(tmp_path))
    before = sorted(path.name for path in checkpoint.parent.iterdir())
    assert main(["--checkpoint", str(checkpoint), *arguments]) == 2
    printed = capsys.readouterr()
    (line,) = printed.err.splitlines()
    assert line.startswith("error: ")
    assert message in line
    assert printed.out == ""
    assert sorted(path.name for path in checkpoint.parent.iterdir()) == before


def test_a_damaged_checkpoint_is_one_line(
    checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    broken = tmp_path / "broken.safetensors"
    content = bytearray(checkpoint.read_bytes())
    content[len(content) // 2] ^= 1
    broken.write_bytes(content)
    for path, message in ((broken, "whole tensor file broken.safetensors"), (tmp_path / "none", "no file")):
        assert main(["--checkpoint", str(path), "--format", "torch", "--out", str(tmp_path / "out")]) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert message in line
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("source", ["~nosuchuser/x.zip", "x" * 300 + ".zip"])
def test_data_that_cannot_be_looked_up_are_one_line(
    checkpoint: Path, source: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["--checkpoint", str(checkpoint), "--format", "torch", "--out", str(tmp_path / "out")]
    assert main([*arguments, "--data", source, "--cache", str(tmp_path / "cache")]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: expected a path that can be looked up as the data")
    assert not (tmp_path / "out").exists()


def test_the_cache_is_that_of_studies(monkeypatch: pytest.MonkeyPatch) -> None:
    from study.config_io import load_preset, resolve
    from study.setup import Paths

    config = resolve([load_preset("quickstart")])
    for name, value in (("OFFRAMP_CACHE", "a"), ("XDG_CACHE_HOME", "b"), ("HOME", "c")):
        with monkeypatch.context() as patch:
            patch.delenv("OFFRAMP_CACHE", raising=False)
            patch.delenv("XDG_CACHE_HOME", raising=False)
            patch.setenv(name, value)
            assert default_cache() == Paths.of(config, "study").cache
