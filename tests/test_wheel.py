"""The wheel has everything a study needs: built from a copy of the sources, installed and run elsewhere."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the wheel's content; dependencies come from the environment the tests run in."""
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    source.mkdir()
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    for room in ("study", "models", "hwcost", "dashboards"):
        shutil.copytree(ROOT / room, source / room, ignore=shutil.ignore_patterns("__pycache__"))
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    built = [*pip, "wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", str(folder), str(source)]
    subprocess.run(built, check=True, capture_output=True, timeout=120)
    (wheel,) = folder.glob("offramp-*.whl")
    site = folder / "site"
    subprocess.run(
        [*pip, "install", "--no-deps", "--target", str(site), str(wheel)],
        check=True, capture_output=True, timeout=120,
    )  # fmt: skip
    return site


def run(installed: Path, folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(installed), "OFFRAMP_CACHE": str(folder / "cache")}
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=folder, env=environment, capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip


def test_nothing_but_the_four_rooms_is_installed(installed: Path) -> None:
    names = {entry.name for entry in installed.iterdir() if not entry.name.endswith(".dist-info")}
    assert names == {"study", "models", "hwcost", "dashboards"}


def test_a_study_runs_outside_the_repository(installed: Path, tmp_path: Path) -> None:
    where = run(installed, tmp_path, "-c", "import study, hwcost; print(study.__file__, hwcost.__file__)")
    assert where.stdout.count(str(installed)) == 2
    budget = ("--set", "pretrain.epochs=1", "--set", "qat.epochs=0.2", "--trials", "2", "--workers", "1")
    done = run(installed, tmp_path, "-m", "study.run", *budget)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "runs" / "quickstart" / "pareto.csv").exists()
    assert (tmp_path / "runs" / "quickstart" / "report.html").exists()
    assert "null" in (tmp_path / "runs" / "quickstart" / "environment.json").read_text(encoding="utf-8")
