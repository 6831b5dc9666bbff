"""Bad input through the real command: one clear line, exit code 2, no traceback, nothing lost."""

from __future__ import annotations

import ctypes
import io
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pandas as pd
import pytest
import torch
from PIL import Image

from tests.study.command import environment, run_study

REPEATED_KEY = "[search]\ntrials = 3\ntrials = 4\n"


def refuse(folder: Path, *options: str) -> str:
    """The single line of an error; everything else about it is checked here."""
    done = subprocess.run(
        [sys.executable, "-m", "study.run", *options],
        cwd=folder, env=environment(folder / "cache"), capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 2, done.stdout + done.stderr
    lines = done.stderr.strip().splitlines()
    assert len(lines) == 1, done.stderr
    assert lines[0].startswith("error: ")
    assert "Traceback" not in done.stdout
    return lines[0]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (("--preset", "slowstart"), "cifar10, cifar10-cpu, cifar10-small, paper, quickstart, got 'slowstart'"),
        (("--set", "qat.epoch=3"), "expected a known key, got qat.epoch"),
        (("--set", "speed.epochs=3"), "expected a known key, got speed"),
        (("--set", "epochs=3"), "expected --set section.key=value, got 'epochs=3'"),
        (("--fast",), "unrecognized arguments: --fast"),
        (("--data", "no/such/archive.tar.xz"), "got 'no/such/archive.tar.xz'"),
        (("--trials", "0"), "search.trials: expected greater than or equal to 1, got 0"),
        (("--trials", "many"), "invalid int value: 'many'"),
        (("--workers", "0"), "search.workers: expected greater than or equal to 1, got 0"),
        (("--set", "space.weight_bits=[1,8]"), "expected ascending bit widths out of 2, 3, 4, 6, 8, got [1, 8]"),
        (("--set", "space.head_bits=[5]"), "expected ascending bit widths out of 2, 3, 4, 6, 8, got [5]"),
        (("--accelerator", "edge_gpu"), "edge_gpu"),
        (("--storage", "no url"), "expected a storage URL"),
        (("--storage", "sqlite:////no/such/folder/study.db"), "expected a storage that can be reached"),
        (("--storage", "postgresql://nobody:secret@127.0.0.1:1/none"), "expected a storage that can be reached"),
        (("--config", "missing.toml"), "expected a readable TOML file for --config, got missing.toml"),
        (("--config", "repeated.toml"), "expected valid TOML in repeated.toml"),
        (("--device", "tpu"), "invalid choice: 'tpu'"),
        (("--set", "hardware.pe_budget=7"), "expected a PE budget of at least"),
        (("--set", "constraints.mean_latency=2.5 mS"), "constraints.mean_latency: expected a positive amount"),
        (("--set", "constraints.area=3 mm2"), "expected an accelerator that states areas"),
        (("--set", 'search.objectives=["error", "area"]'), "expected an accelerator that states areas"),
        (("--set", "space.levels=turbo"), "space.levels: expected a level of low, nominal, high"),
        (("--set", "space.levels=all", "--set", "constraints.worst_latency=12 kcycles"),
         "constraints.worst_latency: expected a bound in seconds"),
    ],
)  # fmt: skip
def test_one_clear_line(tmp_path: Path, options: tuple[str, ...], expected: str) -> None:
    (tmp_path / "repeated.toml").write_text(REPEATED_KEY, encoding="utf-8")
    line = refuse(tmp_path, *options)
    assert expected in line
    assert "secret" not in line


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device here")
def test_cuda_is_refused_where_there_is_none(tmp_path: Path) -> None:
    assert "expected a CUDA device for --device cuda, got none" in refuse(tmp_path, "--device", "cuda")


def _png() -> bytes:
    stream = io.BytesIO()
    Image.new("RGB", (16, 16), (10, 20, 30)).save(stream, "PNG")
    return stream.getvalue()


def test_an_archive_without_the_two_folders(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "images.zip", "w") as archive:
        archive.writestr("pictures/cat/1.png", _png())
    line = refuse(tmp_path, "--data", "images.zip")
    assert "train" in line
    assert "test" in line


def test_an_archive_with_a_broken_image_names_it(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "images.zip", "w") as archive:
        for split in ("train", "test"):
            for label in ("cat", "dog"):
                for number in range(3):
                    archive.writestr(f"{split}/{label}/{number}.png", _png())
        archive.writestr("train/dog/9.png", b"this is no image")
    assert "train/dog/9.png" in refuse(tmp_path, "--data", "images.zip")


def test_an_archive_with_a_path_that_climbs_out(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "images.tar.xz", "w:xz") as archive:
        for name in ("train/cat/1.png", "test/cat/1.png", "../../outside.png"):
            member = tarfile.TarInfo(name)
            member.size = len(_png())
            archive.addfile(member, io.BytesIO(_png()))
    assert "../../outside.png" in refuse(tmp_path, "--data", "images.tar.xz")
    assert not (tmp_path.parent.parent / "outside.png").exists()


def test_a_full_disk_while_results_are_written_keeps_what_was_finished(
    tmp_path: Path, study_cache: Path
) -> None:
    """The folder holds the database, the predictions and the tables, but not the report of two megabytes."""
    run = tmp_path / "run"
    run.mkdir()
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.mount(b"tmpfs", str(run).encode(), b"tmpfs", 0, b"size=3600k") != 0:
        pytest.skip("mounting a file system needs root")
    try:
        full = run_study(tmp_path, study_cache, "--trials", "3", "--workers", "1", "--out", "run")
        assert full.returncode == 2, full.stdout + full.stderr
        assert "No space left on device" in full.stderr
        assert "Traceback" not in full.stderr
        assert len(full.stderr.strip().splitlines()) == 1
        assert (pd.read_csv(run / "trials.csv")["state"] == "COMPLETE").sum() == 3
        assert not list(run.glob(".*.tmp"))
    finally:
        libc.umount2(str(run).encode(), 2)  # MNT_DETACH: also while a file on it is open
