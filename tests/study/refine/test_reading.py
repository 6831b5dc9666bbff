"""Networks that look at the test images in processes of their own say the same as in one."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from hwcost.errors import OfframpError
from models.data import load_dataset
from models.predictions import ExitPredictions
from models.training_data import open_test_split
from study.progress import StageProgress
from study.refine.networks import RefinedNetworks
from study.refine.reading import Reading, ReadingTask, read_all
from study.setup import Paths
from study.worker import WorkerTask
from tests.study.refine.runs import networks_of, train_here


@pytest.fixture
def task(run: Path, cache: Path) -> ReadingTask:
    """All networks of a refinement; nothing of them is read yet."""
    networks: RefinedNetworks = train_here(run, cache)
    _, trainings, _ = networks_of(run, cache)
    config = networks.context.config
    test = open_test_split(load_dataset("digits", config.data.image_size, cache), config.splits)
    readings = [
        Reading(networks.checkpoint(t), found.calibration.temperatures, Path(), str(t))
        for t in trainings
        if (found := networks.find(t)) is not None and networks.checkpoint(t).exists()
    ]
    assert len(readings) > 3
    worker = WorkerTask(config, Paths.of(config, "tiny"), "", "tiny", "cpu", 0)
    return ReadingTask(worker, test, 1, tuple(readings))


def read(task: ReadingTask, folder: Path, workers: int, worth: float) -> list[ExitPredictions]:
    readings = tuple(replace(r, place=folder / f"{i}.npz") for i, r in enumerate(task.readings))
    with StageProgress(Console(quiet=True)).shown() as progress:
        read_all(replace(task, readings=readings), workers, progress, worth)
    return [ExitPredictions.load(reading.place) for reading in readings]


def test_side_by_side_they_say_the_same(task: ReadingTask, tmp_path: Path) -> None:
    here = read(task, tmp_path / "here", 1, 0.0)
    there = read(task, tmp_path / "there", 2, 0.0)
    for mine, theirs in zip(here, there, strict=True):
        assert mine.equals(theirs)
        assert mine.n_samples == len(task.test.labels)
    meta = ExitPredictions.read_meta(tmp_path / "there" / "0.npz")
    assert meta == {"training": task.readings[0].name, "split": "test"}


def test_a_checkpoint_that_is_gone_ends_it_and_what_was_read_is_kept(
    task: ReadingTask, tmp_path: Path
) -> None:
    last = replace(task.readings[-1], checkpoint=tmp_path / "nothing.safetensors")
    broken = replace(task, readings=(*task.readings[:-1], last))
    with pytest.raises(OfframpError, match=r"look at the test split, got .*nothing\.safetensors.*is kept"):
        read(broken, tmp_path, 2, 0.0)
    assert ExitPredictions.load(tmp_path / "0.npz").n_samples == len(task.test.labels)
