"""`--dry-run` through the real command."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from rich.console import Console

from models.timing import StepTimes
from study import dry_run
from study.config_io import load_preset, read_toml, resolve
from study.setup import Paths
from tests.study.command import environment


def run(folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "study.run", "--dry-run", "--json", "figures.json", *options],
        cwd=folder, env=environment(folder / "cache"), capture_output=True, text=True, timeout=200, check=False,
    )  # fmt: skip


@pytest.mark.parametrize("preset", ["quickstart", "cifar10-small"])
def test_configuration_size_and_time_without_training(tmp_path: Path, preset: str) -> None:
    done = run(tmp_path, "--preset", preset, "--set", "qat.batch_size=16", "--trials", "50")
    assert done.returncode == 0, done.stderr
    assert not (tmp_path / "runs").exists()
    assert not list((tmp_path / "cache").rglob("*.safetensors"))
    printed = read_toml(done.stdout.partition("\nstudy ")[0], "the printed configuration")
    expected = resolve([load_preset(preset), {"qat": {"batch_size": 16}, "search": {"trials": 50}}])
    printed.pop("run")
    assert printed == expected.model_dump(mode="json", exclude={"run"}, exclude_none=True)
    figures = json.loads((tmp_path / "figures.json").read_text(encoding="utf-8"))
    assert figures["genes"] == 10 + 1 + 24 + 2 + 4 + 1 + 1
    assert figures["pretrain_seconds"] > 0
    trainings = (
        figures["trial_seconds"] * 52 / 2
    )  # the reference is trained twice, two workers share the work
    pretrainings = 1 + expected.search.pretrain_alone  # at worst one after the other
    assert figures["total_seconds"] == pytest.approx(figures["pretrain_seconds"] * pretrainings + trainings)
    assert "nothing was trained" in done.stdout


def test_the_time_of_growing_images_is_that_of_their_areas(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = {}

    def one_second_a_step(*_arguments: object) -> StepTimes:
        asked["n_train"] = _arguments[-1]
        return StepTimes(1.0, 0.0, 0.0, image_size=32)

    monkeypatch.setattr("models.timing.estimate_step_seconds", one_second_a_step)
    growing = {"start_size": 0.5, "full_size_from": 1.0, "epochs": 1, "batch_size": 40_000}
    for pretrain, seconds in ((growing, 0.25), ({**growing, "start_size": 1.0}, 1.0)):
        config = resolve(
            [load_preset("cifar10-small"), {"pretrain": pretrain, "data": {"source": "cifar10"}}]
        )
        paths = Paths(tmp_path / "run", tmp_path / "cache")
        dry_run.dry_run(config, "growing", paths, "cpu", Console(quiet=True), tmp_path / "figures.json")
        figures = json.loads((tmp_path / "figures.json").read_text(encoding="utf-8"))
        assert figures["pretrain_seconds"] == seconds  # one step on images of 16 or 32 pixels
    assert asked["n_train"] == 40_000


@pytest.mark.slow
def test_more_training_is_estimated_to_take_longer(tmp_path: Path) -> None:
    seconds = []
    for epochs in ("1", "40"):
        assert run(tmp_path, "--set", f"qat.epochs={epochs}").returncode == 0
        seconds.append(json.loads((tmp_path / "figures.json").read_text(encoding="utf-8"))["trial_seconds"])
    assert seconds[1] > 5 * seconds[0]
