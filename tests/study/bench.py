"""A study without training: the real space, simulator, memo and storage, and made-up predictions."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import optuna

from models.architecture import Architecture
from study.bounds import Bounds
from study.config import StudyConfig
from study.config_io import identity, load_preset, resolve
from study.evaluate import Evaluator
from study.hardware import HardwareCosts
from study.memo import PredictionMemo, TrainedNetwork
from study.reference import StaticReference
from study.sampler import GenomeNSGAIISampler
from study.setup import Paths, StudyContext, build_accelerator, build_backbone, build_objectives, build_space
from study.storage import StudyIdentity, default_url, open_storage, open_study, store_result
from tests.study.policy_cases import realistic

CLASSES = 10


def predictions(architecture: Architecture, n_samples: int = 200) -> TrainedNetwork:
    """What a training might give: later exits are better; the same network always says the same."""
    seed = int(architecture.key()[:8], 16)
    calibration, validation = (realistic(seed + i, n_samples, architecture.n_exits) for i in range(2))
    return TrainedNetwork(calibration, validation, training_samples=1000, seconds=2.0)


class CountingTrainer:
    """Trains by making predictions up, and remembers for whom."""

    def __init__(self) -> None:
        self.trained: list[Architecture] = []

    def __call__(self, architecture: Architecture) -> TrainedNetwork:
        self.trained.append(architecture)
        return predictions(architecture)


def bench_context(folder: Path, preset: str = "quickstart", **changes: Any) -> StudyContext:
    """A study's context; no images and no pre-trained network, which nothing here looks at."""
    config = resolve([load_preset(preset), changes])
    spec = build_backbone(config, channels=1)
    accelerator = build_accelerator(config)
    space = build_space(config, spec, accelerator)
    hardware = HardwareCosts.from_config(config, spec, CLASSES, accelerator)
    paths = Paths(folder, folder / "cache")
    memo = PredictionMemo(paths.predictions, {"data": "made up"})
    objectives = build_objectives(config, accelerator)
    bounds = Bounds.of(config.constraints.given(), hardware.static)
    evaluator = Evaluator(space, hardware, objectives, bounds, memo, CountingTrainer(), CLASSES)
    return StudyContext(config, paths, "cpu", None, spec, space, hardware, None, evaluator)  # type: ignore[arg-type]


def static_reference(context: StudyContext) -> StaticReference:
    """The reference design with made-up accuracy."""
    architecture = context.hardware.static_architecture
    default = tuple(context.hardware.accelerator.default_allocation)
    record = context.evaluator.measure(architecture, predictions(architecture), default)
    return StaticReference(record, "alone", record.accuracy, record.accuracy, record)


def run_trials(context: StudyContext, count: int, config: StudyConfig | None = None) -> optuna.Study:
    """A study in sqlite with so many finished proposals."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    context.paths.out.mkdir(parents=True, exist_ok=True)
    who = StudyIdentity(
        "bench", identity(config or context.config), "d", 4, context.evaluator.objectives.columns
    )
    study = open_study(open_storage(default_url(context.paths.out)), who)
    study.sampler = GenomeNSGAIISampler(context.space, 4, np.random.default_rng(0))
    for _ in range(count):
        trial = study.ask(context.space.distributions())
        record = context.evaluator.evaluate(context.space.decode(trial.params))
        store_result(trial, record)
        study.tell(trial, context.evaluator.objectives.values(record))
    return study
