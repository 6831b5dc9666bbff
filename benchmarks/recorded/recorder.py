"""Trains the networks of the table, each once, with the study's own steps; stops and goes on at any network."""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from benchmarks.harness import provenance
from benchmarks.recorded.space import RecordedSpace
from benchmarks.recorded.table_file import Recorded, TableFile
from models.architecture import Architecture
from models.splits import spread
from study.config import StudyConfig
from study.config_io import to_toml
from study.memo import PredictionMemo
from study.processes import follow_parent
from study.setup import Paths, StudyContext, load_data, open_context, train_static

if TYPE_CHECKING:
    from models.training_data import TrainingData

PACKAGES = ("torch", "brevitas", "numpy")
ORDER_SEED = 2512_04705


@dataclass(frozen=True)
class RecordTask:
    """What a process needs to train networks.

    Attributes:
        config: Of the study whose part is recorded.
        paths: Predictions go into `out`.
        device: `cpu` or `cuda`.
        evaluated: Images of the calibration and of the validation split that networks are evaluated on, at most.
    """

    config: StudyConfig
    paths: Paths
    device: str
    evaluated: int


def open_recording(
    task: RecordTask, progress: Callable[[str, int, int, float], None] | None = None
) -> StudyContext:
    """Data, warm start and evaluation as a study has them; the warm start is trained where there is none."""
    data = load_data(task.config, task.paths.cache)
    context = open_context(task.config, task.paths, task.device, _thinned(data, task.evaluated), progress)
    memo = PredictionMemo(
        task.paths.predictions, {**context.evaluator.memo.context, "evaluated": task.evaluated}
    )
    return replace(context, evaluator=replace(context.evaluator, memo=memo))


def _thinned(data: TrainingData, count: int) -> TrainingData:
    """Evaluating is half the price of a short training; images of a split are in order of their class."""
    parts = {}
    for split in ("calibration", "validation"):
        images = len(getattr(data, f"{split}_labels"))
        chosen = spread(images, count)
        for what in ("images", "labels"):
            parts[f"{split}_{what}"] = getattr(data, f"{split}_{what}")[chosen]
    return replace(data, **parts)


def candidates(context: StudyContext) -> list[Architecture]:
    """Networks that meet the constraints on some allocation, in a random order that is always the same.

    However far a recording got, what it has is then a random part of all.
    """
    allocations = context.space.allocations.all()
    # One allocation within the bounds is enough, and most networks have many: few are tried first.
    few = allocations[:: max(1, len(allocations) // 40)]
    everything = RecordedSpace(context.space).architectures()
    found = [a for a in everything if _feasible(context, a, few) or _feasible(context, a, allocations)]
    order = np.random.default_rng(ORDER_SEED).permutation(len(found))
    return [found[i] for i in order]


def _feasible(context: StudyContext, architecture: Architecture, allocations: np.ndarray) -> bool:
    costs = context.hardware.stage_costs(architecture, allocations)
    view = context.hardware.view(costs, allocations)
    return bool(context.evaluator.bounds.met_before_training(view).any())


def train_missing(
    task: RecordTask, missing: list[Architecture], workers: int
) -> Iterator[tuple[Architecture, str]]:
    """Trains networks in so many processes.

    Yields:
        Each network when it is done, with the reason where its training diverged.
    """
    waiting = list(reversed(missing))
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, mp_context=context, initializer=follow_parent) as pool:
        running: dict[Future[str], Architecture] = {}
        try:
            while waiting or running:
                while waiting and len(running) < workers:
                    architecture = waiting.pop()
                    running[pool.submit(_train, task, architecture)] = architecture
                done, _ = wait(running, return_when=FIRST_COMPLETED)
                for future in done:
                    yield running.pop(future), future.result()
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def _train(task: RecordTask, architecture: Architecture) -> str:
    from models.objective import NonFiniteLoss

    evaluator = _context(task).evaluator
    try:
        evaluator.memo.get_or_train(architecture, lambda: evaluator.train(architecture))
    except NonFiniteLoss as error:
        return str(error)
    return ""


@cache
def _context(task: RecordTask) -> StudyContext:
    return open_recording(task)


def collect(context: StudyContext, among: list[Architecture]) -> TableFile:
    """The table of what has been trained so far; trains the static reference where it was not."""
    memo = context.evaluator.memo
    rows = [Recorded(a, "candidate", network) for a in among if (network := memo.find(a)) is not None]
    n_blocks = context.spec.n_blocks
    for role in ("alone", "jointly"):
        for head, network in train_static(context, role).items():
            rows.append(Recorded(Architecture.static(n_blocks, head), role, network))
    data = context.data
    about = {
        "config": to_toml(context.config),
        "data": {
            "name": data.name,
            "archive": data.archive_name,
            "sha256": data.archive_sha256 or data.content_sha256,
            "fingerprint": data.fingerprint,
            "classes": data.classes,
            "channels": data.channels,
        },
        "candidates": len(among),
        "warm_start": context.warm.checksum,
        "recorded": time.strftime("%Y-%m-%d", time.gmtime()),
        **provenance(PACKAGES, device=context.device),
    }
    return TableFile(about, rows)


def known(context: StudyContext, among: list[Architecture]) -> set[str]:
    """Keys of the networks that need no training any more."""
    memo = context.evaluator.memo
    return {a.key() for a in among if memo.find(a) is not None}


def table_path(out: Path) -> Path:
    """Where the table of a recording goes."""
    return out / "table.npz"
