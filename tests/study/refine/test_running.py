"""Commands of cards in the cases a small study does not come to: files of the user's own, widths of many digits."""

from __future__ import annotations

import shlex
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from hwcost.chip.accelerator_file import load_accelerator
from hwcost.errors import OfframpError
from models.architecture import Architecture
from models.backbones.open import open_backbone
from models.checkpoint import CheckpointKeys, read_checkpoint, save_checkpoint
from models.checkpoint_notes import CheckpointNotes
from models.exit_policy import ExitPolicy
from models.export.__main__ import main
from models.network import architecture_mounts, initialize
from models.open_checkpoint import open_checkpoint
from models.train import empty_network
from study.config_io import load_preset, resolve
from study.genome import Genome
from study.refine.running import how_to_run
from tests.models.small import digits
from tests.python_sources import ROOT

FACTORY = "tests.models.backbones.user_backbone:small"
WIDTH = 1.1249999
"""Eight channels; its name says 1.125, which are nine."""

ARCHITECTURE = Architecture((1,), ("fc", "fc"), (8, 4, 8, 4), (8, 4, 6, 4), 4, 4)


def saved(path: Path) -> Path:
    spec = open_backbone(FACTORY, WIDTH, 1, 16)
    mounts, precision = architecture_mounts(ARCHITECTURE, spec), ARCHITECTURE.precision()
    network = empty_network(spec, mounts, precision, 10, 16)
    initialize(network, torch.Generator().manual_seed(0))
    keys = CheckpointKeys(ARCHITECTURE, spec.name, 10, 16, digits().fingerprint, "")
    save_checkpoint(path, network, keys, CheckpointNotes.of_training(digits()), ExitPolicy.shared(0.2, 2))
    return path


def blocks(card: list[str], language: str) -> str:
    return "\n".join(card).split(f"```{language}\n")[1].split("```")[0]


@pytest.fixture
def card(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Of a study on a chip of the user's own that lies beside it; its images lie elsewhere."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OFFRAMP_CACHE", str(tmp_path / "cache"))
    chip = tmp_path / "my chip.toml"
    chip.write_text((ROOT / "hwcost" / "presets" / "edge_tpu_quad.toml").read_text(encoding="utf-8"))
    changes = {
        "backbone": {"name": FACTORY, "width": WIDTH},
        "hardware": {"accelerator": str(chip), "mapping": "latency"},
        "data": {"source": "/elsewhere/private/my images.tar"},
    }
    config = resolve([load_preset("quickstart"), changes])
    accelerator = load_accelerator(str(chip))
    context: Any = SimpleNamespace(config=config, hardware=SimpleNamespace(accelerator=accelerator))
    file = saved(tmp_path / "seed0.safetensors")
    genome = Genome(ARCHITECTURE, (12, 5, 2, 0), 0.0, accelerator.level_index("high"))
    return how_to_run(context, genome, file, read_checkpoint(file))


def test_what_is_elsewhere_is_named_without_its_folder(card: list[str], tmp_path: Path) -> None:
    words = shlex.split(blocks(card, "sh"))
    options = dict(zip(words[3::2], words[4::2], strict=True))
    assert options["--data"] == "my images.tar"
    assert options["--accelerator"] == "my chip.toml"
    assert (options["--level"], options["--mapping"]) == ("high", "latency")
    assert options["--width"] == "1.1249999"
    assert "private" not in "\n".join(card)
    assert str(tmp_path) not in "\n".join(card)


def test_a_width_of_many_digits_is_given(card: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(OfframpError):
        open_checkpoint(Path("seed0.safetensors"), FACTORY)  # as the name says it
    names: dict[str, Any] = {"images": torch.rand(3, 1, 16, 16)}
    exec(compile(blocks(card, "python"), "card", "exec"), names)
    assert names["result"].predicted.shape == (3,)
    words = shlex.split(blocks(card, "sh"))
    words[words.index("my images.tar")] = "digits"  # as the card says: the place of the images
    assert main([*words[3:], "--images", "20"]) in (0, 1), capsys.readouterr().err
    text = Path("seed0-qcdq/README.md").read_text(encoding="utf-8")
    assert "16x8x4x4" in text.split("with the PE arrays")[1].split("at the level `high`")[0]
