"""`--dry-run` through the real command."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from study.config_io import load_preset, read_toml, resolve
from tests.study.command import environment


def dry_run(folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "study.run", "--dry-run", "--json", "figures.json", *options],
        cwd=folder, env=environment(folder / "cache"), capture_output=True, text=True, timeout=200, check=False,
    )  # fmt: skip


@pytest.mark.parametrize("preset", ["quickstart", "cifar10-small"])
def test_configuration_size_and_time_without_training(tmp_path: Path, preset: str) -> None:
    done = dry_run(tmp_path, "--preset", preset, "--set", "qat.batch_size=16", "--trials", "50")
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


@pytest.mark.slow
def test_more_training_is_estimated_to_take_longer(tmp_path: Path) -> None:
    seconds = []
    for epochs in ("1", "40"):
        assert dry_run(tmp_path, "--set", f"qat.epochs={epochs}").returncode == 0
        seconds.append(json.loads((tmp_path / "figures.json").read_text(encoding="utf-8"))["trial_seconds"])
    assert seconds[1] > 5 * seconds[0]
