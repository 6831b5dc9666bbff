"""`--dry-run`: what a study would be, without training anything."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from study.atomic import write_text
from study.bounds import Bounds
from study.config import StudyConfig
from study.config_io import fingerprint, identity, to_toml
from study.hardware import HardwareCosts, StaticCost
from study.levels import level_texts
from study.setup import (
    Paths,
    build_accelerator,
    build_backbone,
    build_objectives,
    build_space,
    load_data,
    pretrained_kinds,
)
from study.trainings import rung_recipe
from study.units import format_quantity

_CIFAR10_TRAIN = 50_000


@dataclass(frozen=True)
class DataShape:
    """How many images of which kind there are.

    Attributes:
        train: Images trained on.
        calibration: Images thresholds are tuned on.
        validation: Images objectives are measured on.
        channels: Of an image.
        classes: Of the data.
    """

    train: int
    calibration: int
    validation: int
    channels: int
    classes: int


def _shape(config: StudyConfig, paths: Paths) -> DataShape:
    if config.data.source == "cifar10":
        calibration, validation = config.splits.counts(_CIFAR10_TRAIN)
        return DataShape(_CIFAR10_TRAIN - calibration - validation, calibration, validation, 3, 10)
    data = load_data(config, paths.cache)
    return DataShape(
        train=len(data.train_labels),
        calibration=len(data.calibration_labels),
        validation=len(data.validation_labels),
        channels=data.channels,
        classes=data.classes,
    )


def dry_run(
    config: StudyConfig, name: str, paths: Paths, device: str, console: Console, json_file: Path | None
) -> None:
    """Prints the resolved configuration, the size of the search space and the estimated time.

    The time comes from a few timed steps on random images. CIFAR-10 by name is not downloaded for it: its shape is
    known; other data are read (and cached) for theirs.
    """
    from models.timing import estimate_step_seconds

    data = _shape(config, paths)
    spec = build_backbone(config, data.channels)
    accelerator = build_accelerator(config)
    space = build_space(config, spec, accelerator)
    objectives = build_objectives(config, accelerator)
    hardware = HardwareCosts.from_config(config, spec, data.classes, accelerator)
    bounds = Bounds.of(config.constraints.given(), hardware.static)
    n_train = data.train
    steps = estimate_step_seconds(
        spec,
        pretrained_kinds(config),
        data.classes,
        config.data.image_size,
        config.pretrain,
        config.qat,
        device,
        n_train,
    )
    evaluated = data.calibration + data.validation
    pretrain_seconds = steps.pretrain_seconds(config.pretrain, n_train)
    recipes = [rung_recipe(config, rung) for rung in range(len(config.search.rungs))]
    trial_seconds = sum(steps.training_seconds(recipe, n_train, evaluated) for recipe in recipes)
    # At worst one after the other: with exits, and without for the static reference.
    pretrainings = 2 if config.search.pretrain_alone else 1
    trainings = config.search.trials + 2  # the static reference is trained alone and jointly
    figures: dict[str, Any] = {
        "study": name,
        "fingerprint": fingerprint(identity(config)),
        "genes": len(space.genes()),
        "log10_designs": space.log10_size(),
        "allocations": len(space.allocations.all()),
        "levels": level_texts(space.levels, accelerator),
        "objectives": list(objectives.columns),
        "constraints": bounds.texts(),
        "static_reference": asdict(hardware.static),
        "population": config.population(),
        "pretrain_seconds": pretrain_seconds,
        "trial_seconds": trial_seconds,
        "total_seconds": pretrainings * pretrain_seconds + trial_seconds * trainings / config.search.workers,
    }
    console.print(to_toml(config), highlight=False, markup=False)
    for line in (
        f"study {name}, fingerprint {figures['fingerprint'][:12]}",
        f"search space: {figures['genes']} genes, about 10^{figures['log10_designs']:.1f} designs, "
        f"{figures['allocations']} PE allocations at {len(space.levels.offered)} level(s): "
        f"{', '.join(figures['levels'])}",
        f"minimised: {', '.join(m.text for m in objectives.metrics)}; stored as {', '.join(objectives.columns)}",
        f"constraints: {'; '.join(figures['constraints']) or 'none'}",
        f"static reference: {_static_text(hardware.static, objectives.seconds)}",
        f"population {figures['population']}, {config.search.trials} trials",
        f"estimated time: pre-training {_minutes(figures['pretrain_seconds'])}"
        f"{' with exits and as much without' if pretrainings > 1 else ''}, a trial up to "
        f"{_minutes(trial_seconds)}, all up to {_minutes(figures['total_seconds'])} with {config.search.workers} "
        "worker(s); nothing was trained",
    ):
        console.print(line, highlight=False, markup=False, soft_wrap=True)
    if json_file is not None:
        write_text(json_file, json.dumps(figures, indent=2) + "\n")


def _static_text(static: StaticCost, seconds: bool) -> str:
    latency = format_quantity(static.latency_s, "time")
    cycles = f"{static.latency_cycles / 1e3:.1f} kcycles ({latency} at {static.clock_hz / 1e6:g} MHz)"
    parts = [latency if seconds else cycles, format_quantity(static.energy_j, "energy"),
             f"{format_quantity(static.weight_memory_bits, 'memory')} of weights"]  # fmt: skip
    if static.area_mm2 is not None:
        parts.append(format_quantity(static.area_mm2, "area"))
    return ", ".join(parts)


def _minutes(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"
